"""The trace of a click, as a collector receives it: through the effect and the provider to the
report and the build. Real HTTP, OpenTelemetry's own protocol."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from django.http import HttpResponse
from rest_framework.test import APIClient

from builds.tests import sending
from builds.tests.test_main_flow import hurry
from delivr import outbound
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.monitoring import traces
from delivr.monitoring.logs import AddIds, log_ids
from delivr.tests.collector import Collector, Span, collecting
from delivr.tests.wired import fresh
from sandbox import accounts

pytestmark = pytest.mark.django_db


@pytest.fixture
def collector(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Traces are on, and sent there."""
    from delivr.monitoring import spans

    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        settings.TRACES = True
        ids = "delivr.monitoring.logs.IdsOfRequests"
        after = settings.MIDDLEWARE.index(ids) + 1
        route = "delivr.monitoring.served.RouteOfRequests"
        settings.MIDDLEWARE = [*settings.MIDDLEWARE[:after], route, *settings.MIDDLEWARE[after:]]
        spans.provider.cache_clear()
        yield server
        spans.provider().shutdown()
        spans.provider.cache_clear()


def arrived(collector: Collector) -> list[Span]:
    from delivr.monitoring.spans import provider

    assert provider().force_flush()
    return collector.spans


class Served:
    """A test client's handler within the WSGI application that begins traces."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self, environ: dict[str, Any]) -> HttpResponse:
        from delivr.monitoring.served import Served

        passed: list[HttpResponse] = []

        def django(environ: dict[str, Any], start: Any) -> list[bytes]:
            passed.append(self.handler(environ))
            start(f"{passed[0].status_code} x", [])
            return []

        Served(django)(environ, lambda *answer: None)
        return passed[0]


@pytest.fixture
def api(api_for: Any, tenant: Any) -> APIClient:
    found: APIClient = api_for(tenant)
    found.handler = Served(found.handler)
    return found


def one(spans: list[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


CLICK = "POST /api/v1/releases/<str:release_id>/builds"
INTAKE = "POST /api/v1/webhooks/jenkins/<str:pipeline_id>"


def test_one_trace_leads_from_the_click_to_the_provider_and_back(
    api: APIClient, wired: Any, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = wired.release("ios", slack=True)
    assert api.post(f"/api/v1/releases/{release.pk}/builds?secret=of-a-query").status_code == 202
    trigger = Effect.objects.get(kind="build.trigger")
    for _ in range(3):  # the trigger, its messages, and the poll that finds the number
        hurry()
        sweep_until_idle(limit=3)
    monkeypatch.setattr(sending, "around", Served)
    sending.stored(sending.send(wired.pipelines["ios"], sending.SEED))
    sweep_until_idle()
    assert fresh(release).status == "BUILD_COMPLETE"

    spans = arrived(collector)
    click = one(spans, CLICK)
    assert click.attributes["http.response.status_code"] == 202
    assert click.attributes["delivr.release"] == release.pk
    assert "effect created" in click.events
    ours = [span for span in spans if span.trace == click.trace]

    effect = one(ours, "effect build.trigger")
    ids = {"tenant": wired.tenant.pk, "release": release.pk, "effect": trigger.pk}
    assert effect.parent == click.id
    assert ids.items() <= named(effect).items()
    calls = [span for span in ours if span.parent == effect.id and span.name == "POST"]
    (call,) = [span for span in calls if span.attributes["http.response.status_code"] == 201]
    assert call.attributes["server.address"] == "127.0.0.1"
    assert ids.items() <= named(call).items()

    report = one(ours, "webhook")
    assert report.parent == click.id
    intake = one(spans, INTAKE)
    assert report.links == [intake.trace]
    assert intake.trace != click.trace
    (update,) = [s for s in ours if s.name == "build update" and s.parent == report.id]
    assert update.attributes["delivr.status"] == "SUCCESS"
    messages = {span.name for span in ours if span.name.startswith("effect message.")}
    assert "effect message.post" in messages, "which follow from the trigger and the report"

    for secret in (accounts.JENKINS_API_TOKEN, accounts.SLACK_BOT_TOKEN, "of-a-query", "ios-prod"):
        assert secret.encode() not in collector.bodies
    assert sending.SEED["artifactUrl"].encode() not in collector.bodies  # type: ignore[attr-defined]


def named(span: Span) -> dict[str, Any]:
    """Its ids, by the names that they have in the log."""
    return {key.removeprefix("delivr."): value for key, value in span.attributes.items()}


@pytest.mark.services
def test_the_thin_path_is_traced_too(
    wired: Any, collector: Collector, thin_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from builds.tests.both_ways import _find
    from builds.webhooks import known

    monkeypatch.setattr(known, "find", _find)
    monkeypatch.setattr(sending, "around", lambda handler: Served(thin_path(handler)))
    delivery = sending.stored(sending.send(wired.pipelines["ios"], sending.SEED))
    assert thin_path.answered == 1
    span = one(arrived(collector), "POST /api/v1/webhooks/jenkins/<pipeline_id>")
    assert span.attributes["delivr.tenant"] == wired.tenant.pk
    assert delivery.traceparent.split("-")[1:3] == [span.trace.hex(), span.id.hex()]


def test_a_failure_is_an_error_by_its_code_alone(wired: Any, collector: Collector) -> None:
    wired.slack.token = "xoxb-wrong"
    wired.slack.save()
    wired.release("ios", slack=True)
    effect = Effect.objects.filter(kind="message.post").earliest("created_at")
    run_effect(effect.pk)
    effect.refresh_from_db()
    assert effect.last_error
    span = next(s for s in arrived(collector) if s.name == "effect message.post")
    assert span.is_error
    assert span.attributes["error.type"] == effect.last_error_code
    assert effect.last_error.encode() not in collector.bodies
    assert b"xoxb-wrong" not in collector.bodies


def test_a_stranger_neither_joins_a_trace_nor_suppresses_it(
    api: APIClient, wired: Any, collector: Collector
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    api.get("/api/v1/releases", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-00"})
    span = one(arrived(collector), "GET /api/v1/releases")
    assert span.trace.hex() != trace
    assert not span.parent


def test_providers_learn_of_the_trace_only_if_the_operator_names_them(
    collector: Collector, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    host = collector.url.removeprefix("http://")
    for named in ([], ["example.com"], [host], ["127.0.0.1"]):
        settings.TRACEPARENT_TO = named
        outbound.session().get(f"{collector.url}/api?token=of-a-query")
    sent = [request.get("traceparent") for request in collector.asked]
    assert sent[:2] == [None, None]
    spans = [f"00-{s.trace.hex()}-{s.id.hex()}-" for s in arrived(collector) if s.name == "GET"]
    assert [str(header)[:-2] for header in sent[2:]] == spans[2:]
    assert b"of-a-query" not in collector.bodies


def test_a_line_of_the_log_names_its_trace(collector: Collector) -> None:
    def ids() -> dict[str, str]:
        record = logging.LogRecord("x", logging.INFO, "", 0, "", None, None)
        AddIds().filter(record)
        traces.AddTrace().filter(record)
        return record.ids  # type: ignore[attr-defined,no-any-return]

    with log_ids(tenant="T1"), traces.span("something"):
        _version, trace_id, span_id, _flags = traces.here().split("-")
        assert ids() == {"tenant": "T1", "trace_id": trace_id, "span_id": span_id}
    assert ids() == {}


# Everything that a web server, a worker and a sweeper import, and one span.
STARTED = """
import json, sys
from delivr import wsgi, celery
from django.conf import settings
from django.utils.module_loading import import_string
celery.app.loader.import_default_modules()
for job in settings.JOBS.values():
    import_string(job.run), import_string(job.due)
