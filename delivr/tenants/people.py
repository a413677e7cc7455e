"""The rows of the members page, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from delivr.effects.models import Effect
from delivr.tenants.inviting import UNSETTLED_MOST, mails_of
from delivr.tenants.models import Invitation, Membership, Role, Tenant
from delivr.tenants.roles import owners_left


@dataclass(frozen=True)
class MemberLine:
    row: Membership
    is_you: bool
    is_last_owner: bool


def member_lines(
    tenant: Tenant, rows: Sequence[Membership], *, viewer: Membership
) -> list[MemberLine]:
    """The members, and what the viewer may do with them, in one query."""
    is_alone = owners_left(tenant) == 1
    return [
        MemberLine(
            row=row,
            is_you=row.pk == viewer.pk,
            is_last_owner=is_alone and row.role == Role.OWNER and row.user.is_active,
        )
        for row in rows
    ]


@dataclass(frozen=True)
class InvitationLine:
    """`state` is EXPIRED, or that of its mail: PENDING, DONE, DEAD … (kind "mail")."""

    row: Invitation
    mail: Effect | None
    state: str

    @property
    def is_on_its_way(self) -> bool:
        return self.mail is not None and self.mail.is_open


def invitation_lines(tenant: Tenant) -> list[InvitationLine]:
    """The invitations that were neither accepted nor revoked, newest first, in two queries."""
    unsettled = Invitation.objects.for_tenant(tenant).unsettled().select_related("inviter")
    rows = list(unsettled[:UNSETTLED_MOST])
    mails = mails_of(rows, tenant) if rows else {}
    return [_line(row, mails.get(row.mail_id)) for row in rows]


def _line(row: Invitation, mail: Effect | None) -> InvitationLine:
    state = mail.state if mail else "CANCELLED"
    return InvitationLine(row=row, mail=mail, state=state if row.is_live else "EXPIRED")
