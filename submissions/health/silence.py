"""Tells a person, once, when the rules of a roll-out have had too little data for hours: nobody
watches it then, although somebody thinks so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from delivr.effects import clock
from integrations.providers.health import Metric
from integrations.providers.stores import SubmissionState
from releases.messages.notices import Notice, notify
from submissions.health.baseline import read_figure
from submissions.health.models import HealthWatch, RolloutRule
from submissions.health.verdicts import Verdict
from submissions.health.wording import METRIC_NAMES, percent_words, sample_words
from submissions.models import Submission, store_of

PATIENCE = timedelta(hours=6)  # some figures are hours old, and the first step is small


def note_silence(
    row: Submission, rules: Sequence[RolloutRule], verdicts: Mapping[str, Verdict]
) -> None:
    """After a look at a source, or one that failed: `verdicts` has those of its rules by their id.
    The caller holds the locks, and has stored what the source said."""
    now, is_rolling = clock.now(), row.state == SubmissionState.ROLLING_OUT
    for rule in rules:
        is_unknown = verdicts.get(rule.pk, Verdict.UNKNOWN) is Verdict.UNKNOWN
        if rule.pk in verdicts or not is_rolling:
            _keep(rule, (rule.unknown_since or now) if is_rolling and is_unknown else None)
    late = [r for r in rules if r.unknown_since and now - r.unknown_since >= PATIENCE]
    late.sort(key=lambda rule: (rule.unknown_since or now, rule.position))
    _tell(row, late[0] if late else None, now)


def _keep(rule: RolloutRule, since: datetime | None) -> None:
    if rule.unknown_since != since:
        rule.unknown_since = since
        rule.save(update_fields=["unknown_since"])


def _tell(row: Submission, rule: RolloutRule | None, now: datetime) -> None:
    """Keep why the longest silent rule is, and tell it unless that was done."""
    was_told = row.unjudged_since is not None
    row.unjudged_since, (row.unjudged, row.unjudged_hint) = None, ("", "")
    if rule is not None:
        row.unjudged_since = rule.unknown_since
        row.unjudged, row.unjudged_hint = _words(row, rule)
    row.save(update_fields=["unjudged_since", "unjudged", "unjudged_hint"])
    if rule is None or was_told:
        return
    words = {
        "platform": str(row.target.platform.label),
        "store": store_of(row.target).label,
        "reason": f"{row.unjudged} {row.unjudged_hint}",
    }
    cause = f"{row.pk}:unjudged:{now.isoformat()}"
    notify(row.release, Notice.SUBMISSION_NEEDS_PERSON, cause=cause, words=words)


def _words(row: Submission, rule: RolloutRule) -> tuple[str, str]:
    """What is missing, and the way forward."""
    watch = HealthWatch.objects.get(submission=row, source=rule.source_id)
    figures = {figure["metric"]: read_figure(figure) for figure in watch.figures}
    figure = figures.get(rule.metric)
    about: dict[str, str] = {
        "platform": str(row.target.platform.label),
        "source": str(rule.source),
        "version": row.release.version,
        "metric": str(METRIC_NAMES[Metric(rule.metric)]),
    }
    by_hand = _("Until then no rule stops or continues the roll-out: watch it, or halt it by hand.")
    if watch.read_error:
        what = _("%(platform)s: %(source)s cannot be asked, so a rule cannot judge the roll-out.")
        mend = _("It says: %(error)s Mend the connection.") % {"error": watch.read_error}
    elif figure is None:
        what = _("%(platform)s: %(source)s has had no %(metric)s of %(version)s for hours.")
        mend = _("Check that the app sends its sessions there under this version and build.")
    else:
        about |= {
            "value": percent_words(figure.value),
            "sample": sample_words(rule.metric, figure.sample),
        }
        what = _(
            "%(platform)s: %(value)s %(metric)s (%(sample)s) in %(source)s has been too little to "
            "judge for hours."
        )
        mend = _("Wait for more users, or give it to more of them.")
        if rule.margin is not None:
            what, mend = _compared(watch, rule, about) or (what, mend)
    return (what % about)[:500], f"{mend} {by_hand}"[:500]


def _compared(
    watch: HealthWatch, rule: RolloutRule, about: dict[str, str]
) -> tuple[str, str] | None:
    """The same of a rule that compares; None if the figure of before is not the reason."""
    before = next((kept for kept in watch.before if kept["metric"] == rule.metric), None)
    if before is None:
        return (
            _(
                "%(platform)s: %(source)s has no %(metric)s of an earlier release at this step, so "
                "a rule cannot compare."
            ),
            _("Give it to more users, where an earlier release may have figures."),
        )
    about |= {"earlier": before["version"], "value_before": percent_words(before["value"])}
    about["sample_before"] = sample_words(rule.metric, before["sample"])
    return (
        _(
            "%(platform)s: %(value)s %(metric)s (%(sample)s) in %(source)s has been too little for "
            "hours to tell it from %(value_before)s (%(sample_before)s) of %(earlier)s."
        ),
        _("Wait for more users, or give it to more of them."),
    )
