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
        return _(
            "This version of delivr does not support this kind. It waits for a version that does."
        ), None
    if settings.EFFECTS_PAUSED:
        return _("Sending is paused for the whole installation. It continues afterwards."), None
    if effect.state == EffectState.LEASED:
        return _("It is in progress. If it does not finish, it will be retried."), (
            effect.lease_until
        )
    return _waiting(effect)


def _for_a_person(effect: Effect) -> str:
    if effect.dispatched_at is None:
        return _("It failed. Retry it, or choose not to send it.")
    if effect.last_error_code == "cannot_correlate":
        return _("It may have been received. Check there, then retry it or choose not to send it.")
    return _(
        "It may have been received. A retry checks there first, and sends it only if it is missing."
    )


def _waiting(effect: Effect) -> tuple[str, datetime | None]:
    if effect.next_at >= effect.expires_at:
        return _("It will expire then, unless what it waits for is fixed first."), (
            effect.expires_at
        )
    if effect.dispatched_at is not None:
        return _(
            "The response was lost. delivr checks there, and sends it only if it is missing."
        ), (effect.next_at)
    if effect.last_error:
        return _("It will be retried."), effect.next_at
    return _("It will be sent."), effect.next_at
