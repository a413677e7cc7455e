"""Verifies connections on request, on schedule and after a provider's refusal."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects.operations import pause_integration, resume_integration
from delivr.failures import ProviderError
from delivr.tenants.models import Tenant, User
from integrations.choices import Verification
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.endpoints import is_end, turn_off
from integrations.mails import create_mails
from integrations.models import FAMILIES, CommunicationIntegration, Connection, find_connection
from integrations.providers.base import Check
from integrations.providers.registry import provider_for
from integrations.providers.verifying import is_fatal

C = TypeVar("C", bound=Connection)

VERIFY_AGAIN = timedelta(hours=24)
VERIFY_SOON = timedelta(minutes=5)
VERIFY_CLAIM = timedelta(minutes=2)
AFTER_A_REFUSAL = timedelta(minutes=1)
DOUBT = timedelta(minutes=4)  # how long scheduled checks must fail until a connection turns invalid
BATCH = 100  # per family, those that have waited longest


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The result of a verification; `account` and `expires_at` if the provider reports them."""

    checks: Sequence[Check]
    account: str = ""
    expires_at: datetime | None = None

    @property
    def bad(self) -> list[Check]:
        return [check for check in self.checks if is_fatal(check)]


def verify(connection: C, *, actor: User | None = None) -> C:
    """Check the connection now (network, up to about 20 s) and store the result.

    If someone edited it in the meantime, the result is discarded, because it is about the old
    values.
    """
    return store_findings(connection, run_checks(connection), actor=actor)


def schedule_verification(connection: Connection) -> None:
    """Schedule a verification in case the one that follows at once does not finish (because all
    slots are taken, or the user leaves the page)."""
    rows = type(connection).objects.filter(pk=connection.pk)
    rows.update(verify_at=timezone.now() + VERIFY_CLAIM)


def verify_streamed(connection: Connection, *, actor: User | None) -> Iterator[Check]:
    """`verify`, but yield each check as it ends; the result is stored after the last one."""
    findings = yield from iter_checks(connection)
    store_findings(connection, findings, actor=actor)


def run_checks(connection: Connection) -> Findings:
    """Check a connection, stored or not (network, up to about 20 s)."""
    checks = iter_checks(connection)
    while True:
        try:
            next(checks)
        except StopIteration as end:
            findings: Findings = end.value
            return findings


def iter_checks(connection: Connection) -> Generator[Check, None, Findings]:
    """`run_checks`, but yield each check as it ends."""
    checks: list[Check] = []
    try:
        provider = provider_for(connection)
    except ProviderError as error:
        checks.append(Check.from_error("credentials", error))
        yield checks[0]
        return Findings(checks=checks)
    for check in provider.checks():
        checks.append(check)
        yield check
    if connection.account and provider.account and connection.account != provider.account:
        checks.append(_other_account(provider.label))
        yield checks[-1]
    return Findings(checks=checks, account=provider.account, expires_at=provider.expires_at)


def _other_account(label: str) -> Check:
    return Check.failed(
        "account",
        "other_account",
        _("This credential belongs to a different %(provider)s account than the previous one.")
        % {"provider": label},
        _("Enter a credential of the same account, or add a new connection for the other account."),
    )


@transaction.atomic
def store_findings(
    connection: C, findings: Findings, *, actor: User | None, by_clock: bool = False
) -> C:
    """Store the result, unless the connection was edited since it was read.

    An error that a scheduled check finds may be temporary even if it does not look like it: a
    server responds with 404 while it reloads, and refuses everyone while it restarts. So a valid
    connection only turns invalid at the second check, and is then checked again at growing
    intervals, since a user directory may be down for longer.
    """
    fresh: C = type(connection).objects.select_for_update().get(pk=connection.pk)
    if not fresh.is_same_as(connection):
        return fresh
    now, bad = timezone.now(), findings.bad
    # A refusal does not say when the credential expires, so the known time is kept.
    expires_at = findings.expires_at or (fresh.credential_expires_at if bad else None)
    status = _verdict(fresh, bad, is_over=_is_over(expires_at, now))
    doubted_at = fresh.doubted_at or now
    is_doubt = by_clock and fresh.is_valid and status == Verification.INVALID
    is_doubt = is_doubt and now - doubted_at < DOUBT
    was_valid = fresh.is_valid or fresh.doubted_at is not None
    is_shaken = status == Verification.INVALID and was_valid
    status = Verification.VALID if is_doubt else status
    checks = [asdict(check) for check in findings.checks]
    type(fresh).objects.filter(pk=fresh.pk).update(
        verification_status=status,
        verification_error=bad[0].message[:500] if bad else "",
        checks=checks,
        last_verified_at=now,
        verify_at=now + min(max(now - doubted_at, VERIFY_SOON), VERIFY_AGAIN)
        if is_shaken
        else next_verification_at(now, expires_at, bad),
        doubted_at=doubted_at if is_shaken else None,
        account=(not bad and findings.account) or fresh.account,
        credential_expires_at=expires_at,
        **fresh.discovered_values(checks),
    )
    if actor is not None or status != fresh.verification_status:
        changes = {"verification_status": [fresh.verification_status, status]}
        record(actor=actor, action="integration.verified", subject=fresh, changes=changes)
    if actor is None and fresh.is_valid and status != Verification.VALID:
        create_mails(fresh)  # found by a scheduled check, so nobody has seen it
    if not bad:
        resume_integration(tenant=fresh.tenant, integration_id=fresh.pk)
    fresh.refresh_from_db()
    return fresh


