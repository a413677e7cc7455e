"""Webhooks by the API: made, changed, tried, delivered again."""

from __future__ import annotations

from typing import Any

from sandbox.apple import notifications
from sandbox.apple.records import Record
from sandbox.apple.trouble import invalid
from sandbox.providers.app_store.access import store
from sandbox.providers.app_store.bodies import Body

KEPT = ("name", "url", "enabled", "eventTypes")  # the secret is not shown again


def create(body: Body) -> Record:
    _check(body.values)
    made = store().records.add("webhooks")
    made.one["app"] = body.one("app").key
    _fill(made, body.values)
    store().record("webhook.created", url=made["url"])
    return made


def change(found: Record, body: Body) -> None:
    _check(body.values)
    _fill(found, body.values)


def _fill(found: Record, values: dict[str, Any]) -> None:
    found.attributes |= {name: values[name] for name in KEPT if name in values}
    if values.get("secret"):
        found.private["secret"] = values["secret"]


def _check(values: dict[str, Any]) -> None:
    unknown = [one for one in values.get("eventTypes") or () if one not in notifications.EVENTS]
    if unknown:
        raise invalid("eventTypes", f"'{unknown[0]}' is not a valid event type.")
    if not str(values.get("url", "http://")).startswith(("http://", "https://")):
        raise invalid("url", "The address must begin with https://.")


def ping(body: Body) -> Record:
    return notifications.ping(store(), body.one("webhook"))


def redeliver(body: Body) -> Record:
    return notifications.again(store(), body.one("template"))
