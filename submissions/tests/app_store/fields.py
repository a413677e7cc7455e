"""The fake store's fields are those of the store whose place it takes."""

from integrations.providers.app_store.fields import CHECKS, FIELDS, NEEDS, SAME

__all__ = ["CHECKS", "FIELDS", "NEEDS", "SAME"]
