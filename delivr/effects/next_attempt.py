"""What happens next with an effect, in words: for the pages and the API alike."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from delivr.effects.handlers import is_known
from delivr.effects.models import Effect, EffectState


def what_next(effect: Effect) -> tuple[str, datetime | None]:
    """What delivr does next with this effect, and when; ("", None) if nothing is left to do.

    Makes no query. The time is None if a person or the operator decides.
    """
    if effect.state in (EffectState.DONE, EffectState.CANCELLED):
        return "", None
    if effect.state == EffectState.DEAD:
        return _for_a_person(effect), None
    if not is_known(effect.kind):
        return _("This version does not know this kind: it waits for one that does."), None
    if settings.EFFECTS_PAUSED:
        return _("Sending is paused for the whole installation: it goes on afterwards."), None
    if effect.state == EffectState.LEASED:
        return _("It is being worked on; taken up again if nothing is heard of it."), (
            effect.lease_until
        )
    return _waiting(effect)


def _for_a_person(effect: Effect) -> str:
    if effect.dispatched_at is None:
        return _("It waits for a person: retry it, or give it up.")
    if effect.last_error_code == "cannot_correlate":
        return _("It may have happened. A person looks there, then retries it or gives it up.")
    return _("It may have happened. A retry looks there first, and sends only what is not there.")


def _waiting(effect: Effect) -> tuple[str, datetime | None]:
    if effect.next_at >= effect.expires_at:
        return _("Its time is over then, unless what it waits for is mended before."), (
            effect.expires_at
        )
    if effect.dispatched_at is not None:
        return _("Its answer was lost: delivr looks there, and sends only what is not there."), (
            effect.next_at
        )
    if effect.last_error:
        return _("It is tried again."), effect.next_at
    return _("It is sent."), effect.next_at
