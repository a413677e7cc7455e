"""What Google Play says of a submission, and what can be done in each state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from ..stores import Act, StoreState, SubmissionPlan, SubmissionState
from .edits import App
from .releases import (
    Release,
    Summary,
    countries,
    described,
    is_alone,
    newer,
    version_code,
    with_code,
)

S = SubmissionState
EDITS_APART = timedelta(minutes=30)  # only to look whether somebody changed something by hand
_SAME_SHARE = 1e-5  # of the users
_STATUSES = {"draft": S.DRAFT, "inProgress": S.ROLLING_OUT, "halted": S.HALTED, "completed": S.LIVE}
_OVERVIEW = "Play Console > Publishing overview"
# https://developers.google.com/android-publisher/api-ref/rest/v3/applications.tracks.releases
_LISTED = {
    "DRAFT": (S.DRAFT, "", ""),
    "NOT_SENT_FOR_REVIEW": (
        S.NEEDS_PERSON,
        "The release is ready, but was not sent for review.",
        f"Send it for review in {_OVERVIEW}.",
    ),
    "IN_REVIEW": (S.IN_REVIEW, "", ""),
    "APPROVED_NOT_PUBLISHED": (
        S.APPROVED,
        "Google approved the release; managed publishing holds it back.",
        f"Publish it in {_OVERVIEW}.",
    ),
    "NOT_APPROVED": (
        S.REJECTED,
        "Google rejected the release. The reason is only in Play Console and in Google's email to "
        "the account's owner.",
        f"See {_OVERVIEW}, mend what Google names, and submit again.",
    ),
}


def read(app: App, plan: SubmissionPlan, track: str, *, url: str) -> StoreState:
    """Without an edit, as far as that suffices: the list of releases tells everything but the share
    of a partial roll-out and whether it is halted."""
    code = version_code(plan.build)
    summaries = app.summaries(track)
    listed = next((s for s in summaries if code in s.codes), None)
    if listed is not None and listed.state != "PUBLISHED":
        state, message, hint = _LISTED.get(listed.state, (S.NEEDS_PERSON, *_unknown(listed.state)))
        return _state(state, listed.state, plan, message=message, hint=hint, url=url)
    if listed is not None and is_alone(listed, summaries):
        return _of_release(Release(listed.codes, "completed"), plan, url)
    listing = _listing(summaries)
    if remembered := _remembered(plan.references, listing):
        return _of_release(remembered, plan, url)
    releases = app.tracks().get(track, [])
    current = with_code(releases, code)
    if (other := newer(releases, code)) and (current is None or current.status == "halted"):
        message = f"{described(other)} took its place on the track."
        return _state(S.REPLACED, other.status, plan, message=message, url=url)
    if current is None:
        return _absent(plan, track, url)
    if listed is None:  # committed a moment ago
        return _state(S.WAITING_FOR_REVIEW, current.status, plan, url=url)
    return replace(_of_release(current, plan, url), references=_memory(current, listing))


# --- What an edit told ----------------------------------------------------------------------------


def _listing(summaries: Iterable[Summary]) -> str:
    return " ".join(sorted(f"{max(s.codes, default=0)}:{s.state}" for s in summaries))


def _memory(release: Release, listing: str) -> dict[str, str]:
    """References that spare the next looks an edit, which would end another program's upload."""
    return {
        "listing": listing,
        "read_status": release.status,
        "read_fraction": "" if release.fraction is None else str(release.fraction),
        "read_at": timezone.now().isoformat(),
        **countries(release),
    }


def _remembered(references: Mapping[str, str], listing: str) -> Release | None:
    """Our release as an edit showed it, if that was not long ago, and the list of releases is the
    same. Only a share or a halt by hand is noticed later for it; every step looks itself."""
    read_at = references.get("read_at")
    if not read_at or references.get("listing") != listing:
        return None
    if timezone.now() - datetime.fromisoformat(read_at) >= EDITS_APART:
        return None
    fraction = references["read_fraction"]
    return Release(frozenset(), references["read_status"], float(fraction) if fraction else None)


def _unknown(word: str) -> tuple[str, str]:
    return f"Google Play says {word or 'nothing'} of the release.", f"See {_OVERVIEW}."


def _absent(plan: SubmissionPlan, track: str, url: str) -> StoreState:
    if "status" not in plan.references:
        return _state(S.DRAFT, "", plan, url=url)
    message = f"Somebody removed the release from the track {track} in Play Console."
    return _state(S.WITHDRAWN, "", plan, message=message, url=url, is_ours=False)


