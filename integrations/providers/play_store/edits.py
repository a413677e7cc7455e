"""Changes of a track, each in an edit of its own that lives for seconds.

"Creating a new edit invalidates all active edits of the same app by the same user": so what can be
read without an edit is, and the caller holds the `lock_key` of the store around everything here.
https://developers.google.com/android-publisher/edits
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from ..base import Outcome, ProviderError
from ..http import before_effect, dicts, garbage
from ..stores import Act, BuildFile, SubmissionPlan
from .refusals import EDIT_GONE, LABEL
from .releases import (
    Goal,
    Release,
    Summary,
    changed,
    countries,
    described,
    first_entry,
    goal,
    in_the_way,
    is_alone,
    is_reached,
    newer,
    numbers,
    version_code,
    with_code,
    with_countries,
)
from .uploads import hash_of, upload

if TYPE_CHECKING:
    from .client import PlayClient

T = TypeVar("T")
_TRIES = 3  # of an edit that others end


class Edit:
    def __init__(self, app: App) -> None:
        document = app.client.post(f"{app.path}/edits")
        self.id = str(document.get("id") or "")
        if not self.id:
            raise garbage(LABEL)
        self._client = app.client
        self.path = f"{app.path}/edits/{quote(self.id, safe='')}"
        self._is_over = False

    def tracks(self) -> dict[str, list[Release]]:
        found = dicts(self._client.get(f"{self.path}/tracks").get("tracks"))
        return {
            str(track.get("track")): [Release.from_json(r) for r in dicts(track.get("releases"))]
            for track in found
        }

    def bundles(self) -> dict[int, str]:
        """The SHA-256 of each uploaded bundle that is not deleted, by its version code."""
        found = dicts(self._client.get(f"{self.path}/bundles").get("bundles"))
        return {
            code: str(item.get("sha256"))
            for item in found
            for code in numbers([item.get("versionCode")])
        }

    def version_codes(self) -> frozenset[int]:
        """Of all bundles and APKs that were uploaded and are not deleted."""
        return frozenset(
            code
            for kind in ("bundles", "apks")
            for code in numbers(
                item.get("versionCode")
                for item in dicts(self._client.get(f"{self.path}/{kind}").get(kind))
            )
        )

    def put(self, track: str, releases: Sequence[Mapping[str, Any]]) -> None:
        document = {"track": track, "releases": releases}
        self._client.put(f"{self.path}/tracks/{quote(track, safe='')}", document)

    def validate(self) -> None:
        """A dry run of `commit`, which raises its errors."""
        self._client.post(f"{self.path}:validate")

    def commit(self) -> None:
        """By default Google would cancel a review that is in progress; an error is asked for.

        `changesNotSentForReview` is left out: without it, changes are sent for review, or Google
        says that a person has to.
        """
        self._client.post(f"{self.path}:commit", changesInReviewBehavior="ERROR_IF_IN_REVIEW")
        self._is_over = True

    def discard(self) -> None:
        """Also after a commit whose answer was lost, so that it is not carried out later."""
        if not self._is_over:
            with contextlib.suppress(ProviderError):
                self._client.delete(self.path)


class App:
    """An app in Google Play, as one service account sees it."""

    def __init__(self, client: PlayClient, package: str) -> None:
        self.client = client
        self.path = f"/androidpublisher/v3/applications/{package}"

    def summaries(self, track: str) -> list[Summary]:
        """The releases of a track that count, at most 20, without an edit."""
        document = self.client.get(f"{self.path}/tracks/{quote(track, safe='')}/releases")
        return [Summary.from_json(item, track) for item in dicts(document.get("releases"))]

    @contextlib.contextmanager
    def edit(self) -> Iterator[Edit]:
        edit = before_effect(LABEL, lambda: Edit(self))
        try:
            yield edit
        finally:
            edit.discard()

    def tracks(self) -> dict[str, list[Release]]:
        """All tracks with all that edits tell of their releases."""

        def read() -> dict[str, list[Release]]:
            with self.edit() as edit:
                return edit.tracks()

        return again_if_gone(read)


def again_if_gone(work: Callable[[], T]) -> T:
    """Do it again at once if another program or a person ended the edit meanwhile: nothing of it
    was kept. Raises NOT_YET if that goes on."""
    was_gone = False
    for _ in range(_TRIES):
        try:
            return work()
        except ProviderError as error:
            if was_gone and error.outcome is Outcome.NOT_SENT:
                break  # no time is left for another edit
            if error.code != EDIT_GONE:
                raise
            was_gone = True
    raise ProviderError(
        EDIT_GONE,
        "Another program that uses this service account, or somebody in Play Console, ended "
        "delivr's changes several times.",
        "delivr tries again. Give delivr a service account of its own if this goes on.",
        outcome=Outcome.NOT_YET,
    )


class Step:
    """A step or act of a submission: looked for, and carried out."""

    def __init__(self, app: App, name: str, plan: SubmissionPlan, track: str) -> None:
        self._app, self._name, self._plan, self._track = app, name, plan, track
        self._code = version_code(plan.build)

    def find(self) -> Mapping[str, str] | None:
        """Its references if it was done, by whomever; an edit is opened only if the list of
        releases does not tell."""
        summaries = self._app.summaries(self._track)
        listed = next((s for s in summaries if self._code in s.codes), None)
        if listed is not None and listed.state != "PUBLISHED":
            return self._references(listed.state) if self._was_sent(listed) else None
        if listed is not None and self._name != Act.HALT and is_alone(listed, summaries):
            return self._references("completed")
        current = with_code(self._app.tracks().get(self._track, []), self._code)
        if current is None or not is_reached(self._name, self._plan, current):
            return None
        return self._references(current.status, current.fraction)

    def take(self, file: BuildFile | None = None) -> Mapping[str, str]:
        """`file` is the bundle to upload first, unless Google has it."""
        summaries = self._app.summaries(self._track)
        listed = next((s for s in summaries if self._code in s.codes), None)
        if listed is not None and self._was_sent(listed):
            return self._references(listed.state)
        if self._name != "promote":
            self._check_is_published(listed)
        is_rejected = listed is not None and listed.state == "NOT_APPROVED"
        return again_if_gone(lambda: self._change(file, is_rejected=is_rejected))

    def _was_sent(self, listed: Summary) -> bool:
        """It waits for Google or a person: sending it again would change nothing, or start its
        review anew."""
        sent = ("IN_REVIEW", "APPROVED_NOT_PUBLISHED", "NOT_SENT_FOR_REVIEW")
        return self._name == "promote" and listed.state in sent

    def _check_is_published(self, listed: Summary | None) -> None:
        if listed is None:
            raise ProviderError.refused(
                "not_on_track",
                f"Version code {self._code} is not on the track {self._track} any more.",
                "See Play Console: somebody may have removed it, or released a newer one.",
            )
        if listed.state != "PUBLISHED":
            raise ProviderError.refused(
                "not_published",
                f"{described(listed)} is not published on the track {self._track}: Google Play "
                f"says {listed.state}.",
                "Wait for its review, or see Play Console > Publishing overview.",
            )

    def _change(self, file: BuildFile | None, *, is_rejected: bool) -> Mapping[str, str]:
        """What was rejected is sent again although the track already has it."""
        with self._app.edit() as edit:
            tracks = before_effect(LABEL, edit.tracks)
            current = with_code(tracks.get(self._track, []), self._code)
            if current and not is_rejected and is_reached(self._name, self._plan, current):
                return self._references(current.status, current.fraction)
            if file is not None:
                before_effect(LABEL, lambda: self._bring(edit, file))
            wanted = before_effect(LABEL, lambda: self.try_in(edit, tracks))
            edit.commit()
        before = f"{current.status} {current.fraction or ''}".strip() if current else "absent"
        return self._references(wanted.status, wanted.fraction) | {
            "edit": edit.id,
            "before": before,
            **countries(current),
        }

    def _bring(self, edit: Edit, file: BuildFile) -> None:
        """Upload the bundle into the edit. If Google has one of this version code, it has to be the
        same: an earlier upload by whomever."""
        hashes = edit.bundles()
        if self._code not in hashes:
            code, _hash = upload(self._app.client, f"{edit.path}/bundles", file)
            if code != self._code:
                raise ProviderError.refused(
                    "other_version_code",
                    f"{file.name} has the version code {code}, not {self._code}.",
                    f"Submit it with the build {code}, or choose another build's file.",
                )
        elif hashes[self._code] != hash_of(file):
            raise ProviderError.refused(
                "other_bundle",
                f"Google Play has another bundle with the version code {self._code} than "
                f"{file.name}.",
                "Submit the one that it has, without an upload, or build again with a higher "
                "version code.",
            )
        self._app.client.renew()

    def try_in(self, edit: Edit, tracks: Mapping[str, Sequence[Release]]) -> Goal:
        """Everything but the commit."""
        track = tracks.get(self._track, [])
        if error := obstacle(self._name, self._code, track):
            raise error
        current = with_code(track, self._code)
        if current and current.status == "halted" and self._name in (Act.ADVANCE, Act.COMPLETE):
            raise ProviderError.refused(
                "halted",
                f"{described(current)} was halted.",
                "Resume it if it should go on.",
            )
        wanted = goal(self._name, self._plan, current)
        ours = current or first_entry(self._plan, tracks)
        if self._name == Act.RESUME:
            ours = with_countries(ours, self._plan)
        notes = self._plan.notes if self._name == "promote" else {}
        edit.put(self._track, changed(track, ours, wanted, notes))
        edit.validate()
        return wanted

    def _references(self, status: str, fraction: float | None = None) -> dict[str, str]:
        """What the step left, in place of what was remembered of an earlier one."""
        share = "" if fraction is None else str(fraction)
        return {"track": self._track, "status": status, "fraction": share, "read_at": ""}


def obstacle(step: str, code: int, track: Sequence[Release]) -> ProviderError | None:
    """Another release on the track, which the step would disturb."""
    if other := newer(track, code):
        return ProviderError.refused(
            "superseded",
            f"{described(other)} is newer and already on this track.",
            "Submit a build with a higher version code, or go on with that release.",
        )
    other = in_the_way(track, code)
    if other and step != Act.HALT:
        return ProviderError.refused(
            "rollout_in_the_way",
            f"{described(other)} is still being rolled out to {other.percent:g} % of the users of "
            "this track, and this would end it.",
            "Complete or halt that release first.",
        )
    return None
