"""Which of FERNET_KEYS the stored secrets need, and whether one that they need is missing.

A usage opens every secret, which no probe of a balancer may cost. So it leaves for each key in use
one line that this key encrypted (`KeyProbe`): whoever cannot open a line lacks a key.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from cryptography.fernet import Fernet
from django.db import transaction

from delivr.encryption.fields import SecretTextField
from delivr.encryption.tables import key_of, name_of, stores
from delivr.models import KeyProbe

log = logging.getLogger(__name__)

CHUNK = 500  # rows in memory at a time
EVERY = 3600.0  # seconds, for each process that looks
ALL = "all"
_UNKNOWN = "?"  # a line for a key that was gone before any usage


@dataclass
class KeyUsage:
    keys: list[int]  # how many secrets each of FERNET_KEYS opens, in their order
    unreadable: list[str] = field(default_factory=list)  # ids of rows, each once

    @property
    def total(self) -> int:
        """Secrets that open."""
        return sum(self.keys)

    @property
    def is_rotated(self) -> bool:
        """The first key alone opens everything."""
        return not self.unreadable and self.total == self.keys[0]


def measure_key_usage() -> KeyUsage:
    """Open every stored secret (reading only; about 50 µs each), and note the keys in use."""
    usage = KeyUsage([0] * len(SecretTextField().fernet_keys))
    for store in stores():
        for row in store.rows().iterator(chunk_size=CHUNK):
            found = store.keys(row)
            for key in found:
                if key is not None:
                    usage.keys[key] += 1
            if None in found:
                usage.unreadable.append(name_of(row))
    _keep_probes(usage)
    return usage


@transaction.atomic
def _keep_probes(usage: KeyUsage) -> None:
    """One probe for each key in use. While secrets are unreadable, a probe that no key of ours
    opens stays, and that of the first key: it tells that a usage was taken before."""
    probes = list(KeyProbe.objects.select_for_update().order_by("pk"))
    if not probes and usage.unreadable:
        KeyProbe.objects.create(ciphertext=_UNKNOWN)
    wanted = {key for key, count in enumerate(usage.keys) if count}
    for probe in probes:
        key = key_of(probe.ciphertext)
        if key in wanted:
            wanted.discard(key)
        elif not (usage.unreadable and key in (None, 0)):
            probe.delete()
    for key in wanted:
        KeyProbe.objects.create(ciphertext=_sealed_with(key))


def _sealed_with(key: int) -> str:
    return Fernet(SecretTextField().fernet_keys[key]).encrypt(b"probe").decode()


def lost_keys() -> int:
    """How many keys are missing that stored secrets need; one small query."""
    probes = KeyProbe.objects.values_list("ciphertext", flat=True)
    return sum(key_of(ciphertext) is None for ciphertext in probes)


@transaction.atomic
def forget_lost_keys() -> None:
    """Take it that they do not come back: who is connected enters the credentials again."""
    lost = [probe.pk for probe in KeyProbe.objects.all() if key_of(probe.ciphertext) is None]
    KeyProbe.objects.filter(pk__in=lost).delete()
    KeyProbe.objects.create(ciphertext=_sealed_with(0))


# --- The job "keys" -------------------------------------------------------------------------------

_asked_at = -EVERY


def due() -> list[str]:
    """`["all"]` once an hour, and when a process begins."""
    global _asked_at
    now = time.monotonic()
    if now < _asked_at + EVERY:
        return []
    _asked_at = now
    return [ALL]


def run(what: str = ALL) -> None:
    usage = measure_key_usage()
    if usage.unreadable:
        log.error(
            "%d rows hold secrets that no key opens: see `manage.py rotate_secrets --check`.",
            len(usage.unreadable),
        )
