"""The events that an endpoint can be told: of releases and their builds."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..base import Option

TEST = "test"  # the one that a person sends; no filter leaves it out
EVENTS = (
    "release.created",
    "release.complete",
    "release.failed",
    "release.cancelled",
    "release.submitted",
    "release.rolling_out",
    "release.released",
    "release.not_submitted",
    "release.not_released",
    "submission.rejected",
    "submission.needs_person",
    "build.queued",
    "build.waiting",
    "build.started",
    "build.complete",
    "build.failed",
    "build.not_started",
    "build.cancelled",
)


def clean_events(value: list[str]) -> list[str]:
    """Names of events without duplicates, in the order of `EVENTS`. Raises ValueError."""
    names = {str(item).strip() for item in value} - {""}
    if unknown := sorted(names - set(EVENTS)):
        words = {"name": unknown[0][:60], "events": ", ".join(EVENTS)}
        raise ValueError(_("There is no event “%(name)s”. The events are: %(events)s.") % words)
    return [name for name in EVENTS if name in names]


def event_options() -> list[Option]:
    return [Option(name, name) for name in EVENTS]
