"""`/metrics`: who may read it, what it says, what it costs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.buttons.listening import beat
from builds.models import DeliveryState
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.sweeper import Sweeper
from delivr.tenants.models import Tenant
from delivr.tests import factories

pytestmark = pytest.mark.django_db

TOKEN = "a-token-for-tests"
ROOT = Path(configured.BASE_DIR)


def read(token: str = TOKEN) -> Any:
    return Client(headers={"Authorization": f"Bearer {token}"}).get("/metrics")


def figures() -> dict[str, float]:
    """The value of each line: `delivr_name{label="value"}`."""
    lines = read().content.decode().splitlines()
    found = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in found}


@pytest.fixture
def _token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.mark.on_sqlite
def test_metrics_need_their_token(settings: Any) -> None:
    assert read().status_code == 404  # nothing is set
    assert read("").status_code == 404
    settings.METRICS_TOKEN = TOKEN
    for wrong in ("", "another", TOKEN[:-1], "tökén"):
        refused = read(wrong)
        assert (refused.status_code, b"delivr_" in refused.content) == (401, False), wrong
    assert Client().get("/metrics").status_code == 401
    answer = read()
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert answer["Content-Type"].startswith("text/plain; version=")


def make(tenant: Tenant, kind: str, **columns: Any) -> Effect:
    now = timezone.now()
    times = {"created_at": now, "next_at": now + timedelta(minutes=1), "expires_at": now}
    number = Effect.objects.count()
    return Effect.objects.create(
        tenant=tenant, kind=kind, dedupe_key=str(number), **{**times, **columns}
    )


def build(tenant: Tenant, **columns: Any) -> Any:
    return factories.BuildFactory(release_pipeline__release__tenant=tenant, **columns)


@pytest.fixture
def busy(tenant: Tenant, _token: None) -> Tenant:
    """A workspace in which something of everything happened."""
    now = timezone.now()
    ago = {minutes: now - timedelta(minutes=minutes) for minutes in (1, 5, 30, 90)}
    scm, chat = factories.ScmFactory(tenant=tenant), factories.SlackFactory(tenant=tenant)
    late = {"created_at": ago[30], "next_at": ago[5], "last_error_code": "down"}
    make(tenant, "scm.tag", integration_id=scm.pk, **late)
    make(tenant, "scm.tag", integration_id=scm.pk)
    ended = {"state": EffectState.DONE, "attempts": 1, "done_at": ago[1]}
    for seconds in (0.1, 3, 30):
        begun = ago[1] - timedelta(seconds=seconds)
        make(tenant, "message.post", integration_id=chat.pk, dispatched_at=begun, **ended)
    found = {**ended, "reconciles": 2, "dispatched_at": ago[30]}
    make(tenant, "message.post", integration_id=chat.pk, **found)
    make(tenant, "mail.send", integration_id="mail", state=EffectState.DEAD, done_at=ago[5])
    make(tenant, "mail.send", integration_id="mail", state=EffectState.DEAD, done_at=ago[90])
    IntegrationHealth.objects.create(
        tenant=tenant, integration_id=scm.pk, open_until=now + timedelta(minutes=5)
    )
    IntegrationHealth.objects.create(
        tenant=tenant, integration_id=chat.pk, open_until=ago[5], credentials_refused_at=ago[5]
    )
    moving = build(tenant, poll_at=ago[5])
    moving.created_at = ago[30]
    moving.save()
    build(tenant, status="FAILURE", finished_at=ago[5])
    build(tenant, status="FAILURE", finished_at=ago[90])
    waiting = {"state": DeliveryState.UNMATCHED, "next_at": ago[1], "received_at": ago[5]}
    factories.DeliveryFactory(pipeline__tenant=tenant, **waiting)
    Sweeper().beat()
    beat()
    return tenant


@pytest.mark.on_both
def test_metrics_tell_counts_ages_and_outcomes(busy: Tenant) -> None:
    found = figures()
    exact = {
        'delivr_effects_open{kind="scm.tag",state="PENDING"}': 2,
        'delivr_effects_open_failing{kind="scm.tag",state="PENDING"}': 1,
        'delivr_effects_dead{kind="mail.send"}': 2,
        'delivr_effects_ended{kind="mail.send",outcome="DEAD",provider="mail"}': 1,
        'delivr_effects_ended{kind="message.post",outcome="DONE",provider="SLACK"}': 4,
        'delivr_provider_call_seconds_bucket{le="0.25",provider="SLACK"}': 1,
        'delivr_provider_call_seconds_bucket{le="5.0",provider="SLACK"}': 2,
        'delivr_provider_call_seconds_bucket{le="+Inf",provider="SLACK"}': 3,
        'delivr_connections_paused{provider="GITHUB",reason="breaker_open"}': 1,
        'delivr_connections_paused{provider="SLACK",reason="credentials_refused"}': 1,
        'delivr_builds_moving{provider="JENKINS",status="TRIGGERING"}': 1,
        'delivr_builds_ended{provider="JENKINS",status="FAILURE"}': 1,
        'delivr_deliveries_waiting{state="UNMATCHED"}': 1,
        'delivr_deliveries_waiting{state="NEW"}': 0,
        "delivr_broker_down_seconds": 0,
        f'delivr_info{{version="{configured.VERSION}"}}': 1,
    }
    assert {name: found.get(name) for name in exact} == exact
    assert 'delivr_connections_paused{provider="SLACK",reason="breaker_open"}' not in found
    seconds = {
        'delivr_effects_open_oldest_seconds{kind="scm.tag",state="PENDING"}': 1800,
        'delivr_effects_overdue_seconds{kind="scm.tag",state="PENDING"}': 300,
        'delivr_provider_call_seconds_gsum{provider="SLACK"}': 33.1,
        'delivr_builds_moving_oldest_seconds{provider="JENKINS",status="TRIGGERING"}': 1800,
        "delivr_polls_overdue_seconds": 300,
        'delivr_deliveries_overdue_seconds{state="UNMATCHED"}': 60,
        'delivr_heartbeat_age_seconds{process="sweeper"}': 0,
        'delivr_heartbeat_age_seconds{process="listener"}': 0,
    }
    assert {name: found.get(name) for name in seconds} == pytest.approx(seconds, abs=30)
    assert busy.pk not in read().content.decode()


@pytest.mark.on_sqlite
def test_metrics_cost_the_same_however_much_there_is(busy: Tenant) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert read().status_code == 200
        return len(queries)

    before = cost()
    for tenant in (busy, factories.TenantFactory()):
        build(tenant)
        scm = factories.ScmFactory(tenant=tenant)
        for kind in ("scm.tag", "scm.create_branch", "message.post"):
            make(tenant, kind, integration_id=scm.pk)
            ended = {"state": EffectState.DONE, "done_at": timezone.now()}
            make(tenant, kind, integration_id=scm.pk, **ended)
    assert cost() == before <= 20


# --- The dashboard and the alerts name what there is ----------------------------------------------


@pytest.mark.on_sqlite
def test_dashboard_and_alerts_use_metrics_that_exist(busy: Tenant) -> None:
    exported = {name.partition("{")[0] for name in figures()}
    used: set[str] = set()
    for path in (ROOT / "deploy/grafana/delivr.json", ROOT / "deploy/prometheus/alerts.yaml"):
        named = set(re.findall(r"\bdelivr_\w+", path.read_text()))
        assert named, path
        used |= named
    assert used - exported == set()
    helpers = {"delivr_provider_call_seconds_gcount", "delivr_provider_call_seconds_gsum"}
    assert exported - used - helpers == set(), "a metric that nobody looks at"


@pytest.mark.on_sqlite
def test_every_alert_has_its_runbook() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    books = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert len(rules) == len(books) > 5
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"].removeprefix("Delivr")).lower()
        assert name in books
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
        text = (ROOT / rule["annotations"]["runbook"]).read_text()
        assert text.startswith(f"# {rule['alert']}\n")
        assert all(part in text for part in ("What it means", "Look at", "Do")), name
