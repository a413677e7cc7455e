"""GitHub's events as others recorded them: all are taken, and none says more than it does.

Where they come from: integrations/providers/github/tests/payloads/README.md.
"""

from __future__ import annotations

import json
import lzma
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builds.models import BuildEvent, WebhookDelivery
from builds.tests.test_webhooks_github import post
from builds.webhooks.deliveries import apply_delivery
from delivr.tests.wired import Wired, wire, wire_actions
from integrations.providers import github
from integrations.providers.github import webhook as of_repositories
from integrations.providers.github_actions import webhook as of_actions

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
FILE = Path(github.__path__[0]) / "tests" / "payloads" / "webhooks__examples.json.xz"
EXAMPLES: list[tuple[str, Any]] = json.loads(lzma.decompress(FILE.read_bytes()))
OF_RUNS = ("workflow_run", "workflow_job")


def test_none_is_misread_for_a_pipeline_of_another_server() -> None:
    """None of them carries an id of ours."""
    for event, payload in EXAMPLES:
        report = of_repositories.parse(json.dumps(payload).encode(), event)
        assert (report.status, report.build_id) == (None, ""), event
        assert report.note, event


def test_none_is_misread_for_a_workflow() -> None:
    """A run that was not dispatched is none of ours, and a job only tells which run to read."""
    told = []
    for event, payload in EXAMPLES:
        report = of_actions.parse(json.dumps(payload).encode(), event)
        assert (report.status, report.build_id, report.number) == (None, "", None), event
        if report.asks:
            run = payload.get("workflow_run", {}).get("id") or payload["workflow_job"]["run_id"]
            assert report.external_id == f"{run}/1"
            told.append(event)
        else:
            assert report.note, event
    assert (told.count("workflow_run"), told.count("workflow_job"), len(told)) == (1, 8, 9)


def one_of_each() -> list[tuple[str, Any]]:
    """All events of runs, and the last example of every other event."""
    others = {event: payload for event, payload in EXAMPLES if event not in OF_RUNS}
    return [*others.items(), *(pair for pair in EXAMPLES if pair[0] in OF_RUNS)]


@pytest.mark.parametrize("connect", [wire, wire_actions], ids=["jenkins", "github_actions"])
def test_all_are_answered_202_and_change_nothing(
    tenant: Any, settings: Any, connect: Callable[..., Wired]
) -> None:
    settings.WEBHOOKS_PER_MINUTE = 10_000
    wired = connect(tenant, "http://127.0.0.1:1")
    pipeline, build = wired.pipelines["ios"], wired.build("ios")
    sent = one_of_each()
    assert len(sent) == 69
    for number, (event, payload) in enumerate(sent):
        answer = post(pipeline, payload, event, headers={"x-github-delivery": f"example-{number}"})
        assert answer.status_code == 202, (event, answer.content)
        apply_delivery(answer.json()["deliveryId"])
    kept = WebhookDelivery.objects.values_list("state", "reason")
    assert len(kept) == len(sent)
    states = Counter(state for state, _reason in kept)
    unknown = 9 if connect is wire_actions else 0  # runs of others; it may still be one of ours
    assert (states["IGNORED"], states["UNMATCHED"]) == (len(sent) - unknown, unknown)
    assert all(reason for state, reason in kept if state == "IGNORED")
    assert not BuildEvent.objects.filter(build=build).exclude(source="PERSON").exists()
