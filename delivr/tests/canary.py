"""Searches for secrets in everything that can be read outside of the program: `test_canary.py`."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.db.models import Model
from django.test import Client
from redis import Redis
from rest_framework.test import APIClient

from delivr.signin.sessions import SessionStore
from delivr.tests.admin_pages import detail, listing
from delivr.tests.test_walk import all_of
from integrations.setup import STEPS
from sandbox.server import SandboxServer

FAMILIES = ("scm", "targets", "pipelines", "communication", "tickets", "health")
PAGES = (
    "/releases",
    "/integrations",
    "/activity",
    "/activity/received",
    "/activity/polled",
    "/insights",
    "/setup/done",
    "/settings/",
    "/settings/tokens",
    "/settings/audit",
    "/settings/audit/export.csv",
    "/settings/audit/export.json",
    "/settings/security",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
)


def spellings(secret: str) -> set[str]:
    """The encodings in which a text may contain `secret`; base64 at its three alignments."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found |= {quote(secret), html.escape(secret), raw.hex()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            found.add(text[(0, 2, 3)[before] : -3])
    return found


@dataclass
class Watch:
    """The secrets by name, and all texts by channel."""

    secrets: dict[str, str]
    seen: dict[str, list[str]] = field(default_factory=dict)

    def see(self, channel: str, text: str) -> None:
        self.seen.setdefault(channel, []).append(text)

    def leaks(self) -> set[tuple[str, str]]:
        """(channel, name of the secret) of every leak."""
        forms = {name: spellings(text) for name, text in self.secrets.items()}
        return {
            (channel, name)
            for channel, texts in self.seen.items()
            for text in texts
            for name, ways in forms.items()
            if any(way in text for way in ways)
        }


# --- What is kept somewhere -----------------------------------------------------------------------


def see_stores(watch: Watch, sandbox: SandboxServer, caplog: Any) -> None:
    """The database, Redis if this run has one, log, mails, and what the providers received."""
    for table in connection.introspection.table_names():
        for row in rows_of(table):
            watch.see("database", "\n".join(map(in_words, row)))
    for session in Session.objects.all():
        watch.see("sessions", json.dumps(SessionStore(session.pk).load(), default=str))
    for text in redis_texts():
        watch.see("redis", text)
    watch.see("log", caplog.text)
    watch.see("log", "\n".join(repr(record.__dict__) for record in caplog.records))
    for message in mail.outbox:
        watch.see("mail", message.message().as_string())
    watch.see("slack", json.dumps(sandbox.state.slack.dump(), default=str))
    watch.see("jira", json.dumps(sandbox.state.jira.dump(), default=str))


def rows_of(table: str) -> Iterable[tuple[Any, ...]]:
    """All columns of all rows as stored, including tables without a model."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 # ours
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def in_words(value: Any) -> str:
    is_binary = isinstance(value, bytes | memoryview)
    return bytes(value).decode("latin-1") if is_binary else str(value)


def broker_address() -> str:
    """The URL of the Redis of this run; empty without a broker."""
    url = str(current_app.conf.broker_url)
    return url if url.startswith("redis") else ""


def redis_texts() -> Iterator[str]:
    """Every key of this run with its content."""
    if not broker_address():
        return
    with Redis.from_url(broker_address()) as client:
        for key in client.scan_iter(f"{settings.CELERY_KEY_PREFIX}*"):
            read = {
                b"string": client.get,
                b"list": lambda k: client.lrange(k, 0, -1),
                b"set": client.smembers,
                b"zset": lambda k: client.zrange(k, 0, -1),
                b"hash": client.hgetall,
            }[client.type(key)]
            yield f"{key!r} {read(key)!r}"


# --- Looking at everything ------------------------------------------------------------------------


def look_everywhere(watch: Watch, api: APIClient, page: Client, root: Client) -> None:
    addresses, steps = list(PAGES), {step.key for step in STEPS}
    for family in FAMILIES:
        watch.see("answers", all_of(api.get(f"/api/v1/integrations/{family}")))
        if family in steps:
            addresses.append(f"/setup/{family}")
        for made in api.get(f"/api/v1/integrations/{family}").json()["results"]:
            addresses.append(f"/integrations/{family}/{made['id']}")
            addresses.append(f"/integrations/{family}/{made['id']}?edit=1")
            watch.see("answers", all_of(api.get(f"/api/v1/integrations/{family}/{made['id']}")))
    for path_ in ("setup", "releases", "effects", "webhook-deliveries", "audit-events", "schema"):
        watch.see("answers", all_of(api.get(f"/api/v1/{path_}", {"limit": 100})))
    for release in api.get("/api/v1/releases").json()["results"]:
        addresses.append(f"/releases/{release['id']}")
        watch.see("answers", all_of(api.get(f"/api/v1/releases/{release['id']}")))
    see_all(watch, "pages", page, addresses)
    for model in filter(admin.site.is_registered, apps.get_models()):
        see_all(watch, "admin", root, [listing(model), *map(detail, _some(model))])


def see_all(watch: Watch, channel: str, client: Client, addresses: list[str]) -> None:
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code in (200, 302), address
        watch.see(channel, all_of(answer))


def _some(model: type[Model]) -> list[Model]:
    """The first and the last rows; the list, which is searched too, has them all."""
    rows = model._default_manager.order_by("pk")
    return [*rows[:4], *rows.reverse()[:4]]
