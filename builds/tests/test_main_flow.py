"""The main flow, end to end over the API and the sandbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from builds.models import Build
from delivr.effects.models import Effect, EffectState
from delivr.effects.sweeper import sweep_until_idle
from delivr.tenants.models import Role
from integrations.choices import Verification
from integrations.models import FAMILIES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_both]


def verify(api: APIClient, family: str, pk: str) -> None:
    verified = api.post(f"/api/v1/integrations/{family}/{pk}/verify")
    assert verified.json()["verificationStatus"] == "VALID", verified.json()["checks"]


def take_for_valid(_api: APIClient, family: str, pk: str) -> None:
    """Replaces `verify` in tests of later steps: four times as fast."""
    FAMILIES[family].objects.filter(pk=pk).update(verification_status=Verification.VALID)


def connect_all(
    api: APIClient,
    values: dict[str, Any],
    make_valid: Callable[[APIClient, str, str], None] = verify,
) -> dict[str, Any]:
    """The five steps of the wizard through the API; each connection verified."""

    def connect(family: str, body: dict[str, Any]) -> dict[str, Any]:
        made = api.post(f"/api/v1/integrations/{family}", body)
        assert made.status_code == 201, made.json()
        make_valid(api, family, made.json()["id"])
        return made.json()

    scm = connect("scm", values["scm"])
    targets = [connect("targets", body) for body in values["targets"]]
    pipelines = [
        connect(
            "pipelines",
            {
                "pipelineType": "JENKINS",
                **body,
                "scmIntegrationId": scm["id"],
                "targetIntegrationId": target["id"],
            },
        )
        for body, target in zip(values["pipelines"], targets, strict=True)
    ]
    return {
        "scm": scm,
        "targets": targets,
        "pipelines": pipelines,
        "communication": connect("communication", values["communication"]),
        "ticket": connect("tickets", values["tickets"]),
    }


def create_release(api: APIClient, connected: dict[str, Any], version: str = "1.5.0") -> Any:
    answer = api.post(
        "/api/v1/releases",
        {
            "version": version,
            "scmIntegrationId": connected["scm"]["id"],
            "targets": [t["id"] for t in connected["targets"]],
            "pipelines": [p["id"] for p in connected["pipelines"]],
            "communicationId": connected["communication"]["id"],
            "ticketId": connected["ticket"]["id"],
        },
    )
    assert answer.status_code == 201, answer.json()
    return answer.json()


def signed(secret: str, body: dict[str, Any], message_id: str = "msg_1") -> dict[str, str]:
    """Headers of Standard Webhooks, computed independently of our own code."""
    text, now = json.dumps(body), str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{now}.{text}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


@pytest.mark.slow
def test_release_goes_from_connected_to_ready(
    tenant: Any, api_for: Any, sandbox: Any, sandbox_values: Any
) -> None:
    api = api_for(tenant, Role.OWNER)
    connected = connect_all(api, sandbox_values)
    assert api.get("/api/v1/setup").json()["complete"] is True

    release = create_release(api, connected)
    assert release["status"] == "KICKOFF_PENDING"
    assert release["branchRelease"] == "release/1.5.0"

    triggered = api.post(f"/api/v1/releases/{release['id']}/builds", {})
    assert triggered.status_code == 202
    assert {b["buildStatus"] for b in triggered.json()["builds"]} == {"TRIGGERING"}

    settle(api, release["id"], lambda r: all(p["buildStatus"] == "RUNNING" for p in r["pipelines"]))
    running = api.get(f"/api/v1/releases/{release['id']}").json()
    assert running["status"] == "BUILDING"
    ios, android = sorted(running["pipelines"], key=lambda p: p["platform"], reverse=True)
    assert (ios["triggered"], ios["buildNumber"]) == (True, 245)
    assert android["buildNumber"] == 512

    # iOS reports by a signed webhook; Android is found by polling alone.
    secret = connected["pipelines"][0]["webhookSecret"]
    body = {"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://builds/ios-245.ipa"}
    posted = Client().post(
        f"/api/v1/webhooks/jenkins/{connected['pipelines'][0]['id']}",
        json.dumps(body),
        content_type="application/json",
        headers=signed(secret, body),
    )
    assert posted.status_code == 202
    sandbox.state.jenkins.finish("android-prod", 512)
    settle(api, release["id"], lambda r: r["status"] == "BUILD_COMPLETE")

    done = api.get(f"/api/v1/releases/{release['id']}").json()
    ios, android = sorted(done["pipelines"], key=lambda p: p["platform"], reverse=True)
    assert ios["artifactUrl"] == "s3://builds/ios-245.ipa"
    assert android["buildStatus"] == "SUCCESS"
    assert [bool(t["key"]) for t in done["tickets"]] == [True, True]
    settle(api, release["id"], lambda r: not open_effects(api, release["id"]))
    for channel in ("C123", "C456"):
        parent, *replies = sandbox.state.slack.in_channel(channel)
        ready = "🏁 Release 1.5.0: all builds complete, ready for submission"
        assert parent.text == replies[-1].text == ready
        assert sorted(m.text for m in replies[:-1]) == [
            "✅ Android build #512 complete",
            "✅ iOS build #245 complete",
        ]
        assert {m.thread_ts for m in replies} == {parent.ts}
        said = list(sandbox.state.ledger.of("message.posted", channel=channel))
        said += sandbox.state.ledger.of("message.updated", channel=channel)
        assert {
            "🚀 iOS build #245 started",
            "🚀 Android build #512 started",
            "✅ iOS build #245 complete",
            "✅ Android build #512 complete",
        } <= {entry["text"] for entry in said}


def open_effects(api: APIClient, release_id: str) -> list[Any]:
    rows = api.get(f"/api/v1/effects?releaseId={release_id}&limit=100").json()["results"]
    return [row for row in rows if row["state"] in ("PENDING", "LEASED")]


def settle(api: APIClient, release_id: str, arrived: Any, seconds: float = 40) -> None:
    """Sweep until the release is in the expected state; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        hurry()
        sweep_until_idle(limit=3)
        if arrived(api.get(f"/api/v1/releases/{release_id}").json()):
            return
    pytest.fail(f"never arrived: {api.get(f'/api/v1/releases/{release_id}').json()}")


def hurry() -> None:
    """Make everything that waits due now."""
    Build.objects.filter(poll_at__isnull=False).update(poll_at=timezone.now())
    Effect.objects.filter(state=EffectState.PENDING).update(
        next_at=timezone.now(), enqueued_at=None
    )
