"""What can be done with a version after it was submitted."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from ..base import ProviderError
from ..stores import Act, StoreState, SubmissionPlan, SubmissionState
from .app import of_version
from .errors import UNCHANGED
from .resources import Resource
from .step import References, Step
from .testflight import ExpireOther
from .words import APPROVED, CANCELING, LONGEST_PAUSE, OPEN, PUBLISHED, UNSENT


class Withdraw(Step):
    def find(self) -> References | None:
        version = self.version()
        if version.text("appVersionState") == APPROVED:
            return None
        return None if self._submission(version) else {}

    def take(self) -> References:
        version = self.version()
        if version.text("appVersionState") == APPROVED:
            self._withdraw_approved(version)
        elif submission := self._submission(version):
            self.client.update(submission, canceled=True)
        return {}

    def _submission(self, version: Resource) -> Resource | None:
        """The one that is open and sent. One that Apple is canceling already was withdrawn."""
        found = of_version(self.app.submissions(), version)
        return found if found and found.text("state") in OPEN - {UNSENT} else None

    def _withdraw_approved(self, version: Resource) -> None:
        """Its review is complete, so there is nothing to cancel; only this older resource can be
        removed: https://developer.apple.com/documentation/appstoreconnectapi/delete-v1-appstoreversionsubmissions-_id_
        """
        path = f"/v1/appStoreVersions/{version.id}/appStoreVersionSubmission"
        submission = self.client.one(path)
        if submission is None:
            raise ProviderError.refused(
                "not_possible",
                "App Store Connect offers no way to withdraw this version by its API.",
                "Cancel the release in App Store Connect.",
            )
        self.client.delete(submission)


class Publish(Step):
    def find(self) -> References | None:
        return {} if self.version().text("appVersionState") in PUBLISHED else None

    def take(self) -> References:
        self.client.create(
            "appStoreVersionReleaseRequests",
            appStoreVersion=("appStoreVersions", self.version().id),
        )
        return {}


class PhaseStep(Step):
    wanted: str

    def find(self) -> References | None:
        phased = self._phased()
        return (
            {"phased_id": phased.id} if phased.text("phasedReleaseState") == self.wanted else None
        )

    def take(self) -> References:
        phased = self._phased()
        try:
            self.client.update(phased, phasedReleaseState=self.wanted)
        except ProviderError as error:
            if error.code != UNCHANGED:
                raise
        return {"phased_id": phased.id}

    def _phased(self) -> Resource:
        phased = self.version().one("appStoreVersionPhasedRelease")
        if phased is None:
            raise ProviderError.refused(
                "no_phased_release",
                f"Version {self.plan.version} has no phased release: all users can get it.",
                "A new version is the only way to give them another one.",
            )
        return phased


class Pause(PhaseStep):
    wanted = "PAUSED"


class Resume(PhaseStep):
    wanted = "ACTIVE"


class Complete(PhaseStep):
    wanted = "COMPLETE"


ACTS: Mapping[str, type[Step]] = {
    Act.WITHDRAW: Withdraw,
    Act.PUBLISH: Publish,
    Act.PAUSE: Pause,
    Act.RESUME: Resume,
    Act.COMPLETE: Complete,
    Act.EXPIRE: ExpireOther,
}

_AT_APPLE = (SubmissionState.WAITING_FOR_REVIEW, SubmissionState.IN_REVIEW)
_PHASED = (SubmissionState.ROLLING_OUT, SubmissionState.PAUSED)


def refusal(act: Act, state: StoreState) -> str:
    if act is Act.HALT:
        return _(
            "The App Store cannot halt a release: it has no way back. Pause it, so that nobody "
            "else gets it by automatic update, and submit a newer version."
        )
    if act is Act.ADVANCE:
        return _(
            "The App Store advances by itself, a day at a time, and its shares cannot be chosen. "
            "Complete the release to give it to all users now."
        )
    if act is Act.EXPIRE:
        return ""
    if act is Act.WITHDRAW:
        return _refused_withdrawal(state)
    if act is Act.PUBLISH:
        return _refused_publication(state)
    return _refused_phase(act, state)


def _refused_withdrawal(state: StoreState) -> str:
    if state.word == CANCELING:
        return _("Apple is withdrawing it already, which takes some minutes.")
    if state.state in (*_AT_APPLE, SubmissionState.REJECTED) or state.word == APPROVED:
        return ""
    if state.state in (SubmissionState.DRAFT, SubmissionState.WITHDRAWN):
        return _("It is not submitted, so there is nothing to withdraw.")
    return _(
        "It is published, and the App Store takes nothing back. Pause a phased release, or submit "
        "a newer version."
    )


def _refused_publication(state: StoreState) -> str:
    if state.word == APPROVED:
        return ""
    if state.state is SubmissionState.APPROVED:
        return _("Apple is publishing it already.")
    if state.state in (*_PHASED, SubmissionState.LIVE, SubmissionState.REPLACED):
        return _("It is published already.")
    return _("Only what Apple has approved can be published. Wait for the end of the review.")


def _refused_phase(act: Act, state: StoreState) -> str:
    if state.state not in _PHASED:
        return _(
            "This is possible only during a phased release, which begins once the version is "
            "published and ends after seven days."
        )
    if act is Act.PAUSE and state.state is SubmissionState.PAUSED:
        return _("It is paused already. Resume it, or complete it.")
    if act is Act.RESUME and state.state is SubmissionState.ROLLING_OUT:
        return _("It is not paused.")
    return ""


def consequence(act: Act, plan: SubmissionPlan, state: StoreState) -> str:
    names = {"version": plan.version, "days": LONGEST_PAUSE, "share": f"{state.percent or 0:g}"}
    if act is Act.WITHDRAW and state.state is SubmissionState.APPROVED:
        text = _(
            "Version %(version)s loses its approval and is not published; when it is submitted "
            "again, Apple reviews it anew."
        )
    elif act is Act.WITHDRAW:
        text = _(
            "Apple stops reviewing version %(version)s; when it is submitted again, it queues at "
            "the end."
        )
    elif act is Act.PUBLISH and plan.phased:
        text = _(
            "Version %(version)s becomes public: everybody can get it by hand, and 1 %% of the "
            "users with automatic updates get it on the first day, all of them after seven days. "
            "This cannot be undone."
        )
    elif act is Act.PUBLISH:
        text = _(
            "Version %(version)s becomes public, and all users get it within 24 hours. This cannot "
            "be undone."
        )
    elif act is Act.PAUSE:
        text = _(
            "No more users get version %(version)s by automatic update; the %(share)s %% who were "
            "chosen keep it, and everybody can still get it by hand. After %(days)s days of pauses "
            "in total, Apple continues."
        )
    elif act is Act.RESUME:
        text = _(
            "Apple continues to give version %(version)s to users with automatic updates, starting "
            "from %(share)s %%."
        )
    elif act is Act.EXPIRE:
        names["other"] = plan.other_build
        text = _(
            "Build %(other)s expires: its testers can no longer install or open it, and Apple ends "
            "its beta review. Then build %(version)s is submitted to it. This cannot be undone."
        )
        names["version"] = plan.build
    elif act is Act.COMPLETE:
        text = _(
            "All users with automatic updates get version %(version)s now. This cannot be undone."
        )
    else:
        return ""
    return text % names
