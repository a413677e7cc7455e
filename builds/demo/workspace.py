"""The demo workspace: empty after `make run`; `manage.py demo --connected` connects it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from builds.demo.history import ensure_history
from builds.demo.many import multiply
from builds.models import Build
from builds.triggering import trigger_builds
from delivr import outbound
from delivr.failures import ProviderError
from delivr.run import keys
from delivr.tenants.models import Membership, Role, Tenant, User
from delivr.tenants.operations import create_tenant
from integrations.choices import (
    CommunicationType,
    HealthType,
    PipelineType,
    ScmType,
    TargetType,
    TicketType,
)
from integrations.demo import (
    has_values,
    is_offered,
    notify_here,
    report_here,
    sandbox_job,
    sandbox_values,
)
from integrations.models import (
    CommunicationIntegration,
    Connection,
    HealthIntegration,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
    TicketIntegration,
)
from integrations.operations import connect
from integrations.providers.registry import secrets_of
from integrations.verification import verify
from releases.models import Release
from releases.operations import create_release

C = TypeVar("C", bound=Connection)

NAME = "Demo"
VERSION = "1.5.0"
LOWER = 3  # build numbers that a copied release may need
OWNER, ADMIN = "demo@example.com", "admin@example.com"
LABELS = {OWNER: "Sign in", ADMIN: "Django admin"}  # shown to the person


def is_empty() -> bool:
    """True while there are no users and no tenants."""
    return not User.objects.exists() and not Tenant.objects.exists()


def find_demo() -> Tenant | None:
    owned = Membership.objects.filter(user__email=OWNER, role=Role.OWNER, tenant__name=NAME)
    membership = owned.select_related("tenant").first()
    return membership.tenant if membership else None


@transaction.atomic
def ensure_demo() -> Tenant:
    """The demo workspace with its owner, and a superuser for `/admin/`; nothing is connected."""
    owner = _user(OWNER)
    if not User.objects.filter(email=ADMIN).exists():
        User.objects.create_superuser(email=ADMIN, password=password(ADMIN))
    return find_demo() or create_tenant(name=NAME, owner=owner)


def _user(email: str) -> User:
    found = User.objects.filter(email=email).first()
    if found is None:
        found = User.objects.create_user(email=email, password=password(email))
        EmailAddress.objects.create(user=found, email=email, verified=True, primary=True)
    return found


def password(email: str) -> str:
    """The password of a demo login: generated on first use, kept in the data directory."""
    name = f"{email.split('@')[0]}_password"
    return keys.keep(settings.DELIVR_DATA_DIR / "keys" / name, lambda: get_random_string(16))


def logins() -> dict[str, dict[str, str | None]]:
    """The demo's logins by label; the password is None if someone changed it."""
    found = {user.email: user for user in User.objects.filter(email__in=LABELS)}
    return {
        label: {"email": email, "password": _if_still(found[email], password(email))}
        for email, label in LABELS.items()
        if email in found
    }


def _if_still(user: User, known: str) -> str | None:
    return known if user.check_password(known) else None


# --- Connected -----------------------------------------------------------------------------------


def ensure_connected(tenant: Tenant) -> list[Connection]:
    """Connect and verify every provider of the sandbox, and let its CI server send us webhooks.

    Existing connections are kept. Needs a running sandbox (`SANDBOX_URL`).
    """
    if not is_offered():
        raise ImproperlyConfigured("Set SANDBOX_URL to a running sandbox, as `make run` does.")
    scm = _ensure(tenant, ScmIntegration, ScmType.values[0])
    targets = [_ensure(tenant, TargetIntegration, kind) for kind in TargetType.values]
    pipelines = [
        _ensure(
            tenant,
            PipelineIntegration,
            PipelineType.values[0],
            platform=target.platform,
            scm=scm.pk,
            target=target.pk,
            name=f"{target.platform.label} production",
        )
        for target in targets
    ]
    others = PipelineType.values[1:]
    another = [kind for kind in others if has_values(("pipelines", kind))][:1]  # to see both
    pipelines += [
        _ensure(
            tenant,
            PipelineIntegration,
            kind,
            platform=targets[-1].platform,
            scm=scm.pk,
            target=targets[-1].pk,
            name=f"{targets[-1].platform.label} on {PipelineType(kind).label}",
        )
        for kind in another
    ]
    communication = _ensure(tenant, CommunicationIntegration, CommunicationType.values[0])
    ticket = _ensure(tenant, TicketIntegration, TicketType.values[0])
    health = _ensure(tenant, HealthIntegration, HealthType.values[0])
    return [scm, *targets, *pipelines, communication, ticket, health]


