"""The fixture `way`: tests of webhooks run by Django's view, and by the thin path around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection
from django.http import HttpResponse

from builds.models import WebhookDelivery
from builds.tests import sending
from builds.webhooks import known, storing, thin
from builds.webhooks.views import _look_up, key_of
from delivr.models import RateCounter
from delivr.security.ratelimit import turn
from delivr.tests import factories
from integrations.models import PipelineIntegration

own_connection = storing.connection  # which sees nothing of a test's transaction


class Around:
    """A test client's handler with the thin path around it; counts what that answered itself."""

    headers: dict[Any, Any]  # of the thin path
    answered = 0

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self, environ: dict[str, Any]) -> HttpResponse:
        given: list[Any] = []
        passed: list[HttpResponse] = []

        def django(environ: dict[str, Any], start: Any) -> list[bytes]:
            passed.append(self.handler(environ))
            start(f"{passed[0].status_code} x", list(passed[0].headers.items()))
            return []

        path = thin.ThinPath(django)
        path.headers = self.headers
        found = path(environ, lambda *answer: given.extend(answer))
        if passed:
            return passed[0]
        Around.answered += 1
        status, headers = given
        response = HttpResponse(b"".join(found), status=int(status[:3]), headers=dict(headers))
        response.wsgi_request = WSGIRequest(environ)  # type: ignore[attr-defined]
        return response


@pytest.fixture
def thin_path(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Around]]:
    """All that `sending.post` sends passes the thin path, which knows the headers of the usual
    shapes already. It uses Django's connection, within the test's transaction."""
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    settings.WSGI_AROUND = "builds.webhooks.thin.ThinPath"
    monkeypatch.setattr(storing, "connection", _djangos)
    monkeypatch.setattr(sending, "around", Around)
    known.forget_all()
    Around.headers, Around.answered = {}, 0
    teach()
    yield Around
    known.forget_all()


def _djangos() -> Any:
    connection.ensure_connection()
    return Prepares(connection.connection)


class Prepares:
    """Django's connection takes no `prepare`."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def execute(self, statement: Any, values: Any, prepare: bool) -> Any:
        return psycopg.Cursor(self.found).execute(statement, values)


def teach() -> None:
    """Have the headers of the usual shapes learned from Django, and leave nothing behind."""
    pipeline = factories.PipelineFactory()
    secret = pipeline.webhook_secret.reveal()
    for headers in (sending.signed(secret, b"{}"), sending.basic(secret)):
        sending.stored(sending.post(sending.path(pipeline), b"{}", headers))
    WebhookDelivery.objects.all().delete()
    RateCounter.objects.all().delete()


@pytest.fixture(params=["Django", pytest.param("thin path", marks=pytest.mark.services)])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By Django's view, and by the thin path, to which every pipeline is known already."""
    if request.param == "thin path":
        request.getfixturevalue("thin_path")
        monkeypatch.setattr(known, "find", _find)
    return str(request.param)


def _find(pipeline_id: str, find: Any = known.find) -> Any:
    if pipeline_id not in known._known and PipelineIntegration.owns(pipeline_id):
        pipeline, secrets = _look_up(pipeline_id)
        if pipeline is not None:
            known.remember(pipeline, secrets)
            key = turn(key_of(pipeline_id), limit=1, window=1)["key"]
            RateCounter.objects.get_or_create(key=key, defaults={"hits": 0, "ends_at": 0})
    return find(pipeline_id)
