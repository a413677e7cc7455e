"""What the steps share: the build and the version that they are about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ..base import ProviderError
from ..http import dicts, vendor_words
from ..stores import SubmissionPlan
from .app import App, of_version, version_in
from .errors import not_yet
from .resources import Resource
from .words import EDITABLE, IN_SUBMISSION

References = Mapping[str, str]
_PROCESSING = 60.0  # seconds between looks at a build that takes 5 to 30 minutes


class Step(ABC):
    """One change in App Store Connect, found by its natural key: what was made is looked up by its
    number, version or group, never by an id that somebody may have replaced meanwhile."""

    def __init__(self, app: App, plan: SubmissionPlan) -> None:
        self.app, self.client, self.plan = app, app.client, plan

    @abstractmethod
    def find(self) -> References | None:
        """Its references if it is done, by whomever."""

    @abstractmethod
    def take(self) -> References:
        """Do it. All reads come before the first change."""

    def build(self) -> Resource:
        """The processed build. Raises NOT_YET while there is none."""
        build = self.app.build(self.plan)
        name = f"build {self.plan.build} of version {self.plan.version}"
        if build is None:
            if reasons := upload_errors(self.app.upload(self.plan), self.client.secrets):
                raise _refused_build(f"Apple refused {name}: {reasons}")
            raise not_yet(
                "build_missing", f"App Store Connect has no {name} yet.", seconds=_PROCESSING
            )
        state = build.text("processingState")
        if state in ("FAILED", "INVALID"):
            raise _refused_build(f"Apple could not process {name}.")
        if build.get("expired") is True:
            raise _refused_build(f"The {name} has expired.")
        if state != "VALID" or build.one("buildBetaDetail") is None:
            raise not_yet(
                "build_processing", f"Apple is still processing {name}.", seconds=_PROCESSING
            )
        return build

    def version(self) -> Resource:
        """Raises REFUSED if it is not there any more."""
        version = self.app.version(self.plan)
        if version is None:
            raise ProviderError.refused(
                "version_missing",
                f"Version {self.plan.version} is not in App Store Connect: it was renamed or "
                "deleted there.",
                "Submit it anew.",
            )
        return version

    def editable_version(self) -> Resource:
        version = self.version()
        if not is_editable(version):
            raise ProviderError.refused(
                "version_not_editable",
                f"Version {self.plan.version} was submitted already, so that it cannot be changed.",
                "Withdraw it first if it has to change.",
            )
        return version

    def draft_version(self) -> Resource:
        """The version while its build and texts can be changed. One that was added to a submission
        is taken out of it first, which a later step undoes. Raises NOT_YET then."""
        version = self.editable_version()
        if version.text("appVersionState") != IN_SUBMISSION:
            return version
        submission = of_version(self.app.submissions(), version)
        item = self.item(submission, version) if submission else None
        if item:
            self.client.delete(item)
        raise not_yet("version_in_submission", "Apple is taking the version out of its submission.")

    def item(self, submission: Resource, version: Resource) -> Resource | None:
        """The version in the submission. Apple may leave out what an item is of: then it is ours if
        the version is in this submission and nothing else is."""
        items = [one for one in self.app.items(submission) if one.text("state") != "REMOVED"]
        for item in items:
            inside = item.one("appStoreVersion")
            if inside and inside.id == version.id:
                return item
        is_alone = len(items) == 1 and version_in(submission) == version.id
        return items[0] if is_alone else None


class VersionStep(Step):
    """A change of the version that is possible only before it is submitted. Whoever submitted it
    decided how it is: then nothing is left to do."""

    def find(self) -> References | None:
        version = self.app.version(self.plan)
        if version is None:
            return None
        return {} if not is_editable(version) else self.find_in(version)

    @abstractmethod
    def find_in(self, version: Resource) -> References | None:
        """Its references if the editable version has it."""


def is_editable(version: Resource) -> bool:
    return version.text("appVersionState") in EDITABLE


def upload_errors(upload: Resource | None, secrets: Sequence[str]) -> str:
    """Why Apple refused an upload, in its words; "" if it did not."""
    state = upload.get("state") if upload else None
    if not isinstance(state, dict) or state.get("state") != "FAILED":
        return ""
    found = (
        vendor_words(e.get("description"), secrets=secrets) for e in dicts(state.get("errors"))
    )
    return " ".join(text for text in found if text) or "it gives no reason."


def _refused_build(message: str) -> ProviderError:
    return ProviderError.refused("build_invalid", message, "Upload another build.")
