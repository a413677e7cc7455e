"""What a person may ask for when a target is submitted, as far as its store knows it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from delivr.effects import clock
from integrations.models import TargetIntegration
from integrations.providers.ci import BuildStatus
from integrations.providers.stores import ReleaseType, StoreProvider
from releases.models import Release, ReleaseStatus, ReleaseTarget
from submissions.files import find_file, uploadable
from submissions.health.wishes import RuleWish, rule_errors, sources_of
from submissions.models import Preflight, Submission, store_of

if TYPE_CHECKING:
    from releases.models import ReleasePipeline

_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}")
_BUILD = re.compile(r"[0-9][0-9A-Za-z.]{0,39}")
_TRACK = re.compile(r"[A-Za-z0-9_:.-]{1,60}")
MOST_LOCALES, MOST_GROUPS, MOST_SHARES, LONGEST_NAME = 100, 20, 20, 100
Errors = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was asked for; an empty value is the default of the target's store."""

    store_build: str = ""
    track: str = ""
    testflight_groups: Sequence[str] = ()
    release_type: str = ""
    release_at: datetime | None = None
    is_phased: bool | None = None
    shares: Sequence[float] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    uses_encryption: bool | None = None
    rollout_rules: Sequence[RuleWish] = ()
    artifact: str = ""  # the name of a build's file that is to be uploaded


NO_WISHES = Wishes()


def draft(part: ReleaseTarget, wishes: Wishes = NO_WISHES) -> Submission:
    """The submission of a release's target, not saved."""
    store = store_of(part.target)
    build = wishes.store_build.strip() or built_number(part)
    return Submission(
        tenant_id=part.tenant_id,
        release=part.release,
        release_target=part,
        target=part.target,
        store_build=build,
        track=wishes.track.strip() or next(iter(store.tracks), ""),
        testflight_groups=list(wishes.testflight_groups),
        release_type=wishes.release_type or ReleaseType.MANUAL,
        release_at=wishes.release_at,
        is_phased=bool(wishes.is_phased),
        shares=list(wishes.shares),
        notes={locale: text.strip() for locale, text in wishes.notes.items() if text.strip()},
        uses_encryption=wishes.uses_encryption,
        file=find_file(part, name=wishes.artifact, number=build) if wishes.artifact else {},
    )


def built_number(part: ReleaseTarget) -> str:
    """The number of the newest build for the target, which is usually the one in the store; "" if
    it is unknown."""
    numbers = [p.build_number for p in pipelines_of(part) if p.build_number is not None]
    return str(max(numbers)) if numbers else ""


def pipelines_of(part: ReleaseTarget) -> list[ReleasePipeline]:
    """The release's pipelines that build for the target."""
    pipelines = part.release.pipelines.all()
    return [p for p in pipelines if p.pipeline.target_id == part.target_id]


def is_built(part: ReleaseTarget) -> bool:
    """All of its builds succeeded. A target without a pipeline here has what the store has."""
    return all(p.build_status == BuildStatus.SUCCESS for p in pipelines_of(part))


def errors_in(wishes: Wishes, submission: Submission) -> Errors:
    """Everything that is wrong with it, by the names of `Wishes`."""
    store = store_of(submission.target)
    found: Errors = {}
    for name, words in (
        *_build_errors(submission),
        *_file_errors(submission, wishes),
        *_place_errors(store, wishes),
        *_time_errors(store, wishes),
        *_share_errors(store, wishes),
        *_note_errors(store, wishes),
        *_rule_errors(submission, wishes),
    ):
        found.setdefault(name, []).append(words)
    return found


def _build_errors(submission: Submission) -> list[tuple[str, str]]:
    if not submission.store_build:
        words = _("Enter the build's number in the store: the CI server reported none.")
        return [("store_build", words)]
    if not _BUILD.fullmatch(submission.store_build):
        return [("store_build", _("This is not a build number, like 245 or 1.5.0.245."))]
    return []


def _file_errors(submission: Submission, wishes: Wishes) -> list[tuple[str, str]]:
    if not wishes.artifact or submission.file:
        return []
    store = store_of(submission.target)
    if not store.uploads:
        words = _("delivr does not upload builds to %(store)s: let the CI server do it.")
        return [("artifact", words % {"store": store.label})]
    names = ", ".join(file.name for file in uploadable(submission.release_target))
    words = _("The newest build has no such file that can be uploaded. It has: %(names)s.")
    return [("artifact", words % {"names": names or _("none")})]