def next_verification_at(
    now: datetime, expires_at: datetime | None, bad: Sequence[Check]
) -> datetime:
    """In 24 hours, 5 minutes after a temporary error, and when the credential expires."""
    is_temporary = bool(bad) and all(check.is_temporary for check in bad)
    later = now + (VERIFY_SOON if is_temporary else VERIFY_AGAIN)
    return min(later, expires_at) if expires_at and expires_at > now else later


def _is_over(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def _verdict(connection: Connection, bad: Sequence[Check], *, is_over: bool) -> str:
    """The new status; a temporary error never makes a verified connection invalid."""
    if not bad:
        return Verification.VALID
    if connection.is_valid and all(check.is_temporary for check in bad):
        return Verification.VALID
    if is_over or any(check.code.endswith("token_expired") for check in bad):
        return Verification.EXPIRED
    return Verification.INVALID


def verify_by_id(connection_id: str) -> None:
    """The job `verify`: check a connection again, on schedule or after a temporary error."""
    model = next(m for m in FAMILIES.values() if m.owns(connection_id))
    connection = model.objects.filter(pk=connection_id, disconnected_at=None).first()
    if connection is None:
        return
    with slot(tenant_id=connection.tenant_id, integration_id=connection.pk) as is_free:
        if is_free:
            store_findings(connection, run_checks(connection), actor=None, by_clock=True)
        else:
            model.objects.filter(pk=connection.pk).update(
                verify_at=timezone.now() + SLOT_RETRY_DELAY
            )


@transaction.atomic
def due_verifications() -> list[str]:
    """Claim the connections whose next check is due; their ids."""
    now, found = timezone.now(), []
    for model in FAMILIES.values():
        waiting = model.objects.filter(verify_at__lte=now).order_by("verify_at", "pk")
        for pk in waiting.values_list("pk", flat=True)[:BATCH]:
            taken = model.objects.filter(pk=pk, verify_at__lte=now)
            if taken.update(verify_at=now + VERIFY_CLAIM):
                found.append(pk)
    return found


@transaction.atomic
def credentials_refused(*, tenant: Tenant, integration_id: str, error: ProviderError) -> None:
    """A call was refused with 401 or 403. Effects of the connection wait until it is verified.

    A server refuses everybody while it restarts, so the connection stays valid, shows the error and
    is checked again in a minute. It turns EXPIRED at once if its credential is known to have
    expired. An endpoint that says that it is gone is turned off.
    """
    # Locked, because a verification that ends now would leave a pause that nothing ends.
    connection = find_connection(tenant=tenant, connection_id=integration_id, lock=True)
    if isinstance(connection, CommunicationIntegration) and is_end(connection, error):
        turn_off(connection, error)
        return
    if connection is not None and connection.is_valid and connection.doubted_at is None:
        _doubt(connection, error)
    pause_integration(tenant=tenant, integration_id=integration_id)


def _doubt(connection: Connection, error: ProviderError) -> None:
    check, before = Check.from_error("credentials", error), connection.verification_status
    now = timezone.now()
    is_over = _is_over(connection.credential_expires_at, now)
    status = Verification.EXPIRED if is_over else before
    type(connection).objects.filter(pk=connection.pk, disconnected_at=None).update(
        verification_status=status,
        verification_error=error.message[:500],
        checks=[asdict(check)],
        verify_at=now + AFTER_A_REFUSAL,
        doubted_at=None if is_over else now,
    )
    changes = {"verification_error": ["", error.message[:500]]}
    if is_over:
        changes["verification_status"] = [before, status]
    record(actor=None, action="integration.refused", subject=connection, changes=changes)
    if is_over:
        create_mails(connection)
