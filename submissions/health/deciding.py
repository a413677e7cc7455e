"""What the rules of a submission do after a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.failures import Conflict
from integrations.providers.health import Figure
from integrations.providers.stores import Act, SubmissionState
from releases.messages.notices import Notice, notify
from submissions.health.baseline import stored
from submissions.health.models import RolloutRule, RuleAction
from submissions.health.silence import note_silence
from submissions.health.verdicts import Share, Verdict, judge, judge_against
from submissions.health.wording import (
    METRIC_NAMES,
    percent_words,
    sample_words,
    sentence_of,
)
from submissions.models import Submission, store_of
from submissions.operations import act_on, refusal_of
from submissions.states import note

BAD_READINGS = 2  # in a row, before a rule acts
CAN_BE_STOPPED = (SubmissionState.ROLLING_OUT, SubmissionState.LIVE)
EVENTS_READ = 200


@dataclass(frozen=True)
class Reading:
    """A figure, and that of the previous release at the same stage; None without one."""

    figure: Figure | None
    before: Figure | None = None


def decide(
    row: Submission,
    source_id: str | None,
    figures: Sequence[Figure],
    before: Sequence[Figure] = (),
) -> None:
    """Apply the submission's rules of one source to what it has just said; `before` are the figures
    of the previous release. The caller holds the locks, and has stored the figures."""
    rules = list(row.rules.select_related("source__target"))
    mine = [rule for rule in rules if rule.source_id == source_id]
    found = {rule.pk: reading_of(rule, figures, before) for rule in mine}
    for rule in mine:
        _count(rule, found[rule.pk])
    sourced = [rule for rule in mine if rule.source_id]
    note_silence(row, rules, {rule.pk: verdict_of(rule, found[rule.pk]) for rule in sourced})
    for rule in mine:
        if rule.action != RuleAction.ADVANCE and _stop(row, rule, found[rule.pk]):
            return
    if any(rule.bad_readings for rule in rules):
        return
    for rule in mine:
        if rule.action == RuleAction.ADVANCE and _advance(row, rule, found[rule.pk]):
            return


def note_failed_look(row: Submission, source_id: str) -> None:
    """The source could not be asked, so its rules know nothing. The caller holds the locks."""
    rules = list(row.rules.select_related("source__target"))
    mine = {rule.pk: Verdict.UNKNOWN for rule in rules if rule.source_id == source_id}
    note_silence(row, rules, mine)


def reading_of(rule: RolloutRule, figures: Sequence[Figure], before: Sequence[Figure]) -> Reading:
    def of_rule(found: Sequence[Figure]) -> Figure | None:
        return next((figure for figure in found if figure.metric == rule.metric), None)

    return Reading(of_rule(figures), of_rule(before))


def verdict_of(rule: RolloutRule, reading: Reading) -> Verdict:
    figure, before = reading.figure, reading.before
    if figure is None:
        return Verdict.UNKNOWN
    if rule.margin is not None:
        if before is None:
            return Verdict.UNKNOWN
        return judge_against(
            rule.metric,
            Share(figure.value, figure.sample),
            Share(before.value, before.sample),
            margin=rule.margin,
            min_sample=rule.min_sample,
        )
    if rule.threshold is None:
        return Verdict.UNKNOWN
    return judge(
        rule.metric,
        figure.value,
        figure.sample,
        threshold=rule.threshold,
        min_sample=rule.min_sample,
    )


def _count(rule: RolloutRule, reading: Reading) -> None:
    if rule.source_id is None or rule.action == RuleAction.ADVANCE:
        return
    verdict = verdict_of(rule, reading)
    rule.bad_readings = rule.bad_readings + 1 if verdict is Verdict.BAD else 0
    rule.is_armed = rule.is_armed or verdict is Verdict.GOOD
    rule.save(update_fields=["bad_readings", "is_armed"])


def _stop(row: Submission, rule: RolloutRule, reading: Reading) -> bool:
    """True if the rule acted."""
    is_due = rule.is_armed and rule.bad_readings >= BAD_READINGS
    if reading.figure is None or not is_due or row.state not in CAN_BE_STOPPED:
        return False
    said = figure_words(rule, reading)
    act = store_of(row.target).stops_by
    if reason := refusal_of(row, act):
        _close(row, rule, _could_not(said, reason), reading)
        return True
    words = _("%(figure)s: stopped by a rule") % {"figure": said}
    return _act(row, rule, act, words, reading)


def _advance(row: Submission, rule: RolloutRule, reading: Reading) -> bool:
    """Only with figures that include the time since the step was taken."""
    if row.state != SubmissionState.ROLLING_OUT or refusal_of(row, Act.ADVANCE):
        return False
    since = step_since(row)
    since = max(since, rule.acted_at or since)
    if clock.now() < since + timedelta(hours=rule.after_hours or 0):
        return False
    words = _("%(hours)s hours at this step") % {"hours": f"{rule.after_hours or 0:g}"}
    if rule.source_id is not None:
        figure, is_good = reading.figure, verdict_of(rule, reading) is Verdict.GOOD
        if figure is None or not is_good or figure.until <= since:
            return False
        words = f"{words}, {figure_words(rule, reading)}"
    words = _("%(why)s: advanced by a rule") % {"why": words}
    return _act(row, rule, Act.ADVANCE, words, reading)


def _act(row: Submission, rule: RolloutRule, act: Act, words: str, reading: Reading) -> bool:
    """False while it has to wait for what is on its way: then it is tried after the next reading.
    Nothing holds up a halt."""
    try:
        act_on(submission=row, act=act, actor=None)
    except Conflict:
        return False
    _close(row, rule, words, reading)
    return True


def _close(row: Submission, rule: RolloutRule, words: str, reading: Reading) -> None:
    """Keep what was decided and why, and tell the team."""
    rule.acted_at = clock.now()
    rule.is_armed = rule.action == RuleAction.ADVANCE
    rule.save(update_fields=["acted_at", "is_armed"])
    note(row, words, facts=_facts(row, rule, reading))
    if rule.action == RuleAction.ADVANCE:
        return
    about = {
        "platform": str(row.target.platform.label),
        "store": store_of(row.target).label,
        "reason": words,
    }
    cause = f"{row.pk}:{rule.pk}:{rule.acted_at.isoformat()}"
    notify(row.release, Notice.SUBMISSION_NEEDS_PERSON, cause=cause, words=about)


def _facts(row: Submission, rule: RolloutRule, reading: Reading) -> Mapping[str, Any]:
    source = str(rule.source) if rule.source else ""
    facts: dict[str, Any] = {
        "rule": rule.pk,
        "sentence": sentence_of(rule, store_of(row.target), source),
        "source": rule.source_id,
        "metric": rule.metric,
        "threshold": rule.threshold,
        "margin": rule.margin,
    }
    if reading.figure is not None:
        facts |= stored(reading.figure)
    if rule.margin is not None and reading.before is not None:
        facts["before"] = stored(reading.before)
    return facts


def _could_not(figure: str, reason: str) -> str:
    words = {"figure": figure, "reason": reason}
    return _("%(figure)s, and a rule could not stop it: %(reason)s") % words


def figure_words(rule: RolloutRule, reading: Reading) -> str:
    """`97.50 % crash-free sessions (900 sessions) in …`, for a rule that compares followed by what
    it was before."""
    figure, before = reading.figure, reading.before
    if figure is None:
        return ""
    words = _("%(value)s %(metric)s (%(sample)s) in %(source)s") % {
        "value": percent_words(figure.value),
        "metric": METRIC_NAMES[figure.metric],
        "sample": sample_words(rule.metric, figure.sample),
        "source": rule.source,
    }
    if rule.margin is None or before is None:
        return words
    return _("%(now)s, after %(value)s (%(sample)s) of the previous release") % {
        "now": words,
        "value": percent_words(before.value),
        "sample": sample_words(rule.metric, before.sample),
    }


def step_since(row: Submission) -> datetime:
    """When the roll-out came to where it is: it was neither elsewhere nor stopped since."""
    since: datetime = row.changed_at
    for event in row.events.order_by("-at", "-id")[:EVENTS_READ]:
        if (event.state, event.percent) != (row.state, row.percent):
            break
        since = event.at
    return since
