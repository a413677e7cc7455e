"""The rows that an effect of a release is about."""

from __future__ import annotations

from typing import Any

from delivr.effects.models import Effect
from delivr.failures import ProviderError
from releases.models import Release


def connection_of(effect: Effect, model: type[Any]) -> Any:
    """The connection that an effect goes through. Raises ProviderError if it is gone."""
    found = model.objects.for_tenant(effect.tenant_id).filter(pk=effect.integration_id).first()
    if found is None:
        raise ProviderError.refused(
            "disconnected", "The connection was removed.", "Connect it again, or cancel this."
        )
    return found


def release_of(effect: Effect) -> Release:
    rows = Release.objects.for_tenant(effect.tenant_id).select_related("repository_part")
    found: Release = rows.get(pk=effect.release_id)
    return found