def _of_release(release: Release, plan: SubmissionPlan, url: str) -> StoreState:
    return _state(
        _STATUSES.get(release.status, S.NEEDS_PERSON),
        release.status,
        plan,
        percent=release.percent,
        is_ours=_is_ours(release, plan.references),
        url=url,
    )


def _is_ours(release: Release, references: Mapping[str, str]) -> bool:
    """Google does not tell who changed a release: it was somebody else if it is not as the last
    step left it. A step that only waited for its review left it unpublished."""
    status, fraction = references.get("status"), float(references.get("fraction") or 0)
    if status not in _STATUSES:
        return True
    return status == release.status and math.isclose(
        fraction, release.fraction or 0, abs_tol=_SAME_SHARE
    )


def _state(
    state: SubmissionState,
    word: str,
    plan: SubmissionPlan,
    *,
    percent: float | None = None,
    is_ours: bool = True,
    message: str = "",
    hint: str = "",
    url: str,
) -> StoreState:
    return StoreState(
        state=state,
        word=word,
        percent=percent,
        build=plan.build if word else "",
        is_ours=is_ours,
        message=message,
        hint=hint,
        url=url,
    )


# --- Acts -----------------------------------------------------------------------------------------


def refusal(act: Act, plan: SubmissionPlan, state: StoreState, track: str) -> str:
    if act is Act.PAUSE:
        return _("Google Play has no pause. Halt the roll-out instead: it can be resumed.")
    if act is Act.WITHDRAW:
        return _(
            "Google Play cannot be asked to withdraw a release. Remove the changes from review in "
            "Play Console > Publishing overview; delivr notices it."
        )
    if act is Act.PUBLISH:
        return _(
            "Only a person can publish what Google approved: in Play Console > Publishing "
            "overview. delivr notices it."
        )
    if act is Act.HALT and track == "internal":
        return _("A release on the internal track cannot be halted. Release a newer build to it.")
    return _of_state(act, plan, state)


_POSSIBLE = {
    Act.ADVANCE: (S.ROLLING_OUT,),
    Act.HALT: (S.ROLLING_OUT, S.LIVE),
    Act.RESUME: (S.HALTED,),
    Act.COMPLETE: (S.ROLLING_OUT,),
}


def _of_state(act: Act, plan: SubmissionPlan, state: StoreState) -> str:
    if state.state in _POSSIBLE[act]:
        return _of_share(plan, state) if act is Act.ADVANCE else ""
    if state.state is S.HALTED and act is Act.HALT:
        return _("The release is already halted.")
    if state.state is S.HALTED:
        return _("The release is halted. Resume it, with any share of the users.")
    if state.state is S.LIVE:
        return _("All users can already get this release.")
    if state.state is S.ROLLING_OUT:
        return _("The roll-out is not halted.")
    if state.state is S.REPLACED:
        return _("A newer release took its place on the track.")
    if state.state is S.REJECTED:
        return _("Google rejected this release. Submit it again once the reason is resolved.")
    return _("Google Play has not published this release yet. Wait for its review.")


def _of_share(plan: SubmissionPlan, state: StoreState) -> str:
    if plan.share is not None and state.percent is not None and plan.share <= state.percent:
        return _(
            "%(now)s %% of the users can already get it, and Google Play does not lower the share. "
            "Choose a larger one, or halt the release."
        ) % {"now": f"{state.percent:g}"}
    return ""


def consequence(act: Act, plan: SubmissionPlan, state: StoreState, track: str) -> str:
    resumed = act is Act.RESUME and plan.share is None
    share = state.percent if resumed else plan.share
    words = {
        "version": f"{plan.version} ({plan.build})",
        "track": track,
        "share": f"{share or 100:g}",
    }
    return _sentence(act, share, is_live=state.state is S.LIVE) % words


def _sentence(act: Act, share: float | None, *, is_live: bool) -> str:
    if act is Act.HALT and is_live:
        return _(
            "Nobody else on the track %(track)s gets %(version)s: new users get the release before "
            "it. Those who have it keep it."
        )
    if act is Act.HALT:
        return _("Nobody else on the track %(track)s gets %(version)s. Those who have it keep it.")
    if act is Act.COMPLETE or share is None or share >= 100:
        return _("All users of the track %(track)s get %(version)s.")
    if act is Act.RESUME:
        return _("The roll-out of %(version)s to %(share)s %% of the track %(track)s goes on.")
    return _("%(share)s %% of the users of the track %(track)s get %(version)s, at random.")
