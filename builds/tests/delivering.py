"""Store and apply deliveries as the webhook view and the sweeper do."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from builds.models import Build, Trust, WebhookDelivery
from builds.webhooks.deliveries import (
    apply_delivery,
    store,
)
from delivr.tests.wired import fresh

NOWHERE = "http://127.0.0.1:1"
_keys = count()


def set_values(build: Build, **values: Any) -> Build:
    Build.objects.filter(pk=build.pk).update(**values)
    found: Build = fresh(build)
    return found


def store_delivery(build_or_pipeline: Any, body: Any, *, trust: str = "SIGNED") -> WebhookDelivery:
    """Store a delivery at a pipeline's endpoint, as the view does."""
    row = build_or_pipeline
    pipeline = row.release_pipeline.pipeline if isinstance(row, Build) else row
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return store(pipeline=pipeline, dedupe_key=f"k{next(_keys)}", trust=Trust(trust), body=raw)


def deliver(build_or_pipeline: Any, body: Any, **kwargs: Any) -> WebhookDelivery:
    """Store a delivery and apply it."""
    delivery = store_delivery(build_or_pipeline, body, **kwargs)
    apply_delivery(delivery.pk)
    found: WebhookDelivery = fresh(delivery)
    return found


def plugin(phase: str, number: int = 245, **build: Any) -> dict[str, Any]:
    return {"name": "ios-prod", "build": {"phase": phase, "number": number, **build}}


SUCCESS = {"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://builds/ios-245.ipa"}
