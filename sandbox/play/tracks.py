"""The rules of a track's releases.

https://developers.google.com/android-publisher/api-ref/rest/v3/edits.tracks
https://developers.google.com/android-publisher/tracks
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from sandbox.play.app import App, Release
from sandbox.play.trouble import bad, forbidden

STATUSES = ("draft", "inProgress", "halted", "completed")
FIELDS = {
    "name": str,
    "versionCodes": list,
    "status": str,
    "userFraction": (int, float),
    "releaseNotes": list,
    "inAppUpdatePriority": int,
    "countryTargeting": dict,
}
NOTES_LIMIT, NAME_LIMIT = 500, 50  # characters
NOT_STAGED = "Fully released can not be staged"
FIRST = "The first release on a track cannot be staged"
ONLY_DRAFT = "Only releases with status draft may be created on draft app."
HALT_AND_NEW = (
    "You can't halt a fully rolled out release and create a new fully rolled out release in a"
    " single edit."
)
NO_UPGRADE = (
    "You cannot rollout this release because it does not allow any existing users to upgrade to"
    " the newly added APKs."
)


def read(app: App, sent: Any, codes: Iterable[str], track: str) -> list[Release]:
    """The releases of a body, checked one by one. `codes`: what may be released. Raises Trouble."""
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise bad("Invalid value at 'track.releases'")
    found = [_release(one, set(codes), track) for one in sent]
    counted = [one["status"] for one in found if one["versionCodes"]]
    if counted.count("completed") > 1:
        raise bad("Only one completed release may be specified in a track.")
    if counted.count("inProgress") + counted.count("halted") > 1:
        raise bad("Only one staged release may be specified in a track.")
    every = [code for one in found for code in one["versionCodes"]]
    if len(every) != len(set(every)):
        raise bad("A version code may only be specified in one release of a track.")
    return found


def _release(sent: dict[str, Any], codes: set[str], track: str) -> Release:
    for name, value in sent.items():
        if name not in FIELDS:
            raise bad(f"Invalid JSON payload received. Unknown name \"{name}\" at 'track.releases'")
        if not isinstance(value, FIELDS[name]) or isinstance(value, bool):  # type: ignore[arg-type]
            raise bad(f"Invalid value at 'track.releases.{name}'")
    wanted = [str(code) for code in sent.get("versionCodes", [])]
    for code in wanted:
        if code not in codes:
            raise bad(f"Version code {code} was not uploaded to this app.")
    if sent.get("status") not in STATUSES:
        raise bad("A release needs a status: draft, inProgress, halted or completed.")
    _check_fraction(sent)
    _check_words(sent)
    if "countryTargeting" in sent and (sent["status"], track) != ("inProgress", "production"):
        raise bad("Countries can only be chosen for a staged release in production.")
    name = sent.get("name") or (f"Release {wanted[0]}" if wanted else "")
    return {**sent, "name": name, "versionCodes": wanted}


def _check_fraction(sent: dict[str, Any]) -> None:
    status, fraction = sent["status"], sent.get("userFraction")
    if status in ("draft", "completed") and fraction is not None:
        raise bad(f"A release with status {status} must not have a userFraction.")
    if status == "inProgress" and fraction is None:
        raise bad("A release with status inProgress needs a userFraction.")
    if fraction is not None and not 0 < fraction < 1:
        raise bad("The userFraction must be greater than 0 and less than 1.")


def _check_words(sent: dict[str, Any]) -> None:
    if len(sent.get("name", "")) > NAME_LIMIT:
        raise bad(f"The release name must not be longer than {NAME_LIMIT} characters.")
    if not 0 <= sent.get("inAppUpdatePriority", 0) <= 5:
        raise bad("The inAppUpdatePriority must be from 0 to 5.")
    for note in sent.get("releaseNotes", []):
        if not isinstance(note, dict) or not note.keys() >= {"language", "text"}:
            raise bad("Release notes need a language and a text.")
        if len(note["text"]) > NOTES_LIMIT:
            where = f"for language {note['language']}"
            raise bad(f"Release notes {where} are too long: {NOTES_LIMIT} characters at most.")


def merged(app: App, track: str, before: list[Release], sent: list[Release]) -> list[Release]:
    """What the track becomes: the completed release stays below one that is not complete."""
    if not any(one["versionCodes"] for one in sent):
        return []
    codes = {code for one in sent for code in one["versionCodes"]}
    others = [one for one in before if not codes & set(one["versionCodes"])]
    if any(one["status"] == "completed" for one in sent):
        return sent
    if all(one["status"] == "draft" for one in sent):
        return [*sent, *(one for one in others if one["status"] != "draft")]
    kept = [one for one in others if one["status"] == "completed"]
    if not kept and app.earlier[track] and _halts_complete(before, sent):
        kept = [deepcopy(app.earlier[track][-1])]
    return [*sent, *kept]


def _halts_complete(before: list[Release], sent: list[Release]) -> bool:
    return any(
        one["status"] == "halted" and _same(before, one).get("status") == "completed"
        for one in sent
    )


def _same(releases: list[Release], release: Release) -> Release:
    """The release with these version codes; an empty one if there is none."""
    codes = set(release["versionCodes"])
    return next((one for one in releases if codes & set(one["versionCodes"])), {})


def check_steps(app: App, track: str, before: list[Release], sent: list[Release]) -> None:
    """Each release only goes where it may. Raises Trouble."""
    for release in sent:
        if release["versionCodes"]:
            _check_step(app, track, _same(before, release), release)
    if _halts_complete(before, sent):
        if any(one["status"] == "completed" and not _same(before, one) for one in sent):
            raise bad(HALT_AND_NEW)
        if track == "internal":
            raise bad("A release on the internal track cannot be halted.")
        if not app.earlier[track]:
            raise bad("Only a release with an earlier release on its track can be halted.")


def _check_step(app: App, track: str, old: Release, new: Release) -> None:
    was, will = old.get("status"), new["status"]
    if was == "completed" and will == "inProgress":
        raise bad(f"{NOT_STAGED}: {new['name']}")
    if was in ("inProgress", "halted", "completed") and will == "draft":
        raise bad("A release that was rolled out cannot become a draft.")
    if will == "halted" and was not in ("inProgress", "halted", "completed"):
        raise bad("Only a release that was rolled out can be halted.")
    is_climbing = (was, will) == ("inProgress", "inProgress")
    if is_climbing and new["userFraction"] < old["userFraction"]:
        raise bad("The userFraction of a release cannot be decreased; halt it instead.")
    if (
        was
        and was != "draft"
        and new.get("inAppUpdatePriority", 0) != old.get("inAppUpdatePriority", 0)
    ):
        raise bad("The inAppUpdatePriority cannot be changed after roll-out.")


def check_policy(app: App, track: str, releases: list[Release]) -> None:
    """What Google only looks at when an edit is validated or committed. Raises Trouble."""
    for release in releases:
        status, is_new = release["status"], not _same(app.serving[track], release)
        if status == "draft" or "lifecycle" in release:
            continue  # the second is there already, or is back
        if app.is_draft:
            raise bad(ONLY_DRAFT)
        is_first = not app.serving[track] and not app.earlier[track]
        if is_first and status in ("inProgress", "halted"):
            raise bad(FIRST)
        if is_new and not app.countries[track]:
            raise bad(f"Release in track targeting no countries: {track}")
        if is_new:
            _check_upgrade(app, track, release)


def _check_upgrade(app: App, track: str, release: Release) -> None:
    served = [int(code) for one in app.serving[track] for code in one["versionCodes"]]
    if served and max(map(int, release["versionCodes"])) < max(served):
        raise forbidden(NO_UPGRADE)
