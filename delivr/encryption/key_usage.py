"""Which of FERNET_KEYS the stored secrets need, and whether a needed key is missing.

Measuring opens every secret, which is too slow for a health check. So it stores for each key in use
one text that this key encrypted (`KeyProbe`): a process that cannot open one of them lacks a key.
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
EVERY = 3600.0  # seconds, in each process
ALL = "all"
_UNKNOWN = "?"  # stands for a key that was already missing at the first measurement


@dataclass
class KeyUsage:
    keys: list[int]  # how many secrets each of FERNET_KEYS opens, in their order
    unreadable: list[str] = field(default_factory=list)  # ids of rows, without duplicates

    @property
    def total(self) -> int:
        """The number of secrets that can be opened."""
        return sum(self.keys)

    @property
    def is_rotated(self) -> bool:
        """True if the first key alone opens everything."""
        return not self.unreadable and self.total == self.keys[0]


def measure_key_usage() -> KeyUsage:
    """Open every stored secret (read-only; about 50 µs each), and store a probe per key in use."""
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
    """Store one probe for each key in use. While secrets are unreadable, keep probes that no key
    opens, and that of the first key, which shows that the usage was measured before."""
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
    """How many keys that stored secrets need are missing; one small query."""
    probes = KeyProbe.objects.values_list("ciphertext", flat=True)
    return sum(key_of(ciphertext) is None for ciphertext in probes)


@transaction.atomic
def forget_lost_keys() -> None:
    """Accept that they are lost for good: the credentials have to be entered again."""
    lost = [probe.pk for probe in KeyProbe.objects.all() if key_of(probe.ciphertext) is None]
    KeyProbe.objects.filter(pk__in=lost).delete()
    KeyProbe.objects.create(ciphertext=_sealed_with(0))


# --- The job "keys" -------------------------------------------------------------------------------

_measured_at = -EVERY


def due() -> list[str]:
    """`["all"]` once an hour, and when a process starts."""
    global _measured_at
    now = time.monotonic()
    if now < _measured_at + EVERY:
        return []
    _measured_at = now
    return [ALL]


def run(what: str = ALL) -> None:
    usage = measure_key_usage()
    if usage.unreadable:
        log.error(
            "%d rows hold secrets that no key opens: see `manage.py rotate_secrets --check`.",
            len(usage.unreadable),
        )
