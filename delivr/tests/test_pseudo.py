"""Every text of every page can be translated, those from Python too (`pseudo.py`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client

from delivr.api.problems import MEDIA_TYPE
from delivr.pages.names import NAMES
from delivr.tests import pseudo
from delivr.tests.sample_workspace import NOWHERE, SampleWorkspace, build_workspace
from delivr.tests.test_markup import page_routes
from delivr.tests.test_walk import (
    ROUTES,
    addresses,
    addresses_of_libraries,
    body_of,
    signed_in,
    with_token,
)
from delivr.tests.walk_table import TABLE
from integrations.providers.registry import (
    PROVIDERS,
    TARGETS,
    check_names,
    fields_of,
    provider_class,
)

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]
WORD = "zq"
CHECK = re.compile(
    r"""Check\(\s*name="(\w+)"|from_error\("(\w+)"|\(\s*"(\w+)", (?:self\._|lambda)"""
)
# The same in every language, or sample names of other systems' objects.
PLAIN = [
    *(
        "delivr",
        "GitHub",
        "Sentry",
        "GitLab",
        "App Store",
        "Play Store",
        "Jenkins",
        "Slack",
        "Microsoft Teams",
        "Outgoing webhook",
        "Jira",
        "iOS",
        "Android",
    ),
    *(
        "CSV",
        "JSON",
        "UTC",
        "https://github.com/owner/name",
        "https://jenkins.example.com",
        "https://server.example.com",
    ),
    *(
        "/job/ios-prod",
        "ios-prod",
        "xoxb-…",
        "127.0.0.1:1/jenkins",
        "127.0.0.1:1/jira",
        "127.0.0.1:1/events",
        "word",
        WORD,
    ),
]


@pytest.fixture
def workspace(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> SampleWorkspace:
    for name in ("GITHUB_API_URL", "SLACK_API_URL", "APP_STORE_CONNECT_URL", "GOOGLE_PLAY_URL"):
        setattr(settings, name, NOWHERE)
    settings.GOOGLE_TOKEN_URL = f"{NOWHERE}/token"
    settings.API_PER_MINUTE = settings.API_FAILURES_PER_MINUTE = 100_000
    workspace = build_workspace(WORD)
    pseudo.speak(monkeypatch)
    return workspace


def asked(client: Client, address: str) -> Iterator[tuple[str, Any]]:
    """The page, and the responses to its empty forms; the changes are rolled back."""
    for ask in (client.get, client.post):
        with transaction.atomic():
            answer: Any = ask(address, follow=True)
            yield f"{ask.__name__} {address}", answer
            transaction.set_rollback(True)


def walked(client: Client, places: list[str]) -> dict[str, list[str]]:
    """The words that cannot be translated, by URL."""
    data, found = [*pseudo.stored(), *PLAIN], {}
    for address in places:
        for name, answer in asked(client, address):
            if answer["Content-Type"].startswith("text/html"):
                found[name] = pseudo.unmarked(body_of(answer), data)
    assert len(found) > len(places) / 2
    return {name: words for name, words in found.items() if words}


def test_every_page_can_be_translated(workspace: SampleWorkspace) -> None:
    places = [pair[0] for route in page_routes() for pair in addresses(route, workspace)]
    assert walked(signed_in(workspace.users["OWNER"]), places) == {}


def test_every_page_of_accounts_can_be_translated(workspace: SampleWorkspace) -> None:
    places = addresses_of_libraries("accounts/", workspace)
    assert walked(signed_in(workspace.users["VIEWER"]), places) == {}
    assert walked(Client(), places) == {}


def test_every_problem_of_the_api_can_be_translated(workspace: SampleWorkspace) -> None:
    client, data = with_token(workspace.tokens["owner"]), [*pseudo.stored(), *PLAIN]
    found, counted = {}, 0
    for route in (route for route in ROUTES if route in TABLE and route.startswith("api/")):
        for address in {a for pair in addresses(route, workspace) for a in pair}:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                with transaction.atomic():
                    answer = client.generic(method, address, "{}", "application/json")
                    text = body_of(answer)
                    transaction.set_rollback(True)
                if answer.get("Content-Type") == MEDIA_TYPE and text.startswith("{"):
                    counted += 1
                    if words := list(unmarked_in(json.loads(text), data)):
                        found[f"{method} {address}"] = words
    assert found == {}
    assert counted > 100


def unmarked_in(problem: dict[str, Any], data: list[str]) -> Iterator[str]:
    """Without `title`, the status phrase, which is for programs."""
    texts = [problem["detail"], *(t for ts in problem.get("errors", {}).values() for t in ts)]
    for text in texts:
        yield from pseudo.unmarked(text, data)


def words_of_store(kind: str) -> set[str]:
    """The names of its pre-flight checks and steps that have words."""
    store: Any = provider_class(("targets", kind))
    return {*store.preflight_names, *store.step_names}


def test_every_stored_name_has_words() -> None:
    root = Path(settings.BASE_DIR) / "integrations"
    named = {
        name
        for path in root.rglob("*.py")
        if "tests" not in path.relative_to(root).parts
        for groups in CHECK.findall(path.read_text())
        for name in groups
        if name
    }
    fields = {field.name for key in PROVIDERS for field in fields_of(key)}
    checks = {name for key in PROVIDERS for name in check_names(key)}
    stores = {name for key in TARGETS for name in words_of_store(key)}
    assert (named | fields) - checks - stores - set(NAMES) == set()
    assert len(named) > 10


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("<p>⟦Marked⟧ 12 · x</p>", []),
        ("<p>⟦Marked <b>within⟧</b></p>", []),
        ("<p>⟦One ⟦in⟧ another⟧ out</p>", ["out"]),
        ("<p>⟦Cut off …</p><p>after</p>", ["after"]),
        ('<a title="Shown">⟦On⟧</a><img alt="Seen">', ["Shown", "Seen"]),
        ("<p>Ada Lovelace</p><code>make run</code>", []),
        ('<input type="submit" value="Send"><input value="typed">', ["Send"]),
    ],
)
def test_unmarked_text_is_found(page: str, found: list[str]) -> None:
    assert pseudo.unmarked(page, ["Ada Lovelace"]) == found