def _place_errors(store: type[StoreProvider], wishes: Wishes) -> list[tuple[str, str]]:
    label = {"store": store.label}
    found = []
    if wishes.track and not store.tracks:
        found.append(("track", _("%(store)s has no tracks.") % label))
    elif wishes.track and not _TRACK.fullmatch(wishes.track.strip()):
        found.append(("track", _("This is not the name of a track, like production or beta.")))
    if wishes.testflight_groups and not store.has_groups:
        found.append(("testflight_groups", _("%(store)s has no groups of testers.") % label))
    if len(wishes.testflight_groups) > MOST_GROUPS:
        found.append(("testflight_groups", _("Choose at most %(n)d groups.") % {"n": MOST_GROUPS}))
    if wishes.uses_encryption is not None and not store.asks_about_encryption:
        words = _("%(store)s does not ask about encryption.") % label
        found.append(("uses_encryption", words))
    return found


def _time_errors(store: type[StoreProvider], wishes: Wishes) -> list[tuple[str, str]]:
    if wishes.release_type and not store.has_release_type:
        words = _("%(store)s has no release types.") % {"store": store.label}
        return [("release_type", words)]
    is_scheduled = wishes.release_type == ReleaseType.SCHEDULED
    if is_scheduled and (wishes.release_at is None or wishes.release_at <= clock.now()):
        return [("release_at", _("Enter a time in the future."))]
    if wishes.release_at is not None and not is_scheduled:
        return [("release_at", _("A time belongs to the release type SCHEDULED."))]
    return []


def _share_errors(store: type[StoreProvider], wishes: Wishes) -> list[tuple[str, str]]:
    label, found = {"store": store.label}, []
    if wishes.is_phased and not store.fixed_shares:
        words = _("%(store)s has no phased release. Enter the steps instead.")
        found.append(("is_phased", words % label))
    if wishes.shares and not store.picks_shares:
        words = _("%(store)s decides about the steps itself. Choose a phased release instead.")
        found.append(("shares", words % label))
    elif wishes.shares and not _rise(wishes.shares):
        words = _("Enter rising percentages above 0 and up to 100, like 1, 5, 20, 100.")
        found.append(("shares", words))
    if len(wishes.shares) > MOST_SHARES:
        found.append(("shares", _("Enter at most %(n)d steps.") % {"n": MOST_SHARES}))
    return found


def _rise(shares: Sequence[float]) -> bool:
    rises = all(low < high for low, high in pairwise(shares))
    return rises and shares[0] > 0 and shares[-1] <= 100


def _note_errors(store: type[StoreProvider], wishes: Wishes) -> list[tuple[str, str]]:
    found = []
    if len(wishes.notes) > MOST_LOCALES:
        found.append(("notes", _("Enter at most %(n)d languages.") % {"n": MOST_LOCALES}))
    for locale, text in wishes.notes.items():
        if not _LOCALE.fullmatch(locale):
            words = _("“%(locale)s” is not a language, like en-US.")
            found.append(("notes", words % {"locale": locale[:20]}))
        elif len(text) > store.notes_limit:
            words = _("%(locale)s: %(length)d characters; %(store)s allows %(most)d.")
            about = {"locale": locale, "length": len(text)}
            about |= {"store": store.label, "most": store.notes_limit}
            found.append(("notes", words % about))
    return found


def _rule_errors(submission: Submission, wishes: Wishes) -> list[tuple[str, str]]:
    if not wishes.rollout_rules:
        return []
    words = rule_errors(
        wishes.rollout_rules,
        store=store_of(submission.target),
        shares=wishes.shares,
        sources=sources_of(submission.target),
    )
    return [("rollout_rules", one) for one in words]


def preflight_of(part: ReleaseTarget) -> Preflight | None:
    found: Preflight | None = getattr(part, "preflight", None)
    return found


def wishes_for(target: TargetIntegration, values: Mapping[str, Any]) -> Wishes:
    """What a new form for the target begins with; `values` override it."""
    defaults: dict[str, Any] = {"is_phased": bool(store_of(target).fixed_shares)}
    return Wishes(**{**defaults, **values})


def takes_submissions(release: Release) -> bool:
    """Also if it is released in all stores to which it was submitted: not all targets need go to
    their stores on the same day."""
    return release.is_open or release.status == ReleaseStatus.RELEASED


def can_be_submitted(release: Release, part: ReleaseTarget) -> bool:
    return takes_submissions(release) and is_built(part) and part.target.disconnected_at is None
