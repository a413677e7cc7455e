"""Which release holds a version: no two live releases of an app have the same one (ADR 10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Q
from django.utils.translation import gettext as _

from delivr.tenants.models import Tenant
from integrations.models import TargetIntegration
from releases.models import Release, ReleaseStatus, ReleaseTarget

App = tuple[str, str]  # the store's kind, and what the store calls the app


def app_of(target: TargetIntegration) -> App:
    return target.target_type, target.app_identifier


def draft_targets(
    release: Release, targets: Iterable[TargetIntegration]
) -> Iterator[ReleaseTarget]:
    """The release's targets, not saved. Of two with the same app, the first holds the version."""
    held: set[App] = set()
    for target in targets:
        app = app_of(target)
        yield ReleaseTarget(
            tenant=release.tenant,
            release=release,
            target=target,
            store=target.target_type,
            app_identifier=target.app_identifier,
            held_version=None if app in held else release.version,
        )
        held.add(app)


def holders(tenant: Tenant, version: str, apps: Iterable[App]) -> list[Release]:
    """The live releases that hold this version for one of these apps, oldest first."""
    any_of = Q()
    for store, identifier in apps:
        any_of |= Q(store=store, app_identifier=identifier)
    if not any_of:
        return []
    rows = ReleaseTarget.objects.for_tenant(tenant).filter(any_of, held_version=version)
    found = Release.objects.for_tenant(tenant).filter(pk__in=rows.values("release"))
    return list(found.prefetch_related("targets").order_by("created_at", "pk"))


def free_version(release: Release) -> None:
    """Let the version of a cancelled release be used again."""
    release.targets.update(held_version=None)


def known_versions(tenant: Tenant, apps: Sequence[App], *, most: int) -> list[str]:
    """The versions of the last live releases of these apps, newest first; of all apps if none is
    given."""
    rows = Release.objects.for_tenant(tenant).exclude(status=ReleaseStatus.CANCELLED)
    if apps:
        any_of = Q()
        for store, identifier in apps:
            any_of |= Q(store=store, app_identifier=identifier)
        parts = ReleaseTarget.objects.for_tenant(tenant).filter(any_of)
        rows = rows.filter(pk__in=parts.values("release"))
    last = rows.order_by("-created_at", "-pk").values_list("version", flat=True)[:most]
    return list(dict.fromkeys(last))


def version_taken(version: str, by: Sequence[Release]) -> list[str]:
    """One error message for each release that holds the version; a general one if `by` is empty."""
    words = _("Release %(version)s of %(apps)s already exists.")
    named = [words % {"version": version, "apps": release.apps} for release in by]
    return named or [_("Release %(version)s already exists.") % {"version": version}]
