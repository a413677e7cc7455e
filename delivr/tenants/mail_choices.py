"""Which emails about releases a member wants, in each workspace: by class, at which pace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from delivr.audit.operations import difference, record
from delivr.effects import clock
from delivr.tenants.models import Membership, User


class MailClass(models.TextChoices):
    """A message may belong to several."""

    NEEDS_ME = "needsMe", _("What needs me")
    FAILURES = "failures", _("Failures")
    MILESTONES = "milestones", _("Milestones")
    EVERYTHING = "everything", _("Everything")


class Pace(models.TextChoices):
    INSTANT = "instant", _("At once")
    DAILY = "daily", _("Once a day, at 9:00")
    OFF = "off", _("Never")


ABOUT = {
    MailClass.NEEDS_ME: _("A release that you created failed, or is ready for its submission."),
    MailClass.FAILURES: _("A build failed or could not be started, in any release."),
    MailClass.MILESTONES: _("Any release was created, is complete, was submitted or released."),
    MailClass.EVERYTHING: _("Every build that started or finished, and all of the above."),
}
DEFAULTS = {
    MailClass.NEEDS_ME: Pace.INSTANT,
    MailClass.FAILURES: Pace.OFF,
    MailClass.MILESTONES: Pace.OFF,
    MailClass.EVERYTHING: Pace.OFF,
}


def choices_of(member: Membership) -> dict[MailClass, Pace]:
    stored = member.mail_choices
    return {one: Pace(stored.get(one, default)) for one, default in DEFAULTS.items()}


def pace_for(member: Membership, classes: Iterable[MailClass]) -> tuple[Pace, MailClass | None]:
    """How fast a message of these classes goes to the member, and by which of them. Nothing goes to
    an address that was refused."""
    if member.mail_refused and member.mail_refused == member.user.email:
        return Pace.OFF, None
    chosen = choices_of(member)
    for pace in (Pace.INSTANT, Pace.DAILY):
        for one in classes:
            if chosen[one] == pace:
                return pace, one
    return Pace.OFF, None


@transaction.atomic
def choose(*, member: Membership, changes: Mapping[MailClass, Pace], actor: User | None) -> None:
    """Change some of the choices. Whoever saves them has emails tried again that were refused."""
    member = Membership.objects.select_for_update().select_related("user").get(pk=member.pk)
    before = {one.value: pace.value for one, pace in choices_of(member).items()}
    after = {**before, **{str(one): str(pace) for one, pace in changes.items()}}
    member.mail_choices = after
    if actor is not None:
        member.mail_refused = ""
    if Pace.DAILY in after.values() and Pace.DAILY not in before.values():
        member.digest_until = clock.now()  # the first digest tells nothing of the time before
    member.save(update_fields=["mail_choices", "mail_refused", "digest_until"])
    if found := difference(before, after):
        record(actor=actor, action="member.mails", subject=member, changes=found)


def end_pace(*, tenant_id: str, member_id: str, which: str) -> None:
    """As a link in an email asks: end the class of this name, or with "daily" all daily ones."""
    rows = Membership.objects.for_tenant(tenant_id)
    member: Membership | None = rows.filter(public_id=member_id).first()
    if member is None:
        return
    ended = [one for one, pace in choices_of(member).items() if which in (one.value, pace.value)]
    choose(member=member, changes=dict.fromkeys(ended, Pace.OFF), actor=None)
