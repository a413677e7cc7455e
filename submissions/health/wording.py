"""Rules and figures in words."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.providers.health import Metric
from integrations.providers.stores import Act, StoreProvider
from submissions.health.models import RuleAction
from submissions.health.verdicts import WHERE_LESS_IS_BETTER

METRIC_NAMES = {
    Metric.CRASH_FREE_SESSIONS: gettext_lazy("crash-free sessions"),
    Metric.CRASH_FREE_USERS: gettext_lazy("crash-free users"),
    Metric.ANR_RATE: gettext_lazy("users whose app did not respond"),
}


class Rule(Protocol):
    """A stored rule, or one that a person thinks of."""

    metric: str
    threshold: float | None
    margin: float | None
    min_sample: int
    action: str
    after_hours: float | None


def sentence_of(rule: Rule, store: type[StoreProvider], source: str) -> str:
    """What the rule will do, in a sentence or two. `source` is the name of its connection."""
    if rule.action == RuleAction.ADVANCE:
        return _advance_words(rule, source)
    about = {**_about(rule, source), "done": _done(store)}
    if rule.margin is not None:
        words = _(
            "If the %(metric)s in %(source)s are certainly worse than those of the previous "
            "release at the same step, by more than %(margin)s percentage points (at least "
            "%(sample)s of both), in two readings in a row, %(done)s."
        )
    elif rule.metric in WHERE_LESS_IS_BETTER:
        words = _(
            "If %(source)s counts certainly more than %(limit)s %% of %(metric)s (at least "
            "%(sample)s) in two readings in a row, %(done)s."
        )
    else:
        words = _(
            "If %(source)s counts certainly less than %(limit)s %% %(metric)s (at least "
            "%(sample)s) in two readings in a row, %(done)s."
        )
    return " ".join(filter(None, [words % about, _instead(rule, store)]))


def _advance_words(rule: Rule, source: str) -> str:
    after = {"hours": f"{rule.after_hours or 0:g}"}
    if not source:
        return _("After %(hours)s hours at a step, the next one follows.") % after
    if rule.margin is not None:
        words = _(
            "After %(hours)s hours at a step, the next one follows, if the %(metric)s in "
            "%(source)s are certainly not worse than those of the previous release at the same "
            "step, by more than %(margin)s percentage points (at least %(sample)s of both)."
        )
    elif rule.metric in WHERE_LESS_IS_BETTER:
        words = _(
            "After %(hours)s hours at a step, the next one follows, if %(source)s counts certainly "
            "less than %(limit)s %% of %(metric)s (at least %(sample)s)."
        )
    else:
        words = _(
            "After %(hours)s hours at a step, the next one follows, if %(source)s counts certainly "
            "more than %(limit)s %% %(metric)s (at least %(sample)s)."
        )
    return words % {**_about(rule, source), **after}


def _about(rule: Rule, source: str) -> dict[str, str]:
    return {
        "source": source,
        "limit": f"{rule.threshold or 0:g}",
        "margin": f"{rule.margin or 0:g}",
        "metric": str(METRIC_NAMES[Metric(rule.metric)]),
        "sample": sample_words(rule.metric, rule.min_sample),
    }


def _done(store: type[StoreProvider]) -> str:
    if store.stops_by is Act.PAUSE:
        return _("the roll-out is paused")
    return _("the release is halted")


def _instead(rule: Rule, store: type[StoreProvider]) -> str:
    """Why something else than the wished act is done; "" if it is not."""
    if rule.action.lower() == store.stops_by:
        return ""
    name = {"store": store.label}
    if rule.action == RuleAction.HALT:
        return _("%(store)s cannot halt a release, so it is paused.") % name
    return _("%(store)s cannot pause a roll-out, so it is halted.") % name


def sample_words(metric: str, sample: int) -> str:
    number = {"n": f"{sample:,}"}
    if metric == Metric.CRASH_FREE_SESSIONS:
        return ngettext("%(n)s session", "%(n)s sessions", sample) % number
    return ngettext("%(n)s user", "%(n)s users", sample) % number


def percent_words(value: float) -> str:
    """Rounded down, so that 99.996 % is not shown as 100 %."""
    return f"{int(value * 100 + 1e-6) / 100:.2f} %"


def age_words(until: datetime, now: datetime) -> str:
    """How old figures are: "figures up to 13:00 UTC, 2 hours old"."""
    same_day = until.date() == now.date()
    moment = f"{until:%H:%M}" if same_day else f"{until:%-d %b %H:%M}"
    if (now - until).total_seconds() < 60:
        return _("figures up to %(time)s UTC") % {"time": moment}
    age = timesince(until, now, depth=1).replace("\xa0", " ")
    return _("figures up to %(time)s UTC, %(age)s old") % {"time": moment, "age": age}
