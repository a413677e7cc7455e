"""The mails of invitations as they arrive."""

import email
import email.policy
import re

from django.utils import timezone

from delivr.effects.models import Effect
from delivr.effects.runner import run_effect

ADA = "ada@example.com"
LINK = re.compile(r"http://127\.0\.0\.1:\d+(/accounts/invitations/([\w-]{43}))")


def run_mail(invitation):
    """Run the effect that sends it; returns the effect."""
    invitation.refresh_from_db()
    Effect.objects.filter(pk=invitation.mail_id).update(next_at=timezone.now())
    run_effect(invitation.mail_id)
    return Effect.objects.get(pk=invitation.mail_id)


def text_of(server, number=-1):
    message = email.message_from_string(server.taken[number], policy=email.policy.default)
    return message["To"], message["Subject"], message.get_content()


def link_in(server, number=-1):
    found = LINK.search(text_of(server, number)[2])
    assert found
    return found[1]
