"""An app in Google Play: its tracks, what people are served, and the switches of Play Console."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Release = dict[str, Any]  # as in the API, with its `lifecycle`
TRACKS = ("production", "beta", "alpha", "internal")
DRAFT, NOT_SENT, IN_REVIEW = "DRAFT", "NOT_SENT_FOR_REVIEW", "IN_REVIEW"
APPROVED, REJECTED, PUBLISHED = "APPROVED_NOT_PUBLISHED", "NOT_APPROVED", "PUBLISHED"
PREFIX = "RELEASE_LIFECYCLE_STATE_"
# What Play Console asks about an app, in the words of its refusals.
DECLARATIONS = {
    "exact_alarm": "You must let us know whether your app uses any exact alarm permissions.",
    "foreground_service": (
        "You must let us know whether your app uses any Foreground Service permissions."
    ),
    "ad_id": "You must let us know whether your app uses AD_ID: complete the declaration.",
}


@dataclass
class App:
    """`tracks`: what was last asked for; `serving`: what people can get; `earlier`: what they could
    get before, the newest last. `used`: version codes with their hashes. `is_unsent`: a change was
    rejected, or waits in Play Console for somebody to send it."""

    package: str
    tracks: dict[str, list[Release]] = field(default_factory=dict)
    serving: dict[str, list[Release]] = field(default_factory=dict)
    earlier: dict[str, list[Release]] = field(default_factory=dict)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    countries: dict[str, list[str]] = field(default_factory=dict)
    undeclared: list[str] = field(default_factory=list)
    is_draft: bool = False
    managed_publishing: bool = False
    is_unsent: bool = False

    def is_under_review(self) -> bool:
        return any(one["lifecycle"] == IN_REVIEW for many in self.tracks.values() for one in many)

    def known(self, track: str) -> list[Release]:
        """What the track shows beside an edit: also what people get until something new is out."""
        asked = self.tracks[track]
        codes = {code for one in asked for code in one["versionCodes"]}
        old = [one for one in self.serving[track] if not codes & set(one["versionCodes"])]
        return [*asked, *old]

    def add_track(self, name: str) -> None:
        self.tracks[name], self.serving[name], self.earlier[name] = [], [], []
        self.countries[name] = list(self.countries.get("production", ("IN", "GB", "US")))

    def highest_code(self) -> int:
        return max(map(int, self.used), default=0)

    def publish(self, track: str, release: Release) -> None:
        """From now on people get it, a part of them or all."""
        release["lifecycle"] = PUBLISHED
        codes = set(release["versionCodes"])
        others = [one for one in self.serving[track] if not codes & set(one["versionCodes"])]
        complete = [one for one in others if one["status"] == "completed"]
        if release["status"] == "completed":
            self.earlier[track] += complete
            complete = []
        self.serving[track] = [deepcopy(release), *complete]

    def take_back(self, track: str) -> Release | None:
        """The release that people get again after the newest one is halted for all."""
        return self.earlier[track].pop() if self.earlier[track] else None


def first_app(package: str) -> App:
    app = App(package)
    for name in TRACKS:
        app.add_track(name)
    release = {"name": "1.4.0", "versionCodes": ["140"], "status": "completed"}
    app.tracks["production"] = [{**release, "lifecycle": PUBLISHED}]
    app.serving["production"] = deepcopy(app.tracks["production"])
    app.used["140"] = {"sha1": "1" * 40, "sha256": "1" * 64}
    return app


def shown(release: Release) -> Release:
    """As the API tells it."""
    return {name: value for name, value in release.items() if name != "lifecycle"}
