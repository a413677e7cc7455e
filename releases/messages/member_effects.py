"""The effect that emails a member about a release at once: `mail.release`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from delivr import mail, unsubscribe
from delivr.effects.handlers import EffectHandler, Unneeded
from delivr.effects.models import Effect, EffectState
from delivr.pages.timezones import zone_of
from delivr.tenants.mail_choices import MailClass, Pace, pace_for
from delivr.tenants.mail_views import UNSUBSCRIBE
from delivr.tenants.models import Membership
from integrations.providers.email.provider import Email
from releases.messages.member_mail import classes_for
from releases.messages.muting import refuse_muted
from releases.messages.notices import Notice, render
from releases.messages.subjects import subject_of
from releases.models import Release

# The address of this attempt, which is not stored: the member may have another one by its end.
TO = "to"


class MemberMail(EffectHandler):
    """An email to someone who is a member when it is sent, and still wants it.

    A mail server cannot be asked whether it accepted an email. If its response was lost, the same
    email is sent again: a duplicate does less harm than a missing email.
    """

    cap = timedelta(minutes=30)
    max_attempts = 40
    expires_after = timedelta(hours=24)

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """Nothing to store besides the effect's state."""

    def gave_up(self, effect: Effect) -> None:
        """An address that was refused for good gets no more until its owner saves the choices."""
        failed_now = effect.state == EffectState.LEASED
        if failed_now and effect.last_error_code == mail.RECIPIENT_REFUSED:
            rows = Membership.objects.for_tenant(effect.tenant_id)
            rows = rows.filter(public_id=effect.payload["member"])
            rows.update(mail_refused=effect.payload[TO])

    def member(self, effect: Effect) -> Membership:
        """Raises Unneeded if the person left the workspace or was deactivated."""
        rows = Membership.objects.for_tenant(effect.tenant_id).select_related("user", "tenant")
        found: Membership | None = rows.filter(
            public_id=effect.payload["member"], user__is_active=True
        ).first()
        if found is None:
            raise Unneeded
        effect.payload[TO] = found.user.email
        return found


class ReleaseMail(MemberMail):
    def prepare(self, effect: Effect) -> None:
        self._look_up(effect)

    def send(self, effect: Effect) -> dict[str, Any]:
        member, release, by = self._look_up(effect)
        payload = effect.payload
        with timezone.override(zone_of(member.user)):
            message = render(release, Notice(payload["notice"]), payload["words"], chat=Email)
        posted = writer(member, by).post(
            channel=member.user.email,
            message=replace(
                message,
                subject=subject_of(release, payload),
                thread=mail.message_id(f"{release.pk}.{member.public_id}"),
            ),
            correlation=effect.pk,
        )
        return {"ts": posted.id}

    def _look_up(self, effect: Effect) -> tuple[Membership, Release, MailClass]:
        member = self.member(effect)
        rows = Release.objects.for_tenant(effect.tenant_id)
        release = rows.select_related("repository_part", "tenant").get(pk=effect.payload["release"])
        refuse_muted(release)
        classes = classes_for(member, release, effect.payload["notice"])
        pace, by = pace_for(member, classes)
        if pace != Pace.INSTANT or by is None:
            raise Unneeded
        return member, release, by


def writer(member: Membership, by: MailClass) -> Email:
    """What writes emails of this class to the member."""
    words = _("You get this because you chose emails about “%(class)s” in %(workspace)s.")
    return Email(
        list_label=f"{by}.{member.tenant_id}".lower(),
        end_of=lambda _address: end_of(member, by),
        reason=words % {"class": by.label, "workspace": member.tenant.name},
    )


def end_of(member: Membership, which: str) -> str:
    """The link that ends emails of a class, or of a pace."""
    return unsubscribe.url(UNSUBSCRIBE, member.tenant_id, member.public_id, str(which))
