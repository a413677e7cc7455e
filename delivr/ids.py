"""Opaque ids with a readable prefix (`rel_…`). No program parses them."""

import base64
import functools
import secrets

from django.db import models
from django.utils.crypto import get_random_string

ID_LENGTH = 40


def new_id(prefix: str) -> str:
    """`prefix_` and 16 random characters (95 bits)."""
    return f"{prefix}_{get_random_string(16)}"


def tenant_id() -> str:
    """The tenant's id: 10 characters, like `NJEG6wOk7e`."""
    return get_random_string(10)


def membership_id() -> str:
    return new_id("mem")


def webhook_secret() -> str:
    """A webhook secret in the form of Standard Webhooks: `whsec_` and 256 bits in base64.

    Without a slash, so that it can stand before the @ in a URL, where some senders take it without
    decoding.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    while "/" in (text := base64.b64encode(secrets.token_bytes(32)).decode()):
        pass
    return f"whsec_{text}"


class PrefixedIdField(models.CharField):  # type: ignore[type-arg]
    """A primary key that is filled with `new_id(prefix)` when the object is created."""

    def __init__(self, *args: object, prefix: str = "", **kwargs: object) -> None:
        self.prefix = prefix
        kwargs.setdefault("max_length", ID_LENGTH)
        kwargs.setdefault("primary_key", True)
        kwargs.setdefault("editable", False)
        kwargs.setdefault("default", functools.partial(new_id, prefix))
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def deconstruct(self) -> tuple[str, str, list[object], dict[str, object]]:
        name, _path, args, kwargs = super().deconstruct()
        kwargs.pop("default", None)
        kwargs["prefix"] = self.prefix
        return name, "delivr.ids.PrefixedIdField", list(args), kwargs
