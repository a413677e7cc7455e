"""What belongs to the installation as a whole."""

from __future__ import annotations

from django.db import models


class RateCounter(models.Model):
    """How often something happened since its window began. Only `ratelimit` writes it."""

    key = models.CharField(max_length=64, primary_key=True)  # a hash: it may name a person
    hits = models.PositiveIntegerField()
    ends_at = models.FloatField(db_index=True)  # of the window, in seconds since 1970

    class Meta:
        db_table = "rate_counters"

    def __str__(self) -> str:
        return f"{self.hits} until {self.ends_at}"


class KeyProbe(models.Model):
    """A line that one key of FERNET_KEYS encrypted, as long as stored secrets need that key;
    `delivr.encryption.key_usage` alone writes it."""

    ciphertext = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "key_probes"

    def __str__(self) -> str:
        return f"key since {self.created_at:%Y-%m-%d}"


class CacheEntry(models.Model):
    """A line of Django's cache, in the shape that its database backend reads and writes."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "cache_entries"

    def __str__(self) -> str:
        return self.cache_key
