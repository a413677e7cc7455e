"""A proxy, an ingress or a login page answers instead of the provider: nothing is concluded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build
from builds.tests.polling import polled, running
from builds.tests.rerunning import rerun, rerun_when_settled
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of
from integrations.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

PAGES = [("squid", 403), ("nginx", 404), ("nginx", 502), ("cloudflare", 503)]


def connections(wired: Wired, values: dict[str, Any]) -> dict[str, Any]:
    """One connection to each provider, with keys that the sandbox accepts."""
    ios, android = values["targets"]
    return {
        "github": wired.scm,
        "jenkins": wired.pipelines["ios"],
        "slack": wired.slack,
        "jira": wired.jira,
        "app_store": factories.AppStoreFactory(
            tenant=wired.tenant,
            app_identifier=ios["appIdentifier"],
            issuer_id=ios["appleIssuerId"],
            key_id=ios["appleKeyId"],
            credentials=ios["appleApiKey"],
        ),
        "google_play": factories.PlayStoreFactory(
            tenant=wired.tenant,
            app_identifier=android["appIdentifier"],
            credentials=json.dumps(android["googleServiceAccount"]),
        ),
    }


PROVIDERS = ("github", "jenkins", "slack", "jira", "app_store", "google_play")


@pytest.mark.parametrize(("proxy", "status"), PAGES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_valid_connection_stays_valid(
    wired: Wired, sandbox: Any, sandbox_values: Any, provider: str, proxy: str, status: int
) -> None:
    connection = connections(wired, sandbox_values)[provider]
    assert verify(connection).verification_status == "VALID"
    sandbox.state.faults.add("proxy", provider=provider, proxy=proxy, status=status)
    shaken = verify(fresh(connection))
    assert (shaken.verification_status, shaken.verification_error != "") == ("VALID", True)
    sandbox.state.faults.clear()
    assert verify(shaken).verification_error == ""


def open_effects(wired: Wired) -> dict[str, Effect]:
    """A trigger, a message and an epic that were not sent yet."""
    build = wired.build("ios", slack=True, jira=True)
    message = Effect.objects.filter(kind="message.post").order_by("created_at")[0]
    epic = Effect.objects.filter(kind="ticket.create_epic").get()
    return {"jenkins": trigger_of(build), "slack": message, "jira": epic}


DONE = {"jenkins": "build.queued", "slack": "message.posted", "jira": "issue.created"}


@pytest.mark.parametrize(("proxy", "status"), PAGES)
@pytest.mark.parametrize("provider", DONE)
def test_a_blocked_request_is_sent_again_exactly_once(
    wired: Wired, sandbox: Any, provider: str, proxy: str, status: int
) -> None:
    effect = open_effects(wired)[provider]
    sandbox.state.faults.add("proxy", provider=provider, proxy=proxy, status=status)
    for _n in range(2):
        assert rerun(effect).state == EffectState.PENDING
    assert sandbox.state.ledger.of(DONE[provider]) == []
    sandbox.state.faults.clear()
    sandbox.state.advance(240)
    for _n in range(3):
        if fresh(effect).state == EffectState.PENDING:
            rerun_when_settled(effect) if fresh(effect).dispatched_at else rerun(effect)
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.state.ledger.of(DONE[provider])) == 1


# --- A login page that ignores tokens -------------------------------------------------------------


def test_a_login_that_ignores_tokens_is_recognised(wired: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add("sign_in", provider="jenkins")
    verified = verify(wired.pipelines["ios"])
    assert verified.verification_status == "INVALID"
    assert "ignores the API token" in verified.verification_error


def test_a_build_behind_a_login_is_read_once_tokens_work_again(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.faults.add("sign_in", provider="jenkins")
    row = polled(build, 3)
    assert (row.status, row.misses) == ("RUNNING", 0)
    assert row.pipeline.doubted_at is not None
    assert "ignores the API token" in row.pipeline.verification_error
    sandbox.state.faults.clear()
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert verify(fresh(row.pipeline)).is_valid
    assert polled(build).status == "SUCCESS"


def test_nothing_is_sent_past_a_login(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    sandbox.state.faults.add("sign_in", provider="jenkins")
    run_effect(trigger_of(build).pk)
    assert trigger_of(build).state == EffectState.PENDING
    sandbox.state.faults.clear()
    IntegrationHealth.objects.all().delete()
    Effect.objects.update(next_at=timezone.now())
    assert verify(fresh(build.pipeline)).is_valid
    run_effect(trigger_of(build).pk)
    assert trigger_of(build).state == EffectState.DONE
    assert len(sandbox.state.ledger.of("build.queued")) == 1
