"""The tables that hold secrets: those with encrypted fields, and `settings.SECRET_STORES`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string

from delivr.encryption.fields import SecretTextField, secret_fields


class SecretStore(ABC):
    """How to read and re-encrypt the secrets of one table."""

    model: type[models.Model]

    @abstractmethod
    def keys(self, row: Any) -> list[int | None]:
        """For each secret of the row, the index in FERNET_KEYS of the key that opens it, or
        None."""

    @abstractmethod
    def resealed(self, row: Any) -> dict[str, Any]:
        """The columns to store, so that the first key opens every secret of the row.

        Raises SecretUnreadable.
        """

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    def rows(self) -> Any:
        """All rows in order of the primary key, with only the columns that are needed."""
        return self.model._base_manager.order_by("pk")


class FieldStore(SecretStore):
    """A table with `SecretTextField`s."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.fields = secret_fields(model)

    def keys(self, row: Any) -> list[int | None]:
        secrets = [getattr(row, field.attname) for field in self.fields]
        return [secret.key for secret in secrets if secret is not None]

    def resealed(self, row: Any) -> dict[str, Any]:
        secrets = {field.attname: getattr(row, field.attname) for field in self.fields}
        return {n: s.rotated() for n, s in secrets.items() if s is not None and s.key != 0}

    def rows(self) -> Any:
        names = [field.attname for field in self.fields]
        bound_by = getattr(self.model, "bound_by", "pk")  # returns the name of a secret
        return super().rows().only("tenant_id", bound_by, *names)  # and it is bound to its tenant


def stores() -> Iterator[SecretStore]:
    for model in apps.get_models():
        if secret_fields(model) and not model._meta.proxy:
            yield FieldStore(model)
    for path in settings.SECRET_STORES:
        yield import_string(path)()


def key_of(ciphertext: bytes | str) -> int | None:
    """The index in FERNET_KEYS of the key that opens it, whatever it is bound to, or None."""
    for place, key in enumerate(SecretTextField().fernet_keys):
        try:
            Fernet(key).decrypt(ciphertext)
        except InvalidToken:
            continue
        return place
    return None


def name_of(row: models.Model) -> str:
    """The row's id, whose prefix identifies the table; with the table's name if the id is a
    number."""
    return row.pk if isinstance(row.pk, str) else f"{row._meta.db_table}:{row.pk}"
