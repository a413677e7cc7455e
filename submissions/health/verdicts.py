"""Whether a figure is good or bad, as far as its sample can tell."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import hypot, sqrt

from integrations.providers.health import Metric

Z = 1.959963984540054  # 95 % of a normal distribution lie within this many deviations
WHERE_LESS_IS_BETTER = (Metric.ANR_RATE,)


class Verdict(enum.StrEnum):
    GOOD = "GOOD"
    BAD = "BAD"
    UNKNOWN = "UNKNOWN"  # too little data to tell


def wilson(percent: float, sample: int) -> tuple[float, float]:
    """The bounds in percent between which the true share lies with a confidence of 95 %.

    Also right for small samples and shares close to 100 %:
    https://www.itl.nist.gov/div898/handbook/prc/section2/prc241.htm
    """
    share, z2 = percent / 100, Z * Z / sample
    middle = share + z2 / 2
    spread = Z * sqrt(share * (1 - share) / sample + z2 / (4 * sample))
    low, high = (middle - spread) / (1 + z2), (middle + spread) / (1 + z2)
    return max(100 * low, 0.0), min(100 * high, 100.0)


@dataclass(frozen=True)
class Share:
    """A percentage, and how many it was counted over."""

    percent: float
    sample: int


def difference(now: Share, before: Share) -> tuple[float, float]:
    """The bounds in percentage points between which `now` minus `before` truly lies with a
    confidence of 95 %: Newcombe's method, from the bounds of both.

    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I (method 10)
    """
    low, high = wilson(now.percent, now.sample)
    low_before, high_before = wilson(before.percent, before.sample)
    middle = now.percent - before.percent
    down = hypot(now.percent - low, high_before - before.percent)
    up = hypot(high - now.percent, before.percent - low_before)
    return middle - down, middle + up


def judge_against(
    metric: str, now: Share, before: Share, *, margin: float, min_sample: int
) -> Verdict:
    """BAD only if it is certainly worse than before by more than the margin, GOOD only if it
    certainly is not."""
    if min(now.sample, before.sample) < max(min_sample, 1):
        return Verdict.UNKNOWN
    low, high = difference(now, before)
    if metric in WHERE_LESS_IS_BETTER:
        low, high = -high, -low
    if high < -margin:
        return Verdict.BAD
    return Verdict.GOOD if low > -margin else Verdict.UNKNOWN


def judge(
    metric: str, percent: float, sample: int, *, threshold: float, min_sample: int
) -> Verdict:
    """BAD only if all that the sample allows is on the wrong side of the threshold, GOOD only if
    all of it is on the right one."""
    if sample < max(min_sample, 1):
        return Verdict.UNKNOWN
    low, high = wilson(percent, sample)
    below, above = high < threshold, low > threshold
    if metric in WHERE_LESS_IS_BETTER:
        below, above = above, below
    if below:
        return Verdict.BAD
    return Verdict.GOOD if above else Verdict.UNKNOWN
