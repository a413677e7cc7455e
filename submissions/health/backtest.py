"""What a rule would have done to earlier submissions, from the readings that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import TargetIntegration
from integrations.providers.health import Metric
from submissions.health.baseline import figure_of, nearest
from submissions.health.deciding import BAD_READINGS, Reading, verdict_of
from submissions.health.models import HealthReading, RolloutRule, RuleAction
from submissions.health.verdicts import Verdict
from submissions.health.wording import METRIC_NAMES, percent_words, sample_words
from submissions.models import Submission

MOST_SUBMISSIONS, MOST_READINGS = 10, 10_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`at` is when the rule would have acted; None if it would not have."""

    version: str
    at: datetime | None
    words: str


def back_test(rule: RolloutRule, target: TargetIntegration) -> list[Outcome]:
    """For each of the target's newest submissions of which there are readings, the newest first
    (two queries). A rule that waits only has no outcome."""
    if rule.source_id is None:
        return []
    mine = HealthReading.objects.for_tenant(target.tenant_id).filter(
        source=rule.source_id, metric=rule.metric
    )
    rows = Submission.objects.for_tenant(target.tenant_id).filter(target=target.pk)
    rows = rows.filter(pk__in=mine.values("submission")).select_related("release")
    newest = list(rows[:MOST_SUBMISSIONS])
    readings = mine.filter(submission__in=newest).order_by("submission", "at", "id")
    found = {
        submission_id: list(group)
        for submission_id, group in groupby(
            readings[:MOST_READINGS], key=lambda reading: reading.submission_id
        )
    }
    with_readings = [row for row in newest if row.pk in found]
    earlier = [*(found[row.pk] for row in with_readings[1:]), []]
    return [
        _replay(rule, row, _judged(rule, found[row.pk], before))
        for row, before in zip(with_readings, earlier, strict=False)
    ]


@dataclass(frozen=True)
class _Judged:
    reading: HealthReading
    verdict: Verdict


def _judged(
    rule: RolloutRule, readings: Sequence[HealthReading], earlier: Sequence[HealthReading]
) -> list[_Judged]:
    """What the rule said of each; one that compares looks at the submission before, at the same
    stage."""
    at_stage: dict[float | None, list[HealthReading]] = {}
    for reading in earlier if rule.margin is not None else ():
        at_stage.setdefault(reading.percent, []).append(reading)
    began: dict[float | None, datetime] = {}
    found = []
    for reading in readings:
        age = reading.at - began.setdefault(reading.percent, reading.at)
        same = at_stage.get(reading.percent)
        before = figure_of(nearest(same, same[0].at + age)) if same else None
        pair = Reading(figure_of(reading), before)
        found.append(_Judged(reading, verdict_of(rule, pair)))
    return found


def _replay(rule: RolloutRule, row: Submission, readings: Sequence[_Judged]) -> Outcome:
    is_advance = rule.action == RuleAction.ADVANCE
    acts = _first_good(rule, readings) if is_advance else _first_bad(readings)
    version = row.release.version
    if acts is None:
        words = ngettext("Nothing: %(n)d reading.", "Nothing: %(n)d readings.", len(readings)) % {
            "n": len(readings)
        }
        return Outcome(version=version, at=None, words=words)
    about = {
        "time": f"{acts.at:%-d %b %Y %H:%M}",
        "value": percent_words(acts.value),
        "metric": METRIC_NAMES[Metric(acts.metric)],
        "sample": sample_words(acts.metric, acts.sample),
    }
    if is_advance:
        words = _("First step on %(time)s UTC, with %(value)s %(metric)s (%(sample)s).")
    else:
        words = _("Stopped on %(time)s UTC, with %(value)s %(metric)s (%(sample)s).")
    return Outcome(version=version, at=acts.at, words=words % about)


def _first_bad(readings: Sequence[_Judged]) -> HealthReading | None:
    in_a_row = 0
    for one in readings:
        in_a_row = in_a_row + 1 if one.verdict is Verdict.BAD else 0
        if in_a_row == BAD_READINGS:
            return one.reading
    return None


def _first_good(rule: RolloutRule, readings: Sequence[_Judged]) -> HealthReading | None:
    earliest = readings[0].reading.at + timedelta(hours=rule.after_hours or 0)
    later = (one for one in readings if one.reading.at >= earliest)
    return next((one.reading for one in later if one.verdict is Verdict.GOOD), None)
