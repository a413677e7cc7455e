"""What belongs to the installation as a whole."""

from __future__ import annotations

from django.db import models


class RateCounter(models.Model):
    """How often something happened since its window began; `delivr.ratelimit` alone writes it."""

    key = models.CharField(max_length=64, primary_key=True)  # a hash: it may name a person
    hits = models.PositiveIntegerField()
    ends_at = models.FloatField(db_index=True)  # of the window, in seconds since 1970

    class Meta:
        db_table = "rate_counters"

    def __str__(self) -> str:
        return f"{self.hits} until {self.ends_at}"
