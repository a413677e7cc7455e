"""Providers by their kind alone."""

from integrations.models import FAMILIES
from integrations.providers.registry import PROVIDERS, ProviderKey


def key_of(kind: str) -> ProviderKey:
    """The key of a kind whose name is in one family only, or in the first of them."""
    return next(key for key in PROVIDERS if key[1] == kind)


def model_of(kind: str) -> type:
    return FAMILIES[key_of(kind)[0]]
