"""What is posted to a workflow, what its answers lead to, and which addresses are taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.chat import Message
from integrations.providers.teams.addresses import clean_workflow_url
from integrations.providers.teams.cards import MOST_BYTES, document, escape, link
from integrations.providers.teams.provider import Teams
from integrations.providers.tests.wire import Reply, Wire, everything_in

SIGNATURE = "canary-of-the-signature"
PAGE = "https://delivr.example.com/releases/rel_1"
MESSAGE = Message(
    text="Release 1.5.0 created",
    detail=f"{link(PAGE, 'Open the release')}\nBranch `main`",
    page=PAGE,
)


@pytest.fixture
def workflow(wire: Wire, settings: Any) -> Teams:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    return Teams(workflow_url=f"{wire.url}/invoke?sig={SIGNATURE}")


def post(workflow: Teams) -> Any:
    return workflow.post(channel="workflow", message=MESSAGE, correlation="eff_1")


def test_a_card_is_accepted_not_delivered(wire: Wire, workflow: Teams) -> None:
    wire.routes["/invoke"] = Reply(b"", status=202)
    posted = post(workflow)
    assert (posted.id, posted.note) == ("", "Accepted by Power Automate")
    [request] = wire.seen
    sent = json.loads(request.body)
    assert sent["type"] == "message"
    [attachment] = sent["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert [block["text"] for block in card["body"]] == [
        MESSAGE.text,
        f"[Open the release]({PAGE})\n\nBranch main",
    ]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open the release", "url": PAGE}]


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (401, "bad_credentials", Outcome.CREDENTIALS),
        (404, "no_workflow", Outcome.CREDENTIALS),
        (413, "too_large", Outcome.REFUSED),
        (429, "rate_limited", Outcome.RATE_LIMITED),
        (502, "server_error", Outcome.UNCERTAIN),
        (302, "redirect", Outcome.REFUSED),
    ],
)
def test_an_error_is_told_in_words_without_the_address(
    wire: Wire, workflow: Teams, status: int, code: str, outcome: Outcome
) -> None:
    wire.routes["/invoke"] = Reply(b"", status=status)
    with pytest.raises(ProviderError) as caught:
        post(workflow)
    assert (caught.value.code, caught.value.outcome) == (code, outcome)
    assert "Power Automate" in caught.value.message
    assert SIGNATURE not in everything_in(caught.value)


def test_verification_sends_nothing(wire: Wire, workflow: Teams) -> None:
    states = {check.name: (check.ok, check.tested) for check in workflow.checks()}
    assert states == {"address": (True, True), "credentials": (True, False)}
    assert wire.seen == []


def test_foreign_text_is_no_markdown() -> None:
    assert escape("*a* _b_ [c](d) `e` <at>f</at>") == (r"\*a\* \_b\_ \[c\](d) \`e\` \<at\>f\</at\>")


def test_a_card_is_never_too_large() -> None:
    long = Message(text="x" * 5000, detail="\n".join("é" * 200 for _ in range(400)), page=PAGE)
    assert 1000 < len(document(long)) <= MOST_BYTES
    assert len(document(Message(text="x", detail="y" * 60_000))) <= MOST_BYTES


GOOD = (
    "https://default1.2.environment.api.powerplatform.com:443/powerautomate/automations/direct/"
    "workflows/3/triggers/manual/paths/invoke?api-version=1&sig=abc",
    "https://prod-12.westeurope.logic.azure.com/workflows/3/triggers/manual/paths/invoke?sig=abc",
)


@pytest.mark.parametrize("url", GOOD)
def test_addresses_of_workflows_are_taken(url: str) -> None:
    assert clean_workflow_url(f" {url}\n") == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.webhook.office.com/webhookb2/1@2?sig=x", "retired"),
        ("https://outlook.office.com/webhook/1@2", "retired"),
        ("https://outlook.office365.com/webhook/1@2", "retired"),
        ("https://example.com/workflows?sig=abc", "not the address of a workflow"),
        ("https://logic.azure.com.example.com/?sig=abc", "not the address of a workflow"),
        (GOOD[1].replace("https", "http"), "not the address of a workflow"),
        (GOOD[1].replace("?sig=abc", ""), "not complete"),
        ("teams", "begins with https://"),
    ],
)
def test_other_addresses_are_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        clean_workflow_url(url)
    assert "abc" not in str(caught.value)
