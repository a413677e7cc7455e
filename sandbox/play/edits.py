"""Edits: transactions on an app, of which only one per API user is open and only the first wins.

https://developers.google.com/android-publisher/edits
"""

from __future__ import annotations

import secrets
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.play import app as apps
from sandbox.play import tracks
from sandbox.play.app import App, Release
from sandbox.play.base import Base
from sandbox.play.trouble import Trouble, bad, forbidden, missing, not_now

LIFETIME = 3600.0  # seconds
CANCEL, ERROR = "CANCEL_IN_REVIEW_AND_SUBMIT", "ERROR_IF_IN_REVIEW"
BEHAVIORS = ("CHANGES_IN_REVIEW_BEHAVIOR_TYPE_UNSPECIFIED", CANCEL, ERROR)
MUST_HOLD_BACK = (
    "Changes cannot be sent for review automatically. Please set the query parameter"
    " changesNotSentForReview to true. Once committed, the changes in this edit can be sent for"
    " review from the Google Play Console UI."
)
MUST_SEND = (
    "Changes are sent for review automatically. The query parameter changesNotSentForReview must"
    " not be set."
)
BUSY = (
    "There are changes in review. Committing this edit would cancel the review; wait for it, or"
    " set changesInReviewBehavior to CANCEL_IN_REVIEW_AND_SUBMIT."
)
PUBLIC, TESTING = "CAN_MANAGE_PUBLIC_APKS", "CAN_MANAGE_TRACK_APKS"


@dataclass
class Edit:
    """`uploaded`: version codes with their hashes, lost unless it is committed."""

    id: str
    package: str
    expires_at: float
    user: str = ""
    tracks: dict[str, list[Release]] = field(default_factory=dict)
    uploaded: dict[str, dict[str, str]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)  # the tracks that were written


class Edits:
    def __init__(self, play: Base) -> None:
        self._play = play
        self.open: dict[str, Edit] = {}

    def insert(self, package: str, user: str) -> Edit:
        """A copy of what is; the user's older edit of the app is gone."""
        self.end(package, user)
        edit_id = f"{secrets.randbelow(10**20):020d}"
        edit = Edit(edit_id, package, self._play.now + LIFETIME, user)
        edit.tracks = deepcopy(self._play.apps[package].tracks)
        self.open[edit_id] = edit
        self._play.record("edit.inserted", package=package, edit=edit_id, user=user)
        return edit

    def end(self, package: str, user: str | None = None) -> None:
        """Make the user's edits invalid; without a user, everybody's."""
        self.open = {
            key: edit
            for key, edit in self.open.items()
            if edit.package != package or user not in (None, edit.user)
        }

    def find(self, package: str, edit_id: str, user: str) -> Edit:
        """Raises Trouble."""
        edit = self.open.get(edit_id)
        if edit is None or (edit.package, edit.user) != (package, user):
            domain = "androidpublisher"
            words = "This Edit has been deleted."
            raise Trouble(400, words, "FAILED_PRECONDITION", "editNotFound", domain)
        if edit.expires_at <= self._play.now:
            words = "This edit has expired."
            raise Trouble(400, words, "FAILED_PRECONDITION", "editExpired", "androidpublisher")
        return edit

    def delete(self, edit: Edit) -> None:
        del self.open[edit.id]

    # Changing

    def write(self, edit: Edit, track: str, sent: Any) -> list[Release]:
        """Replace a track's releases. Raises Trouble."""
        app = self._play.apps[edit.package]
        before = self.track(edit, track)
        self._play.demand(edit.user, PUBLIC if track == "production" else TESTING)
        codes = {*app.used, *edit.uploaded}
        found = tracks.read(app, sent, codes, track)
        tracks.check_steps(app, track, app.tracks.get(track, []), found)
        edit.tracks[track] = tracks.merged(app, track, before, found)
        if track not in edit.changed:
            edit.changed.append(track)
        return edit.tracks[track]

    def track(self, edit: Edit, track: str) -> list[Release]:
        if track not in edit.tracks:
            raise missing(f"Track not found: {track}")
        return edit.tracks[track]

    def add_track(self, edit: Edit, name: str) -> None:
        if not name or name in edit.tracks:
            raise bad(f"The track {name!r} is there already, or has no name.")
        edit.tracks[name] = []
        edit.changed.append(name)

    def upload(self, edit: Edit, code: int, hashes: dict[str, str]) -> None:
        """Raises Trouble."""
        app, key = self._play.apps[edit.package], str(code)
        if key in app.used or key in edit.uploaded:
            raise forbidden(f"Version code {code} has already been used.")
        edit.uploaded[key] = hashes
        self._play.record("bundle.uploaded", package=edit.package, code=code, edit=edit.id)

    # Committing

    def validate(self, edit: Edit) -> None:
        """Raises Trouble, as a commit would."""
        app = self._play.apps[edit.package]
        for name in edit.changed:
            scratch = deepcopy(app)
            if name not in scratch.tracks:
                scratch.add_track(name)
            tracks.check_policy(scratch, name, edit.tracks[name])
        if app.undeclared and edit.changed:
            raise forbidden(apps.DECLARATIONS[app.undeclared[0]])

    def commit(self, edit: Edit, *, held_back: bool, behavior: str) -> None:
        """Raises Trouble; the edit stays valid then."""
        app = self._play.apps[edit.package]
        self.validate(edit)
        if app.is_unsent and not held_back:
            raise not_now(MUST_HOLD_BACK)
        if held_back and not app.is_unsent:
            raise not_now(MUST_SEND)
        if app.is_under_review() and behavior == ERROR:
            raise not_now(BUSY)
        if app.is_under_review() and not held_back:
            self._play.record("review.cancelled", package=app.package, edit=edit.id)
        apply(app, edit, held_back=held_back)
        self.end(app.package)
        self._play.record("edit.committed", package=app.package, edit=edit.id, user=edit.user)

    def dump(self) -> list[dict[str, Any]]:
        return [asdict(edit) for edit in self.open.values()]

    def load(self, data: list[dict[str, Any]]) -> None:
        self.open = {item["id"]: Edit(**item) for item in data}


