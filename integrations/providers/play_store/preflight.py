"""Everything that stands in the way of a submission, found without changing anything.

One edit is opened for it and deleted again, since only an edit tells what Google would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..base import Check, ProviderError
from ..http import before_effect, guarded
from ..stores import SubmissionPlan
from ..verifying import is_fatal
from .checks import checks_of, with_page
from .edits import App, Edit, Step, again_if_gone, obstacle
from .refusals import EDIT_GONE, LABEL
from .releases import Release, Summary, described, is_reached, version_code, with_code

NOTES_LIMIT = 500  # characters for each language
# https://support.google.com/googleplay/android-developer/answer/9844778
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Preflight:
    """`sign_in` returns the app, or raises; `tracks` are those that every app has."""

    def __init__(
        self,
        sign_in: Callable[[], App],
        plan: SubmissionPlan,
        *,
        track: str,
        tracks: Sequence[str],
    ) -> None:
        self._sign_in, self._plan, self._track = sign_in, plan, track
        self._tracks = tuple(dict.fromkeys((track, *tracks)))

    def checks(self) -> Iterator[Check]:
        found = list(self._checks())
        failed = {check.name for check in found if is_fatal(check)}
        for check in found:
            if check.ok and check.name in failed:
                continue  # one source has nothing against it, another has
            yield with_page(check)

    def _checks(self) -> Iterator[Check]:
        yield from _notes(self._plan.notes)
        try:
            self._app = guarded(LABEL, self._sign_in)
            self._app.summaries(self._track)
        except ProviderError as error:
            yield from checks_of(error, otherwise="account")
            return
        yield Check(name="account", ok=True)
        yield from self._in_edit()
        yield from _tried("review", lambda: self._review(self._summaries()))

    def _summaries(self) -> Iterator[Summary]:
        """The releases of all tracks: one in review holds up the whole app."""
        for track in self._tracks:
            try:
                yield from self._app.summaries(track)
            except ProviderError as error:
                if error.code != "track_not_found":  # one that was never used
                    raise

    def _review(self, summaries: Iterable[Summary]) -> Iterator[Check]:
        for summary in summaries:
            name = f"{described(summary)} on {summary.track}"
            if summary.state == "IN_REVIEW" and not self._is_ours(summary):
                yield Check.failed(
                    "review",
                    "in_review",
                    f"{name} is in review, and Google takes no other change until that ends.",
                    "Wait for its end, or cancel it in Play Console > Publishing overview.",
                )
            elif summary.state in _WAITING:
                words, hint = _WAITING[summary.state]
                yield Check.warning("review", summary.state.lower(), f"{name} {words}", hint)

    def _is_ours(self, summary: Summary) -> bool:
        """What is submitted already needs no submission, and is in no one's way."""
        return summary.track == self._track and self._plan.build in map(str, summary.codes)

    def _in_edit(self) -> Iterator[Check]:
        try:
            code = version_code(self._plan.build)
            found = again_if_gone(lambda: self._ask(code))
        except ProviderError as error:
            found = checks_of(error)
        yield from found

    def _ask(self, code: int) -> list[Check]:
        with self._app.edit() as edit:
            tracks = before_effect(LABEL, edit.tracks)
            self._tracks = tuple(name for name, releases in tracks.items() if releases)
            has_build = any(with_code(releases, code) for releases in tracks.values())
            found = list(_build(edit, code, has_build=has_build, file=self._plan.file))
            found += _track(tracks.get(self._track, []), code)
            if any(check.code == TO_UPLOAD for check in found):
                words = "Google checks the change when the bundle is uploaded."
                return [*found, Check.untested("validation", words)]
            if reason := self._needless(found, with_code(tracks.get(self._track, []), code)):
                return [*found, Check.untested("validation", reason)]
            return found + list(self._validation(edit, tracks))

    def _needless(self, found: Iterable[Check], current: Release | None) -> str:
        """Why Google need not be asked what it says of the change; "" if it has to be."""
        if any(check.code in _HOPELESS for check in found):
            return "Not tried: the release is not possible for another reason."
        if current and is_reached("promote", self._plan, current):
            return "There is nothing to send: the release is on the track already."
        return ""

    def _validation(self, edit: Edit, tracks: Mapping[str, Sequence[Release]]) -> Iterator[Check]:
        step = Step(self._app, "promote", self._plan, self._track)
        try:
            before_effect(LABEL, lambda: step.try_in(edit, tracks))
        except ProviderError as error:
            if error.is_temporary or error.code == EDIT_GONE:
                raise
            yield from checks_of(error)
        else:
            yield Check(name="validation", ok=True)


