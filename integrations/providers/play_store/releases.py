"""The releases of a track, as Google Play reports them and as they are to become.

https://developers.google.com/android-publisher/api-ref/rest/v3/edits.tracks
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..base import ProviderError
from ..http import dicts, parse_object
from ..stores import Act, SubmissionPlan

PREFIX = "RELEASE_LIFECYCLE_STATE_"
LARGEST_CODE = 2_100_000_000
NAME_LIMIT = 50  # characters of a release's name


@dataclass(frozen=True)
class Summary:
    """A release as it is listed without an edit. `state` is the store's word, without its prefix.

    https://developers.google.com/android-publisher/api-ref/rest/v3/applications.tracks.releases
    """

    name: str
    codes: frozenset[int]
    state: str
    track: str

    @classmethod
    def from_json(cls, document: Mapping[str, Any], track: str) -> Summary:
        codes = (artifact.get("versionCode") for artifact in dicts(document.get("activeArtifacts")))
        return cls(
            name=str(document.get("releaseName") or ""),
            codes=numbers(codes),
            state=str(document.get("releaseLifecycleState") or "").removeprefix(PREFIX),
            track=track,
        )


@dataclass(frozen=True)
class Release:
    """A release as an edit shows it. `fraction` of the users, None if it has none; `document` is
    what Google sent."""

    codes: frozenset[int]
    status: str  # draft, inProgress, halted or completed
    fraction: float | None = None
    document: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Release:
        fraction = document.get("userFraction")
        return cls(
            codes=numbers(document.get("versionCodes")),
            status=str(document.get("status") or ""),
            fraction=float(fraction) if isinstance(fraction, int | float) else None,
            document=document,
        )

    @property
    def name(self) -> str:
        return str(self.document.get("name") or "")

    @property
    def percent(self) -> float | None:
        """Of the users; of a halted release, those for whom it was."""
        if self.fraction is not None:
            return round(self.fraction * 100, 4)
        return 100.0 if self.status in ("completed", "halted") else None


def version_code(build: str) -> int:
    """Raises ProviderError unless it is one.

    https://developer.android.com/studio/publish/versioning
    """
    if build.isascii() and build.isdigit() and 0 < int(build[:20]) <= LARGEST_CODE:
        return int(build)
    raise ProviderError.refused(
        "bad_version_code",
        f"{build[:20] or 'Nothing'} is not a version code: a whole number up to {LARGEST_CODE:,}.",
        "Enter the version code of the build that is to be submitted.",
    )


def numbers(values: object) -> frozenset[int]:
    """The version codes of a list, which Google writes as numbers or as texts."""
    found = values if isinstance(values, Iterable) and not isinstance(values, str | bytes) else ()
    return frozenset(int(value) for value in found if str(value).isascii() and str(value).isdigit())


def described(release: Release | Summary) -> str:
    """ "1.6.0 (160)", as Play Console writes it."""
    codes = ", ".join(map(str, sorted(release.codes, reverse=True)))
    return f"{release.name} ({codes})" if release.name else codes


def with_code(releases: Iterable[Release], code: int) -> Release | None:
    return next((release for release in releases if code in release.codes), None)


def newer(releases: Iterable[Release], code: int) -> Release | None:
    """One that some users have, or all of them, in place of the one with this version code."""
    return next(
        (
            release
            for release in releases
            if release.status in ("inProgress", "completed") and _is_above(release, code)
        ),
        None,
    )


def in_the_way(releases: Iterable[Release], code: int) -> Release | None:
    """An older one that is being rolled out: starting another would end it."""
    return next(
        (
            release
            for release in releases
            if release.status == "inProgress" and code not in release.codes
        ),
        None,
    )


def is_alone(listed: Summary, summaries: Iterable[Summary]) -> bool:
    """All users have a published release if the track has no other one: below a partial or halted
    one there is always an earlier one, since the first on a track cannot be staged."""
    return listed.state == "PUBLISHED" and not any(
        other.state == "PUBLISHED" for other in summaries if other is not listed
    )


def _is_above(release: Release, code: int) -> bool:
    return code not in release.codes and max(release.codes, default=0) > code


# --- What a step wants ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Goal:
    """The status that a step gives to our release, and the fraction of the users."""

    status: str
    fraction: float | None = None


def goal(step: str, plan: SubmissionPlan, current: Release | None) -> Goal:
    """For the step or act of that name; `current` is our release on the track.

    A release is resumed where it stopped, unless the plan has a share.
    """
    before = current.fraction if current else None
    if step == Act.HALT:
        return Goal("halted", before)
    if step == Act.RESUME and plan.share is None and before is not None:
        return Goal("inProgress", before)
    share = {"promote": next(iter(plan.shares), None), Act.COMPLETE: None}.get(step, plan.share)
    if share is None or share >= 100:
        return Goal("completed")
    return Goal("inProgress", round(share / 100, 6))


def is_reached(step: str, plan: SubmissionPlan, current: Release) -> bool:
    """True if there is nothing left to do, whoever did it: a larger share counts, and whatever was
    released by hand is not promoted over it, even if it was halted or has a smaller share."""
    if step == Act.HALT:
        return current.status == "halted"
    if current.status == "completed":
        return True
    if step == "promote":
        return current.status in ("inProgress", "halted")
    if current.status != "inProgress" or step == Act.RESUME:
        return current.status == "inProgress"
    wanted = goal(step, plan, current)
    return wanted.status == "inProgress" and (current.fraction or 0) >= (wanted.fraction or 0)


def changed(
    track: Sequence[Release], ours: Release, wanted: Goal, notes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """All releases of a track after the change.

    The others stay as they are, except those that end with it: the completed one when ours is
    completed (a track has only one), and halted ones that are older. `userFraction` is only for
    partial releases, and `countryTargeting` for those that are being rolled out.
    """
    code = max(ours.codes)
    entry = dict(ours.document) | {
        "versionCodes": [str(number) for number in sorted(ours.codes)],
        "status": wanted.status,
    }
    entry.pop("userFraction", None)
    if wanted.fraction is not None:
        entry["userFraction"] = wanted.fraction
    if wanted.status != "inProgress":
        entry.pop("countryTargeting", None)
    if notes:
        entry["releaseNotes"] = [
            {"language": locale, "text": text} for locale, text in notes.items()
        ]
    kept = [
        dict(other.document)
        for other in track
        if other.codes
        and not other.codes & ours.codes
        and not _ends(other, code=code, is_completed=wanted.status == "completed")
    ]
    return [entry, *kept]


def _ends(other: Release, *, code: int, is_completed: bool) -> bool:
    if other.status == "completed":
        return is_completed
    return other.status == "halted" and max(other.codes) < code


def countries(release: Release | None) -> dict[str, str]:
    """A reference to the countries that a partial release is limited to. They are not allowed in a
    halted one, so they would be lost when it is resumed."""
    if release is None or release.status != "inProgress":
        return {}
    limit = release.document.get("countryTargeting")
    return {"countries": json.dumps(limit) if limit else ""}


def with_countries(release: Release, plan: SubmissionPlan) -> Release:
    """The halted release as it was before."""
    limit = parse_object(plan.references.get("countries") or "")
    if not limit or "countryTargeting" in release.document:
        return release
    return replace(release, document={**release.document, "countryTargeting": limit})


def first_entry(plan: SubmissionPlan, tracks: Mapping[str, Sequence[Release]]) -> Release:
    """Our release before it is on the plan's track: as another track has it, with all its version
    codes (the others are for other devices), its name and its notes."""
    code = version_code(plan.build)
    found = next(filter(None, (with_code(releases, code) for releases in tracks.values())), None)
    names = ("name", "releaseNotes", "inAppUpdatePriority")
    document = {n: found.document[n] for n in names if n in found.document} if found else {}
    document.setdefault("name", plan.version[:NAME_LIMIT])
    return Release(codes=found.codes if found else frozenset({code}), status="", document=document)
