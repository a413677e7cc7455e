"""The encrypted field: secrets are stored encrypted and can only be read by `.reveal()`.

Based on django-fernet-fields (MultiFernet with the keys of `FERNET_KEYS`). Its own fields are never
used directly: on `bulk_update()` and `update(F())` they store the text of the SQL expression
instead of the secret. Each ciphertext is bound to its tenant, row and field, since Fernet has no
associated data: a ciphertext copied into another row cannot be opened there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fernet_fields
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Case, Value
from django.db.models.functions import Cast
from django.db.models.query_utils import DeferredAttribute
from django.forms import CharField, Field, PasswordInput
from django.utils.functional import cached_property

MASK = "********"
_SEPARATOR = "\x00"


class SecretUnreadable(Exception):
    """The secret cannot be opened: FERNET_KEYS lacks its key, or it is in the wrong row."""

    def __init__(self) -> None:
        super().__init__(
            "A stored credential cannot be decrypted. Put the key that encrypted it back into "
            "FERNET_KEYS, or enter the credential again."
        )


class Secret:
    """A secret that is only shown by `.reveal()`: masked in text, and not picklable."""

    __slots__ = ("_binding", "_ciphertext", "_field", "_plaintext")

    def __init__(
        self,
        *,
        field: SecretTextField,
        ciphertext: bytes | None = None,
        plaintext: str | None = None,
        binding: str = "",
    ) -> None:
        self._field = field
        self._ciphertext = ciphertext
        self._plaintext = plaintext
        self._binding = binding

    def reveal(self) -> str:
        """The plaintext. Raises SecretUnreadable unless key, tenant, row and field are the ones
        that it was encrypted with."""
        if self._plaintext is not None:
            return self._plaintext
        try:
            opened = self._field.fernet.decrypt(self.ciphertext).decode()
        except InvalidToken:
            raise SecretUnreadable from None
        binding, _, value = opened.partition(_SEPARATOR)
        if binding != self._binding:
            raise SecretUnreadable
        return str(value)

    def sealed(self, binding: str) -> Secret:
        """This secret, encrypted for one row (unchanged if it already is)."""
        if self._ciphertext is not None:
            return self
        opened = f"{binding}{_SEPARATOR}{self._plaintext}"
        ciphertext = self._field.fernet.encrypt(opened.encode())
        return Secret(field=self._field, ciphertext=ciphertext, binding=binding)

    def rotated(self) -> Secret:
        """The same secret, encrypted with the first key. Raises SecretUnreadable."""
        self.reveal()  # a secret in the wrong row must not count as rotated
        ciphertext = self._field.fernet.rotate(self.ciphertext)
        return Secret(field=self._field, ciphertext=ciphertext, binding=self._binding)

    def bound(self, binding: str) -> Secret:
        """This secret, bound to one row: it cannot be opened for any other."""
        if self._binding == binding:
            return self
        return Secret(
            field=self._field,
            ciphertext=self._ciphertext,
            plaintext=self._plaintext,
            binding=binding,
        )

    @property
    def is_new(self) -> bool:
        """True if it was assigned and is not encrypted yet."""
        return self._ciphertext is None

    @property
    def key(self) -> int | None:
        """The index in FERNET_KEYS of the key that opens it in this row; None if none does."""
        for place, key in enumerate(self._field.fernet_keys):
            try:
                opened = Fernet(key).decrypt(self.ciphertext)
            except InvalidToken:
                continue
            return place if opened.startswith(f"{self._binding}{_SEPARATOR}".encode()) else None
        return None

    @property
    def ciphertext(self) -> bytes:
        if self._ciphertext is not None:
            return self._ciphertext
        if not self._binding:
            raise FieldError("A secret is encrypted when its row is saved, not before.")
        return self.sealed(self._binding).ciphertext

    def __bool__(self) -> bool:
        return self._ciphertext is not None or bool(self._plaintext)

    def __repr__(self) -> str:
        return f"<Secret {MASK}>"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("A secret cannot be pickled.")


class SecretAttribute(DeferredAttribute):
    """Returns `Secret` objects that are bound to the row they are read from."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if not isinstance(value, Secret) or (value.is_new and instance._state.adding):
            return value  # a new row has no id yet that a secret could be bound to
        return value.bound(binding_of(instance, self.field.attname))

    def __set__(self, instance: Any, value: Any) -> None:
        if isinstance(value, str):
            assert isinstance(self.field, SecretTextField)  # noqa: S101 # it made this attribute
            value = Secret(field=self.field, plaintext=value) if value else None
        instance.__dict__[self.field.attname] = value


def binding_of(instance: models.Model, attname: str) -> str:
    """What a ciphertext is bound to: table, tenant, row and field, using the model's `bound_name`
    for it if there is one."""
    tenant = getattr(instance, "tenant_id", "")
    name = instance.bound_name(attname) if hasattr(instance, "bound_name") else attname
    return f"{instance._meta.db_table}:{tenant}:{instance.pk}:{name}"


class SecretTextField(fernet_fields.EncryptedTextField):  # type: ignore[misc] # untyped library
    """Encrypted text on a model with a tenant. Assign a `str`; read a `Secret` (or None)."""

    descriptor_class = SecretAttribute

    @cached_property
    def fernet(self) -> MultiFernet:
        """Always a MultiFernet, since a plain Fernet cannot rotate."""
        return MultiFernet([Fernet(key) for key in self.fernet_keys])

    if TYPE_CHECKING:  # read a Secret or None, assign text

        def __get__(self, instance: Any, owner: Any) -> Any: ...

        def __set__(self, instance: Any, value: Any) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("null", True)
        kwargs.setdefault("blank", True)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: Any, *args: Any) -> Secret | None:
        return None if value is None else Secret(field=self, ciphertext=bytes(value))

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> Any:
        return value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = getattr(model_instance, self.attname)
        if not isinstance(value, Secret):
            return value
        sealed = value.sealed(binding_of(model_instance, self.attname))
        model_instance.__dict__[self.attname] = sealed
        return sealed

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Case | Cast | Value):
            return value  # bulk_update: Django calls this again for each value within
        if isinstance(value, Secret):
            return connection.Database.Binary(value.ciphertext)
        raise FieldError("Only a Secret can be stored in an encrypted field.")

    def value_to_string(self, obj: models.Model) -> str:
        return MASK if getattr(obj, self.attname) else ""

    def formfield(self, **kwargs: Any) -> Field:
        widget = PasswordInput(render_value=False, attrs={"autocomplete": "off"})
        return CharField(widget=widget, required=not self.blank, label=self.verbose_name)


def secret_fields(model: type[models.Model]) -> list[SecretTextField]:
    """The encrypted fields of a model."""
    return [f for f in model._meta.get_fields() if isinstance(f, SecretTextField)]
