"""The effects that create a release's branch, tag its commit and draft a release of it.

Each has a natural key at the host (the name of the branch, of the tag, or of the release's tag).
After a lost response it is found by this key, and a second attempt cannot create it twice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Postpone, Unneeded
from delivr.effects.models import Effect
from delivr.failures import Outcome, ProviderError
from integrations.models import ScmIntegration
from integrations.providers.registry import provider_for
from integrations.providers.scm import Ref, ReleaseDraft
from releases.models import Release, ReleaseStatus
from releases.of_effects import connection_of
from releases.repository.acts import (
    DRAFT_RELEASE,
    built,
    create_for_commit,
    part_of,
    tag_of,
    wake_builds,
)
from releases.repository.changes import look_soon
from releases.repository.models import RepositoryPart
from releases.repository.notes import notes_of

NOTES_PATIENCE = timedelta(minutes=2)  # how long a draft waits for the list of changes
NOTES_PAUSE = timedelta(seconds=5)


def scm_of(effect: Effect) -> Any:
    return provider_for(connection_of(effect, ScmIntegration))


def release_with_part(effect: Effect) -> Release:
    rows = Release.objects.for_tenant(effect.tenant_id).select_related("repository_part", "tenant")
    found: Release = rows.get(pk=effect.release_id)
    return found


def update_part(effect: Effect, **values: Any) -> None:
    parts = RepositoryPart.objects.for_tenant(effect.tenant_id)
    parts.filter(release_id=effect.release_id).update(**values)


class InRepository(EffectHandler):
    cap = timedelta(minutes=15)
    max_attempts = 30
    expires_after = timedelta(hours=24)


class CreateBranch(InRepository):
    """Cuts the release's branch at the newest commit of its base. This commit is looked up once:
    later commits of the base do not change the plan."""

    def prepare(self, effect: Effect) -> None:
        release = release_with_part(effect)
        if release.status == ReleaseStatus.CANCELLED:
            raise Unneeded
        if not part_of(release).base_commit:
            self._plan(effect, part_of(release).base_branch)

    def _plan(self, effect: Effect, base: str) -> None:
        scm = scm_of(effect)
        base = base or scm.default_branch()
        found = scm.read_branch(base)
        if found is None:
            raise ProviderError(
                "base_missing",
                _("The base branch %(base)s does not exist.") % {"base": base},
                _("Create it and retry, or cancel this and create another release."),
                outcome=Outcome.REFUSED,
            )
        update_part(effect, base_branch=base, base_commit=found.commit)

    def send(self, effect: Effect) -> dict[str, Any]:
        release = release_with_part(effect)
        made = scm_of(effect).create_branch(release.branch, commit=part_of(release).base_commit)
        return self._result(made)

    def find(self, effect: Effect) -> dict[str, Any] | None:
        """Commits pushed to the branch since then do not make it a different branch."""
        release = release_with_part(effect)
        planned, scm = part_of(release).base_commit, scm_of(effect)
        there: Ref | None = scm.read_branch(release.branch)
        if there is None:
            return None
        if there.commit == planned or scm.compare(planned, there.commit, most=1).behind == 0:
            return self._result(there, commit=planned)
        return None  # `send` says why it is in the way

    def _result(self, there: Ref, commit: str = "") -> dict[str, Any]:
        return {"commit": commit or there.commit, "head": there.commit, "url": there.url}

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        now = clock.now()
        update_part(effect, commit=result["commit"])
        Release.objects.for_tenant(effect.tenant_id).filter(pk=effect.release_id).update(
            branch_exists=True,
            branch_commit=result["head"],
            branch_trouble="",
            branch_checked_at=now,
            branch_look_at=now,  # for the commit's title
        )
        look_soon(effect.release_id)
        wake_builds(effect)

    def gave_up(self, effect: Effect) -> None:
        wake_builds(effect)

    def revive(self, effect: Effect) -> None:
        """Look the base up again, unless an earlier attempt may have used it."""
        if effect.dispatched_at is None:
            update_part(effect, base_commit="")


class OfBuiltCommit(InRepository):
    """An action on the built commit, once all builds are complete. If something is built again, it
    is no longer needed: a new effect follows when that build is complete."""

    def prepare(self, effect: Effect) -> None:
        release = release_with_part(effect)
        if not release.is_built:
            raise Unneeded
        if not effect.payload["commit"]:
            raise ProviderError(
                "commit_unknown",
                effect.payload["reason"],
                _("Build all of them again from one commit, or do this yourself and cancel this."),
                outcome=Outcome.REFUSED,
            )

    def revive(self, effect: Effect) -> None:
        if not effect.payload["commit"]:
            found = built(release_with_part(effect))
            effect.payload |= {"commit": found.commit, "reason": found.reason}


class CreateTag(OfBuiltCommit):
    def send(self, effect: Effect) -> dict[str, Any]:
        name = tag_of(release_with_part(effect).version)
        return self._result(scm_of(effect).create_tag(name, commit=effect.payload["commit"]))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        there: Ref | None = scm_of(effect).read_tag(tag_of(release_with_part(effect).version))
        if there is None or there.commit != effect.payload["commit"]:
            return None  # `send` says that it is at another commit
        return self._result(there)

    def _result(self, there: Ref) -> dict[str, Any]:
        return {"tag": there.name, "commit": there.commit, "url": there.url}

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        update_part(
            effect, tag=result["tag"], tag_url=result["url"], tagged_commit=result["commit"]
        )
        release = release_with_part(effect)
        if part_of(release).drafts_release:
            create_for_commit(release, DRAFT_RELEASE, effect.payload)


class DraftRelease(OfBuiltCommit):
    def prepare(self, effect: Effect) -> None:
        super().prepare(effect)
        is_young = clock.now() - effect.created_at < NOTES_PATIENCE
        if is_young and part_of(release_with_part(effect)).look_at is not None:
            raise Postpone(NOTES_PAUSE)  # the notes list the changes

    def send(self, effect: Effect) -> dict[str, Any]:
        release = release_with_part(effect)
        draft = ReleaseDraft(
            tag=tag_of(release.version),
            commit=effect.payload["commit"],
            name=release.version,
            notes=notes_of(release),
        )
        return self._result(scm_of(effect).draft_release(draft))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        """A draft for an earlier candidate does not count: `send` moves it to the commit."""
        found = scm_of(effect).read_release(tag_of(release_with_part(effect).version))
        if found is None or (found.is_draft and found.commit != effect.payload["commit"]):
            return None
        return self._result(found)

    def _result(self, found: Any) -> dict[str, Any]:
        return {"url": found.url, "tag": found.tag, "isDraft": found.is_draft}

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        update_part(effect, release_url=result["url"])
