"""Tables that belong to the whole installation."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RateCounter(models.Model):
    """How often something happened in a window of time. Only `ratelimit` writes it."""

    key = models.CharField(max_length=64, primary_key=True)  # a hash, since it may name a person
    hits = models.PositiveIntegerField()
    ends_at = models.FloatField(db_index=True)  # end of the window, in seconds since 1970

    class Meta:
        db_table = "rate_counters"

    def __str__(self) -> str:
        return f"{self.hits} until {self.ends_at}"


class KeyProbe(models.Model):
    """A text that one key of FERNET_KEYS encrypted, kept as long as stored secrets need that key.
    Only `delivr.encryption.key_usage` writes it."""

    ciphertext = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "key_probes"

    def __str__(self) -> str:
        return f"key since {self.created_at:%Y-%m-%d}"


class CacheEntry(models.Model):
    """An entry of Django's cache, in the form of its database backend."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "cache_entries"

    def __str__(self) -> str:
        return self.cache_key


class RowChange(models.Model):
    """A transaction that changed what pages of a workspace show. Only triggers on PostgreSQL write
    it (`delivr.changes.NoteChanges`), and rows are deleted after a while.

    Rows are only ever added, each by a transaction of its own, so that nobody waits for another.
    """

    pk = models.CompositePrimaryKey("tenant_key", "transaction", "release_key")
    tenant_key = models.CharField(max_length=40)
    transaction = models.BigIntegerField(db_index=True)  # PostgreSQL's id, with its epoch
    # The release's id; `delivr.changes.SHARED` or `.ELSEWHERE` for what belongs to none.
    release_key = models.CharField(max_length=64)
    noted_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "row_changes"

    def __str__(self) -> str:
        return f"{self.tenant_key} {self.release_key} in {self.transaction}"
