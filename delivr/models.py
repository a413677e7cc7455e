"""Tables that belong to the whole installation."""

from __future__ import annotations

from django.db import models


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