for handler in settings.EFFECT_HANDLERS.values():
    import_string(handler)
from delivr.monitoring import traces
with traces.span("something"):
    here = traces.here()
print(json.dumps({
    "imported": [name for name in sys.modules if name.startswith("opentelemetry")],
    "application": type(wsgi.application).__name__,
    "added": [one for one in [*settings.MIDDLEWARE, *settings.LOGGING["filters"]]
              if "served" in one or "trace" in one],
    "here": here,
}))
"""


def started(**env: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        cwd=configured.BASE_DIR,
        env={**kept, "DJANGO_SETTINGS_MODULE": "delivr.settings_test", **env},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["by default", "disabled", "another exporter"],
)
def test_off_nothing_is_imported_and_nothing_wrapped(env: dict[str, str]) -> None:
    found = started(**env)
    assert found["imported"] == []
    assert found["application"] in ("WSGIHandler", "ThinPath")
    assert found["added"] == []
    assert found["here"] == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ENDPOINT", "TRACES_ENDPOINT"])
def test_on_by_opentelemetrys_own_settings(name: str) -> None:
    found = started(**{f"OTEL_EXPORTER_OTLP_{name}": "http://127.0.0.1:1"})
    assert found["application"] == "Served"
    assert found["added"] == ["delivr.monitoring.served.RouteOfRequests", "add_trace"]
    assert found["here"].startswith("00-")
