"""Audit rows in words for people. The codes in the rows are for programs and never change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delivr.audit.models import AuditEvent
from delivr.pages.statuses import look_of
from delivr.tenants.mail_choices import Pace
from delivr.tenants.models import Role

NO_NAMES: Mapping[str, str] = MappingProxyType({})
NAMELESS = ("eff_", "whd_")  # what to call them is derived from what they are about
# By action, sorted: the sentence that follows the actor's name, and a short label for the filter.
# `delivr/tests/test_guards.py` fails if the code records an action that is missing here.
ACTIONS: dict[str, tuple[str | Promise, str | Promise]] = {
    "build.adopted": (
        _("adopted a build for %(what)s that delivr did not start"),
        _("Build from outside adopted"),
    ),
    "build.cancelled": (_("cancelled the build of %(what)s"), _("Build cancelled")),
    "build.downloaded": (
        _("downloaded an artifact of the build of %(what)s"),
        _("Artifact downloaded"),
    ),
    "build.force_cancelled": (
        _("force-cancelled the build of %(what)s"),
        _("Build force-cancelled"),
    ),
    "build.repeat_stopped": (
        _("stopped a duplicate build of %(what)s"),
        _("Duplicate build stopped"),
    ),
    "build.triggered": (_("triggered a build of %(what)s"), _("Build triggered")),
    "delivery.replayed": (_("applied a delivery again: %(what)s"), _("Delivery replayed")),
    "effect.adopted": (_("adopted a build: %(what)s"), _("Build adopted")),
    "effect.cancelled": (_("cancelled: %(what)s"), _("Effect cancelled")),
    "effect.retried": (_("retried: %(what)s"), _("Effect retried")),
    "endpoint.resent": (_("sent an event again to %(what)s"), _("Event sent again")),
    "endpoint.tested": (_("sent a test event to %(what)s"), _("Test event sent")),
    "endpoint.turned_off": (_("stopped sending to %(what)s"), _("Endpoint turned off")),
    "endpoint.turned_on": (_("turned %(what)s on again"), _("Endpoint turned on")),
    "integration.connected": (_("connected %(what)s"), _("Connection created")),
    "integration.disconnected": (_("disconnected %(what)s"), _("Connection removed")),
    "credential.rotated": (_("replaced the credential of %(what)s"), _("Credential rotated")),
    "integration.edited": (_("edited %(what)s"), _("Connection edited")),
    "integration.refused": (_("was refused by %(what)s"), _("Credentials refused")),
    "integration.rules_changed": (
        _("changed which messages %(what)s gets"),
        _("Message rules changed"),
    ),
    "integration.verified": (_("verified %(what)s"), _("Connection verified")),
    "invitation.created": (_("invited %(what)s"), _("Member invited")),
    "invitation.revoked": (_("revoked the invitation to %(what)s"), _("Invitation revoked")),
    "invitation.sent_again": (
        _("resent the invitation to %(what)s"),
        _("Invitation sent again"),
    ),
    "chat_account.linked": (_("linked an account in a chat"), _("Chat account linked")),
    "chat_account.unlinked": (_("unlinked an account in a chat"), _("Chat account unlinked")),
    "member.added": (_("added %(what)s"), _("Member added")),
    "member.changed": (_("changed the role of %(what)s"), _("Role changed")),
    "member.second_factor_reset": (
        _("reset the second factor of %(what)s"),
        _("Second factor reset"),
    ),
    "member.deleted": (_("deleted the account of %(what)s"), _("Account deleted")),
    "member.joined": (_("accepted an invitation"), _("Member joined")),
    "member.left": (_("left the workspace"), _("Member left")),
    "member.mails": (_("changed the emails to %(what)s"), _("Emails of a member changed")),
    "member.removed": (_("removed %(what)s"), _("Member removed")),
    "message.tested": (_("sent a test message to %(what)s"), _("Test message sent")),
    "recipient.refused": (
        _("was told to stop sending to a recipient of %(what)s"),
        _("Recipient refused"),
    ),
    "recipient.subscribed_again": (
        _("has %(what)s send to a recipient again who had unsubscribed"),
        _("Recipient subscribed again"),
    ),
    "recipient.tried_again": (
        _("lets %(what)s send to a refused recipient again"),
        _("Refused recipient tried again"),
    ),
    "recipient.unsubscribed": (
        _("unsubscribed a recipient of %(what)s"),
        _("Recipient unsubscribed"),
    ),
    "release.cancelled": (_("cancelled release %(what)s"), _("Release cancelled")),
    "release.created": (_("created release %(what)s"), _("Release created")),
    "release.marked": (
        _("marked release %(what)s as %(mark)s"),
        _("Release marked"),
    ),
    "release.muted": (_("muted release %(what)s"), _("Release muted")),
    "release.status": (_("changed the status of release %(what)s"), _("Release status changed")),
    "release.tried_now": (
        _("retried what release %(what)s was waiting for"),
        _("Release retried"),
    ),
    "release.unmarked": (
        _("removed the mark “%(mark)s” from release %(what)s"),
        _("Mark removed"),
    ),
    "release.unmuted": (_("unmuted release %(what)s"), _("Release unmuted")),
    "setup.skipped": (_("changed which steps of the setup are skipped"), _("Step skipped")),
    "tenant.created": (_("created the workspace %(what)s"), _("Workspace created")),
    "tenant.deleted": (_("deleted the workspace %(what)s"), _("Workspace deleted")),
    "tenant.release_settings": (
        _("changed what releases of %(what)s do in the repository"),
        _("Release settings changed"),
    ),
    "tenant.renamed": (_("renamed the workspace to %(what)s"), _("Workspace renamed")),
    "tenant.second_factor": (
        _("changed who needs a second factor in %(what)s"),
        _("Second factor rule changed"),
    ),
    "test_build.cancelled": (_("stopped a test build of %(what)s"), _("Test build stopped")),
    "test_build.started": (_("started a test build of %(what)s"), _("Test build started")),
    "submission.acted": (_("changed the submission of %(what)s"), _("Submission changed")),
    "submission.created": (_("submitted %(what)s"), _("Submission created")),
    "token.created": (_("created the API token %(what)s"), _("Token created")),
    "token.revoked": (_("revoked the API token %(what)s"), _("Token revoked")),
    "token.used": (
        _("used the API token %(what)s from a new address"),
        _("Token used from a new address"),
    ),
    "user.codes_renewed": (_("created new recovery codes"), _("Recovery codes renewed")),
    "user.email_changed": (_("changed the email address"), _("Email address changed")),
    "user.factor_added": (_("added a second factor"), _("Second factor added")),
    "user.factor_failed": (
        _("recorded a wrong second-factor code for %(what)s"),
        _("Second factor failed"),
    ),
    "user.factor_removed": (_("removed a second factor"), _("Second factor removed")),
    "user.password_changed": (_("changed the password"), _("Password changed")),
    "user.signed_in": (_("signed in"), _("Signed in")),
    "user.signed_out": (_("signed out"), _("Signed out")),
    "user.signin_failed": (_("recorded a wrong password for %(what)s"), _("Sign-in failed")),
    "signing_secret.rotated": (
        _("rotated the signing secret of %(what)s"),
        _("Signing secret rotated"),
    ),
    "webhook_secret.rotated": (
        _("rotated the webhook secret of %(what)s"),
        _("Webhook secret rotated"),
    ),
}


# Stored words that are not a status.
WORDS: dict[object, str | Promise] = {
    **dict(Role.choices),
    **dict(Pace.choices),
    "refused": _("refused"),
    "unsubscribed": _("unsubscribed"),
    "tried again": _("tried again"),
    "totp": _("authenticator app"),
    "webauthn": _("passkey or security key"),
    "recovery_codes": _("recovery codes"),
}
_MARKS = {"submitted_at": _("submitted"), "released_at": _("released")}
# Events without an actor, which delivr noticed: whole sentences, since no name stands before them.
NOTICED: dict[str, str | Promise] = {
    "member.mails": _("%(what)s ended emails by the link in one"),
    "build.repeat_stopped": _("A duplicate build of %(what)s was stopped"),
    "integration.refused": _("%(what)s refused its credentials"),
    "integration.verified": _("%(what)s was checked"),
    "recipient.refused": _("A recipient of %(what)s was refused by the mail server"),
    "recipient.subscribed_again": _("A recipient of %(what)s who had unsubscribed came back"),
    "recipient.unsubscribed": _("A recipient of %(what)s unsubscribed"),
    "release.status": _("Release %(what)s changed its status"),
    "user.factor_failed": _("A wrong second-factor code was entered for %(what)s"),
    "user.signin_failed": _("A wrong password was entered for %(what)s"),
}


def who(event: AuditEvent) -> str:
    """The name before the sentence; empty if the sentence needs none."""
    return "" if _was_noticed(event) else event.actor_label


def sentence(event: AuditEvent, names: Mapping[str, str] = NO_NAMES) -> str:
    """`triggered a build of iOS 1.5.0`, to follow `who`. `names` maps ids to names."""
    words = ACTIONS.get(event.action)
    label = event.subject_label or event.subject_id or "–"
    if event.subject_id.startswith(NAMELESS):
        label = names.get(event.subject_id, label)
    label = names.get(label, label)
    what = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), label)
    if words is None:
        return f"{event.action} {what}"
    template = NOTICED[event.action] if _was_noticed(event) else words[0]
    return str(template) % {"what": what, "mark": _mark(event)}


def _mark(event: AuditEvent) -> str | Promise:
    """What a release was marked as; "" for other events."""
    return next((word for name, word in _MARKS.items() if name in event.changes), "")


def _was_noticed(event: AuditEvent) -> bool:
    return event.actor_id is None and event.action in NOTICED


def value(stored: Any, names: Mapping[str, str] = NO_NAMES) -> str:
    """A value before or after: a stored status or an id in words, an empty value as a dash."""
    if stored in (None, "", [], {}):
        return "–"
    if isinstance(stored, bool):
        return str(_("yes") if stored else _("no"))
    if isinstance(stored, list):
        return ", ".join(value(one, names) for one in stored)
    if isinstance(stored, dict):
        return ", ".join(f"{name}={value(one, names)}" for name, one in sorted(stored.items()))
    if parsed := _parse_datetime(stored):
        return date_format(parsed, "j M Y, H:i e")
    return names.get(str(stored)) or str(WORDS.get(stored) or look_of(stored).label)


def _parse_datetime(stored: Any) -> datetime | None:
    """Rows store times as text with their zone; a version has no colon. A name that a person chose
    may look like a time that is out of range."""
    try:
        parsed = parse_datetime(stored) if isinstance(stored, str) and ":" in stored else None
        return timezone.localtime(parsed) if parsed and timezone.is_aware(parsed) else None
    except (ValueError, OverflowError):
        return None


def choices() -> list[tuple[str, str]]:
    return sorted(((code, str(short)) for code, (_s, short) in ACTIONS.items()), key=lambda c: c[1])