def apply(app: App, edit: Edit, *, held_back: bool = False) -> None:
    """Make an edit's content the app's."""
    app.used |= edit.uploaded
    for name in edit.changed:
        if name not in app.tracks:
            app.add_track(name)
        before, app.tracks[name] = app.tracks[name], edit.tracks[name]
        if not edit.tracks[name]:
            app.serving[name] = []
        for release in edit.tracks[name]:
            _go_on(app, name, before, release, held_back=held_back)


def _go_on(
    app: App, track: str, before: list[Release], release: Release, *, held_back: bool
) -> None:
    """Publish a release, or have it reviewed, as far as it is new."""
    codes = release["versionCodes"]
    old = next((one for one in before if one["versionCodes"] == codes), {})
    if {**old, "lifecycle": ""} == {**release, "lifecycle": ""}:
        release["lifecycle"] = old["lifecycle"]  # nothing about it has changed
    elif release["status"] == "draft":
        release["lifecycle"] = apps.DRAFT
    elif not old and release.get("lifecycle") == apps.PUBLISHED:
        pass  # the earlier release that is back, since the newer one was halted
    elif track == "internal" or _needs_no_review(old, release):
        _publish(app, track, old, release)
    else:
        release["lifecycle"] = apps.NOT_SENT if held_back else apps.IN_REVIEW
        app.is_unsent = app.is_unsent or held_back


def _needs_no_review(old: Release, release: Release) -> bool:
    """A published release that reaches more people, or is halted, with the same notes."""
    same_notes = old.get("releaseNotes", []) == release.get("releaseNotes", [])
    return old.get("lifecycle") == apps.PUBLISHED and same_notes


def _publish(app: App, track: str, old: Release, release: Release) -> None:
    if (old.get("status"), release["status"]) == ("completed", "halted"):
        earlier = app.take_back(track)
        release["lifecycle"] = apps.PUBLISHED
        app.serving[track] = [deepcopy(release), *([earlier] if earlier else [])]
    else:
        app.publish(track, release)
