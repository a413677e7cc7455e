"""The state table of builds: what an update does in each status."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from integrations.providers.ci import BuildStatus as S


class Transition(TextChoices):
    APPLY = "go", _("applied")  # take the new status
    FILL = "fill", _("details added")  # same status: add what was missing (number, URL, artifact)
    ASK = "ask", _("polled to confirm")  # contradicts our status, or is only a hint: poll
    IGNORE = "ignore", _("ignored")  # late or repeated
    STOP = "stop", _("stopped")  # it was cancelled here, but runs on the CI server


_MOVING = (S.QUEUED, S.WAITING, S.RUNNING)
_FINAL = (S.SUCCESS, S.FAILURE, S.UNSTABLE, S.ABORTED)
_FAILED = (S.FAILURE, S.UNSTABLE, S.ABORTED)

TABLE: dict[tuple[S, S], Transition] = {
    **{(S.TRIGGERING, update): Transition.APPLY for update in (*_MOVING, *_FINAL)},
    (S.QUEUED, S.QUEUED): Transition.FILL,
    **{(S.QUEUED, update): Transition.APPLY for update in (S.WAITING, S.RUNNING, *_FINAL, S.LOST)},
    (S.WAITING, S.WAITING): Transition.FILL,
    (S.WAITING, S.QUEUED): Transition.ASK,  # once it is approved; or a late report
    **{(S.WAITING, update): Transition.APPLY for update in (S.RUNNING, *_FINAL, S.LOST)},
    (S.RUNNING, S.RUNNING): Transition.FILL,
    (S.RUNNING, S.WAITING): Transition.ASK,  # before its next step; or a late report
    **{(S.RUNNING, update): Transition.APPLY for update in (*_FINAL, S.LOST)},
    (S.SUCCESS, S.SUCCESS): Transition.FILL,
    **{(S.SUCCESS, update): Transition.ASK for update in _FAILED},
    **{(now, S.SUCCESS): Transition.ASK for now in _FAILED},
    **{(now, now): Transition.FILL for now in _FAILED},
    **{
        (now, update): Transition.APPLY
        for now in (S.TRIGGER_FAILED, S.LOST)
        for update in (*_MOVING, *_FINAL)
    },
    **{(S.CANCELLED, update): Transition.STOP for update in (S.WAITING, S.RUNNING)},
    **{(S.CANCELLED, update): Transition.IGNORE for update in (S.QUEUED, *_FINAL)},
}


def transition(now: str, update: str, *, is_authoritative: bool) -> Transition:
    """What to do about `update`. `is_authoritative`: it was read from the CI server itself, so a
    final status that contradicts ours is applied and needs no poll."""
    step = TABLE.get((S(now), S(update)), Transition.IGNORE)
    if step is Transition.ASK and is_authoritative:
        return Transition.APPLY
    return step
