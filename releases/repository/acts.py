"""The effects in the repository: when they are created, and what waits for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import Postpone, handler_for, wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import create_effect, wake
from integrations.models import ScmIntegration
from integrations.providers.registry import provider_class
from integrations.providers.scm import ScmProvider
from releases.models import Release
from releases.repository.models import RepositoryPart

CREATE_BRANCH, TAG, DRAFT_RELEASE = "scm.create_branch", "scm.tag", "scm.draft_release"


def part_of(release: Release) -> RepositoryPart:
    """The repository's part of a release; if there is none, an unsaved one with everything off."""
    found: RepositoryPart | None = getattr(release, "repository_part", None)
    return found or RepositoryPart(tenant_id=release.tenant_id, release=release)


def host_of(release: Release) -> type[ScmProvider]:
    """What its repository's host calls things."""
    return host_class(release.scm.kind)


def host_class(kind: str) -> type[ScmProvider]:
    return cast("type[ScmProvider]", provider_class((ScmIntegration.family, kind)))


def tag_of(version: str) -> str:
    return version if re.match(r"[vV]\d", version) else f"v{version}"


# --- The branch -----------------------------------------------------------------------------------


def begin(release: Release, part: RepositoryPart) -> None:
    """Create the effect for the branch, if the release wants one. In the transaction that creates
    the release."""
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
    """Raises Postpone while the release's branch is still to be created. If its creation gave up,
    builds wait until a person retries or cancels it; once cancelled, they use the branch as it
    is."""
    effects = Effect.objects.for_tenant(release.tenant_id)
    effect = effects.filter(dedupe_key=branch_key(release.pk)).first()
    if effect is None or effect.state in (EffectState.DONE, EffectState.CANCELLED):
        return
    if effect.is_open:
        raise wait_for(effect, clock.now())
    raise Postpone(handler_for(effect.kind).expires_after, effect)  # until `wake_builds`


def wake_builds(effect: Effect) -> None:
    """What the builds waited for has settled. None of them was sent yet, so none waits for anything
    else, whatever its last error was."""
    mine = Effect.objects.for_tenant(effect.tenant_id)
    wake(mine.filter(kind="build.trigger", release_id=effect.release_id))


# --- The tag and the draft ------------------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """The commit that all builds were made from; "" if there is none, and `reason` says why."""

    commit: str
    reason: str = ""


def built(release: Release) -> Built:
    """The commit that the CI servers report. If none reports one, the branch's head as it was
    looked up right before the last trigger, or else the commit at which the branch was cut (ADR
    14)."""
    reported: dict[str, list[str]] = {}
    for pipeline in release.pipelines.prefetch_related("builds"):
        newest = next(iter(pipeline.builds.all()), None)
        if newest is not None and newest.commit:
            reported.setdefault(newest.commit, []).append(pipeline.get_platform_display())
    if len(reported) == 1:
        return Built(next(iter(reported)))
    if reported:
        each = [f"{', '.join(names)} {commit[:7]}" for commit, names in reported.items()]
        words = _("The builds were made from different commits: %(each)s.")
        return Built("", words % {"each": "; ".join(each)})
    known = known_commit(release)
    return Built(known, "" if known else _("It is unknown which commit the builds were made from."))


def known_commit(release: Release) -> str:
    """The branch's newest commit as far as it was looked up; "" if it never was."""
    return release.branch_commit or part_of(release).commit


def complete(release: Release, *, cause: str) -> None:
    """All builds have succeeded, `cause` as the last one: create the effects that tag the commit
    and draft a release, if wanted. The caller holds the release's lock."""
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