_WAITING = {
    "NOT_SENT_FOR_REVIEW": (
        "was not sent for review: Google sends it together with this release.",
        "Discard it in Play Console > Publishing overview if it should not be.",
    ),
    "NOT_APPROVED": (
        "was rejected. Google may not send this release for review before that is resolved.",
        "See Play Console > Publishing overview.",
    ),
    "APPROVED_NOT_PUBLISHED": (
        "is approved and not published: managed publishing is on. This release will also wait "
        "until a person publishes it.",
        "Publish it in Play Console > Publishing overview, or switch managed publishing off.",
    ),
}
TO_UPLOAD = "to_upload"
_HOPELESS = ("version_code_unknown", "superseded", "rollout_in_the_way")


def _tried(name: str, find: Callable[[], Iterable[Check]]) -> list[Check]:
    """What was found, or that nothing was; a failed call is a check too."""
    try:
        return guarded(LABEL, lambda: list(find())) or [Check(name=name, ok=True)]
    except ProviderError as error:
        return [Check.from_error(name, error)]


def _notes(notes: Mapping[str, str]) -> Iterator[Check]:
    problems = [check for item in notes.items() for check in _note(*item)]
    yield from problems or [Check(name="notes", ok=True)]


def _note(locale: str, text: str) -> Iterator[Check]:
    if not _LOCALE.fullmatch(locale):
        yield replace(
            Check.failed(
                "notes",
                "bad_locale",
                f"{locale} is not a language of Google Play.",
                "It looks like en-US or de-DE.",
            ),
            subject=locale,
        )
    if len(text) > NOTES_LIMIT:
        yield replace(
            Check.failed(
                "notes",
                "too_long",
                f"What's new in {locale} has {len(text):,} characters; Google Play allows "
                f"{NOTES_LIMIT}.",
                "Shorten it.",
            ),
            subject=locale,
        )


def _build(edit: Edit, code: int, *, has_build: bool, file: str) -> Iterator[Check]:
    codes = frozenset({code}) if has_build else before_effect(LABEL, edit.version_codes)
    if code in codes:
        yield Check(name="build", ok=True, message=str(code))
        return
    if file:
        yield Check(name="build", ok=True, code=TO_UPLOAD, message=f"{file} will be uploaded.")
        return
    newest = f" The highest it has is {max(codes)}." if codes else ""
    yield Check.failed(
        "build",
        "version_code_unknown",
        f"Google Play does not have version code {code} of this app.{newest}",
        "Upload the build's bundle to a track, such as internal testing, by the pipeline or in "
        "Play Console. Or, if the build archived its bundle, have delivr upload it when you "
        "submit.",
    )


def _track(releases: Sequence[Release], code: int) -> list[Check]:
    if error := obstacle("promote", code, releases):
        return checks_of(error)
    completed = next((r for r in releases if r.status == "completed"), None)
    if completed and len(completed.codes) > 1 and code not in completed.codes:
        return [
            Check.warning(
                "track",
                "several_codes",
                f"{described(completed)} consists of several version codes, probably for different "
                "devices. This release replaces all of them.",
                "Upload one bundle that supports all devices, or release in Play Console.",
            )
        ]
    return [Check(name="track", ok=True)]
