"""What follows when somebody presses a button below a message.

The press is stored before the chat is told that it arrived, and applied by a job: the person is
looked up, has to be a member with the role that the page demands, and the same operation runs as
on the page, with the same audit row. Pressing twice does nothing twice, since a press only counts
for the build below whose message the button stands.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from builds.buttons.models import LINK, ButtonPress, ChatAccount, PressState
from builds.models import Build
from builds.triggering import trigger_builds
from delivr.effects import clock
from delivr.effects.operations import create_effect
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import Conflict, Outcome, ProviderError
from delivr.signin.second_factor import has_second_factor
from delivr.tenants.models import Membership, Role, User
from integrations.models import CommunicationIntegration
from integrations.providers.chat import Press
from integrations.providers.registry import provider_for
from releases.messages.buttons import TRIGGER_AGAIN

log = logging.getLogger(__name__)

KEEP_TRYING = timedelta(minutes=10)  # to look the person up
RETRY = timedelta(seconds=10)


@transaction.atomic
def store(press: Press, candidates: Iterable[CommunicationIntegration]) -> ButtonPress | None:
    """Store a press that came through an app. `candidates` are the connections that use the app:
    the press belongs to the one whose workspace has the build. Storing it again does nothing."""
    if press.action != TRIGGER_AGAIN:
        return None
    of_tenant = {one.tenant_id: one for one in candidates if press.channel in one.channels}
    build = Build.objects.filter(pk=press.value, tenant__in=of_tenant).first()
    if build is None:
        return None
    connection = of_tenant[build.tenant_id]
    row, is_new = ButtonPress.objects.get_or_create(
        tenant_id=build.tenant_id,
        communication=connection,
        envelope=press.envelope,
        defaults={
            "team": press.team,
            "user": press.user,
            "user_name": press.user_name,
            "channel": press.channel,
            "thread": press.thread,
            "action": press.action,
            "value": press.value,
        },
    )
    if is_new:
        enqueue_on_commit("press", row.pk)
    return row


def due() -> list[str]:
    rows = ButtonPress.objects.filter(state=PressState.NEW, next_at__lte=clock.now())
    return list(rows.order_by("next_at").values_list("pk", flat=True)[:100])


def apply(press_id: str) -> None:
    """Do what was pressed. Looking the person up may need the network, outside of transactions."""
    rows = ButtonPress.objects.select_related("communication", "tenant")
    press = rows.filter(pk=press_id, state=PressState.NEW).first()
    if press is None:
        return
    try:
        _apply(press)
    except ProviderError as error:
        _try_later(press, error)
    except Exception:
        log.exception("The press %s met a fault of ours.", press.pk)
        _try_later(press, _fault())


def _fault() -> ProviderError:
    """Like one of the chat: it is not tried at each tick, nor for ever."""
    words = _("delivr had an internal error.")
    return ProviderError("internal_error", words, outcome=Outcome.UNCERTAIN)


def _apply(press: ButtonPress) -> None:
    person = person_of(press)
    with transaction.atomic():
        locked = ButtonPress.objects.select_for_update().get(pk=press.pk)
        if locked.state != PressState.NEW:
            return
        press.actor = person
        press.state, press.answer = _run(press, person)
        press.save(update_fields=["state", "answer", "actor"])
        _answer(press)


def person_of(press: ButtonPress) -> User | None:
    """The member who linked this account of the chat, or else whose verified email address the chat
    names. Raises ProviderError."""
    members = Membership.objects.for_tenant(press.tenant_id)
    linked = ChatAccount.objects.for_tenant(press.tenant_id).filter(
        team=press.team, chat_user=press.user, user__in=members.values("user")
    )
    account = linked.select_related("user").first()
    if account is not None:
        linked_user: User = account.user
        return linked_user
    email = provider_for(press.communication).email_of(press.user)
    if not email:
        return None
    known = EmailAddress.objects.filter(email__iexact=email, verified=True)
    users = [row.user_id for row in known if _is_same(row.email, email)]
    found = list(members.filter(user__in=users).select_related("user")[:2])
    return found[0].user if len(found) == 1 else None


def _is_same(one: str, other: str) -> bool:
    """Without regard to case, but only that of ASCII: for a database, ı is the small letter of I,
    and the owner of another mailbox would be taken for the member."""
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())


def _run(press: ButtonPress, person: User | None) -> tuple[PressState, str]:
    """How it ends, and what the person is told."""
    if person is None:
        return PressState.REFUSED, _("delivr does not know who you are.") + f" {LINK}"
    if problem := _may_not(press, person):
        return PressState.REFUSED, problem
    builds = Build.objects.for_tenant(press.tenant_id)
    build = builds.select_related("release_pipeline__release").get(pk=press.value)
    part = build.release_pipeline
    try:
        with transaction.atomic():
            started = trigger_builds(
                release=part.release,
                actor=person,
                pipeline_id=part.pipeline_id,
                after=[build.pk],
            )
    except Conflict as conflict:
        return PressState.REFUSED, str(conflict.message)
    words = ngettext(
        "%(count)d build was triggered.", "%(count)d builds were triggered.", len(started)
    )
    return PressState.DONE, words % {"count": len(started)}


def _may_not(press: ButtonPress, person: User) -> str:
    """Why the person may not do it, by the rules of the page; "" if they may."""
    member = Membership.objects.for_tenant(press.tenant_id).filter(user=person).first()
    if member is None or not person.is_active:
        return _("You are not a member of this workspace.")
    role = Role(member.role)
    if not role.covers(Role.MEMBER):
        return _("Your role does not allow this. Ask an admin of the workspace.")
    needs_factor = press.tenant.requires_second_factor and role.covers(Role.ADMIN)
    if needs_factor and not has_second_factor(person):
        return _("This workspace requires a second factor. Set yours up in delivr first.")
    return ""


def _try_later(press: ButtonPress, error: ProviderError) -> None:
    now = clock.now()
    if error.is_temporary and now < press.pressed_at + KEEP_TRYING:
        delay = timedelta(seconds=error.retry_after or 0) or RETRY
        rows = ButtonPress.objects.filter(pk=press.pk, state=PressState.NEW)
        rows.update(next_at=now + delay, tries=press.tries + 1)
        return
    with transaction.atomic():
        words = _("delivr could not find out who you are: %(error)s")
        press.answer = words % {"error": error.message[:300]} + f" {LINK}"
        press.state = PressState.REFUSED
        press.save(update_fields=["state", "answer"])
        _answer(press)


def _answer(press: ButtonPress) -> None:
    create_effect(
        tenant=press.tenant,
        kind="message.answer",
        integration_id=press.communication_id,
        dedupe_key=f"press:{press.pk}:answer",
        payload={"press": press.pk},
    )