def _ensure(
    tenant: Tenant,
    model: type[C],
    kind: str,
    *,
    platform: str = "",
    name: str = "",
    **references: str,
) -> C:
    """The tenant's connection with the sandbox's values; created if missing, and verified."""
    key = (model.family, kind)
    values = sandbox_values(key, platform=platform) | references
    secrets = secrets_of(key)
    known = {name: value for name, value in values.items() if value and name not in secrets}
    rows = model.objects.for_tenant(tenant).filter(**{model.type_field: kind})
    alike = (row for row in rows if all(str(row.value_of(n)) == str(v) for n, v in known.items()))
    found: C | None = next(alike, None)
    if found is None:
        named = {**values, "display_name": name}
        found = connect(model, tenant=tenant, actor=_user(OWNER), kind=kind, values=named)
        if isinstance(found, PipelineIntegration):
            report_here(found)
        if isinstance(found, TargetIntegration) and found.webhook_url:
            with suppress(ProviderError):  # without notifications, delivr asks by itself
                notify_here(found, actor=_user(OWNER))
    return found if found.is_valid else verify(found)


def ensure_release(tenant: Tenant) -> Release:
    """Release 1.5.0 with all targets and pipelines, and its builds triggered."""
    release = Release.objects.for_tenant(tenant).filter(version=VERSION).first()
    if release is None:
        release = _create_release(tenant, VERSION)
        trigger_builds(release=release, actor=_user(OWNER))
    found: Release = release
    return found


def ensure_past(tenant: Tenant, *, wanted: int, say: Callable[[str], None]) -> int:
    """Past releases, so that the lists and figures are not empty: a few that the sandbox really
    builds, and copies of them until there are `wanted`; how many were made."""
    if wanted and not Build.objects.for_tenant(tenant).exists():
        _leave_numbers(tenant, LOWER * wanted)
    made = len(ensure_history(tenant, _user(OWNER), _create_past, say))
    return made + multiply(tenant, wanted, now=timezone.now(), say=say)


def _leave_numbers(tenant: Tenant, number: int) -> None:
    """Let the sandbox's builds begin at this number, so that older ones have lower ones."""
    with outbound.session() as session:
        for pipeline in PipelineIntegration.objects.for_tenant(tenant):
            job = sandbox_job(pipeline, pipeline.job)
            session.post(job, json={"nextNumber": number}).raise_for_status()


def _create_past(tenant: Tenant, version: str) -> Release:
    """Without messages: chats accept one a second, and nobody waits for those about the past."""
    return _create_release(tenant, version, is_told=False)


def _create_release(tenant: Tenant, version: str, *, is_told: bool = True) -> Release:
    def ids(model: type[Any]) -> list[str]:
        return list(model.objects.for_tenant(tenant).values_list("pk", flat=True))

    return create_release(
        tenant=tenant,
        actor=_user(OWNER),
        version=version,
        scm_id=ids(ScmIntegration)[0],
        target_ids=ids(TargetIntegration),
        pipeline_ids=ids(PipelineIntegration),
        communication_ids=ids(CommunicationIntegration) if is_told else [],
        ticket_id=ids(TicketIntegration)[0],
    )
