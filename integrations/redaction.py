"""Removes secrets from the text of other systems."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable

from delivr.encryption.fields import MASK, secret_fields
from delivr.tenants.models import Tenant, TenantOwned
from integrations.models import FAMILIES, EarlierWebhookSecret, StoreWebhookSecret
from integrations.providers.http import spellings

SHORTEST = 6  # characters; shorter secrets would mask ordinary words

LONGEST_LINE = 4000  # characters; limits the time that the patterns below take

# Text that looks like any credential; group 1 of a match is kept.
_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END|\Z)", re.S)
_NAME = r"(?:password|passwd|passphrase|secret|token|api[_-]?key)[\w.-]{0,40}"
_LIKELY = r"(?=[^\s\"']{0,200}\d)"  # without a digit it may be a word
_SHAPES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"()\b(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|whsec_|dlv_)[\w+/=-]{8,}",
        r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"()\b(?:AIza[\w-]{35}|npm_[A-Z0-9]{36}|ATATT[\w-]{20,}(?:=\w+)?)",
        r"()\beyJ[\w-]{8,2000}\.[\w-]{8,}(?:\.[\w-]*)?",  # a JSON web token
        r"(\b(?:Basic|Bearer|token)\s+)(?=\S*\d)[\w.+/=~-]{12,}",
        r"(://[^\s/@:]*:)[^\s/@]+(?=@)",
        r"(://)(?=[^\s/@:]{0,200}\d)[^\s/@:]{16,}(?=@)",  # a token in place of the user name
        rf"({_NAME}=)[^\s,;&]+",
        rf"({_NAME}[\"']?\s?(?:[:=]\s?[\"']|:\s)){_LIKELY}[^\s\"',;&]{{8,}}",  # JSON, YAML
        rf"(--?(?:\w{{1,20}}-){{0,3}}{_NAME}\s){_LIKELY}[^\s\"',;&]{{6,}}",  # --password …
    )
)


def secrets_of(tenant: Tenant | str) -> list[str]:
    """All decrypted secrets of a tenant's connections. Raises SecretUnreadable."""
    found = []
    models: list[type[TenantOwned]] = [
        *FAMILIES.values(),
        EarlierWebhookSecret,
        StoreWebhookSecret,
    ]
    for model in models:
        for row in model.objects.for_tenant(tenant):
            found += secrets_in(row)
    return found


def secrets_in(row: TenantOwned) -> list[str]:
    """The decrypted secrets of one row. Raises SecretUnreadable."""
    values = (getattr(row, field.attname) for field in secret_fields(type(row)))
    return [value.reveal() for value in values if value]


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret in all its spellings, and whatever looks like one. Lines are cut at
    `LONGEST_LINE`."""
    for form in sorted(_forms(secrets), key=len, reverse=True):
        text = text.replace(form, MASK)
    lines = _KEY.sub(MASK, text).split("\n")
    return "\n".join(_without_shapes(line[:LONGEST_LINE]) for line in lines)


def _without_shapes(line: str) -> str:
    for shape in _SHAPES:
        line = shape.sub(rf"\g<1>{MASK}", line)
    return line


def _forms(secrets: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for secret in secrets:
        for part in _parts(secret):
            found |= spellings(part)
    return {form for form in found if len(form) >= SHORTEST}


def _parts(secret: str) -> list[str]:
    """The secret, and parts of it that are secret alone, such as a service account's key, or the
    values of headers."""
    parts = [secret, secret.removeprefix("whsec_")]
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(secret)
        if isinstance(document, dict):
            key = document.get("private_key")
            values = [key] if key else [v for v in document.values() if isinstance(v, str)]
            parts += [part for value in values for part in (value, value.removeprefix("Bearer "))]
    return parts
