"""The interface to a source of health figures: how well a version works for its users."""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from .base import Provider


class Metric(enum.StrEnum):
    CRASH_FREE_SESSIONS = "crash_free_sessions"
    CRASH_FREE_USERS = "crash_free_users"
    ANR_RATE = "anr_rate"  # users for whom the app did not respond


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`value` is a percentage, `sample` the number of sessions or users it was counted over, and
    `until` the time up to which the source has counted."""

    metric: Metric
    value: float
    sample: int
    until: datetime


class HealthProvider(Provider):
    metrics: ClassVar[Sequence[Metric]]
    platforms: ClassVar[Sequence[str]]  # whose apps it knows

    @abstractmethod
    def figures(self, app: str, version: str, build: str, since: datetime) -> Sequence[Figure]:
        """What it counted for one build of an app from `since` on (network). Without any data it
        returns no figure, never one of 100 %. Raises ProviderError."""
