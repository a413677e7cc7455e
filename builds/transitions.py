"""What a piece of news does to a build: the state table, as data, in one place."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from integrations.providers.base import BuildStatus as S


class Move(TextChoices):
    GO = "go", _("applied")  # take the new status
    FILL = "fill", _("filled in")  # same status: what was missing (number, address, artifact)
    ASK = "ask", _("asked the CI server")  # contradicts what we believe, or is only a doorbell
    IGNORE = "ignore", _("ignored")  # late or repeated
    STOP = "stop", _("stopped")  # we cancelled it, and it runs after all


_FINAL = (S.SUCCESS, S.FAILURE, S.UNSTABLE, S.ABORTED)
_FAILED = (S.FAILURE, S.UNSTABLE, S.ABORTED)

TABLE: dict[tuple[S, S], Move] = {
    **{(S.TRIGGERING, news): Move.GO for news in (S.QUEUED, S.RUNNING, *_FINAL)},
    (S.QUEUED, S.QUEUED): Move.FILL,
    **{(S.QUEUED, news): Move.GO for news in (S.RUNNING, *_FINAL, S.LOST)},
    (S.RUNNING, S.RUNNING): Move.FILL,
    **{(S.RUNNING, news): Move.GO for news in (*_FINAL, S.LOST)},
    (S.SUCCESS, S.SUCCESS): Move.FILL,
    **{(S.SUCCESS, news): Move.ASK for news in _FAILED},
    **{(now, S.SUCCESS): Move.ASK for now in _FAILED},
    **{(now, now): Move.FILL for now in _FAILED},
    **{
        (now, news): Move.GO
        for now in (S.TRIGGER_FAILED, S.LOST)
        for news in (S.QUEUED, S.RUNNING, *_FINAL)
    },
    (S.CANCELLED, S.RUNNING): Move.STOP,
    **{(S.CANCELLED, news): Move.IGNORE for news in (S.QUEUED, *_FINAL)},
}


def move(now: str, news: str, *, is_truth: bool) -> Move:
    """What to do about `news`. `is_truth`: it was read from the CI server itself, so a final
    status that contradicts ours wins instead of asking again."""
    step = TABLE.get((S(now), S(news)), Move.IGNORE)
    if step is Move.ASK and is_truth:
        return Move.GO
    return step
