"""The effects in the repository: when they are created, and what waits for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import Postpone, wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import create_effect, wake
from releases.models import Release
from releases.repository.models import RepositoryPart

CREATE_BRANCH, TAG, DRAFT_RELEASE = "scm.create_branch", "scm.tag", "scm.draft_release"
GAVE_UP_PAUSE = timedelta(minutes=1)  # until a build looks again whether a person mended it


def part_of(release: Release) -> RepositoryPart:
    """The repository's part of a release; not saved, with everything off, where it has none."""
    found: RepositoryPart | None = getattr(release, "repository_part", None)
    return found or RepositoryPart(tenant_id=release.tenant_id, release=release)


def tag_of(version: str) -> str:
    return version if re.match(r"[vV]\d", version) else f"v{version}"


# --- The branch -----------------------------------------------------------------------------------


def begin(release: Release, part: RepositoryPart) -> None:
    """Have the branch created, if that is wanted. In the transaction that creates the release."""
    if part.creates_branch:
        create_effect(
            tenant=release.tenant,
            kind=CREATE_BRANCH,
            integration_id=release.scm_id,
            release_id=release.pk,
            dedupe_key=branch_key(release.pk),
        )


def branch_key(release_id: str) -> str:
    return f"release:{release_id}:branch"


def wait_for_branch(release: Release) -> None:
    """Raises Postpone while the release's branch is still to be created. If that gave up, a build
    waits until a person retries it, or gives it up for good: then the branch counts as it is."""
    effects = Effect.objects.for_tenant(release.tenant_id)
    effect = effects.filter(dedupe_key=branch_key(release.pk)).first()
    if effect is None or effect.state in (EffectState.DONE, EffectState.CANCELLED):
        return
    if effect.is_open:
        raise wait_for(effect, clock.now())
    raise Postpone(GAVE_UP_PAUSE)


def wake_builds(effect: Effect) -> None:
    """What the builds waited for has settled."""
    mine = Effect.objects.for_tenant(effect.tenant_id)
    wake(mine.filter(kind="build.trigger", release_id=effect.release_id, last_error_code=""))


# --- The tag and the draft ------------------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """The commit that all builds were made of; "" if there is no such one, for a `reason`."""

    commit: str
    reason: str = ""


def built(release: Release) -> Built:
    """By what the CI servers report. Where none does, it is the branch's head as it was looked up
    right before the last trigger, else the commit at which the branch was cut (ADR 14)."""
    reported: dict[str, list[str]] = {}
    for pipeline in release.pipelines.prefetch_related("builds"):
        newest = next(iter(pipeline.builds.all()), None)
        if newest is not None and newest.commit:
            reported.setdefault(newest.commit, []).append(pipeline.get_platform_display())
    if len(reported) == 1:
        return Built(next(iter(reported)))
    if reported:
        each = [f"{', '.join(names)} {commit[:7]}" for commit, names in reported.items()]
        words = _("The builds are of different commits: %(each)s.")
        return Built("", words % {"each": "; ".join(each)})
    known = release.branch_commit or part_of(release).commit
    return Built(known, "" if known else _("Nothing tells of which commit the builds are."))


def complete(release: Release, *, cause: str) -> None:
    """All builds succeeded, the last of them `cause`: have the commit tagged and a release drafted,
    as far as that is wanted. The caller holds the release's lock."""
    part = RepositoryPart.objects.filter(release=release).first()
    if part is None or not (part.makes_tag or part.drafts_release):
        return
    found = built(release)
    kind = TAG if part.makes_tag else DRAFT_RELEASE
    payload = {"commit": found.commit, "reason": found.reason, "cause": cause}
    create_for_commit(release, kind, payload)


def create_for_commit(release: Release, kind: str, payload: dict[str, str]) -> None:
    create_effect(
        tenant=release.tenant,
        kind=kind,
        integration_id=release.scm_id,
        release_id=release.pk,
        dedupe_key=f"release:{release.pk}:{kind}:{payload['cause']}",
        payload=payload,
    )
