"""What a check is called, and that one which could not be tried is not green."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from django.test import Client

from delivr.tenants.models import Role, Tenant
from delivr.tests import factories as make
from integrations.checks import CheckState, label_of, state_of
from integrations.providers.base import Check, Level
from integrations.providers.registry import PROVIDERS, check_names
from integrations.tests.keys import key_of

UNTESTED = Check.untested("permission", "Jenkins tells only at the first build.")


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (Check(name="job", ok=True), CheckState.PASSED),
        (Check(name="job", ok=False), CheckState.FAILED),
        (Check(name="job", ok=False, level=Level.WARNING), CheckState.WARNING),
        (UNTESTED, CheckState.NOT_TESTABLE),
    ],
)
def test_state_of_a_check(check: Check, state: CheckState) -> None:
    assert state_of(asdict(check)) == state


def test_a_check_that_an_older_version_stored_is_not_green_either() -> None:
    stored = asdict(UNTESTED)
    del stored["tested"], stored["subject"]
    assert state_of(stored) == CheckState.NOT_TESTABLE
    assert label_of(key_of("JENKINS"), stored) == "Permission to start the job"


@pytest.mark.parametrize(
    ("kind", "name", "subject", "label"),
    [
        ("SLACK", "correlation", "", "Finding a message again"),
        ("JENKINS", "correlation", "", "Finding a build again"),
        ("JIRA", "correlation", "", "Finding an epic again"),
        ("SLACK", "channel:C123", "#releases", "Channel #releases"),
        ("SLACK", "channel:C123", "", "Channel C123"),
        ("SLACK", "correlation:C123", "#releases", "Finding a message again: #releases"),
        ("JIRA", "account", "", "Account"),
        ("SLACK", "channel:C123", "100%(x)s", "Channel 100%(x)s"),
    ],
)
def test_label_says_what_was_tried(kind: str, name: str, subject: str, label: str) -> None:
    assert label_of(key_of(kind), {"name": name, "subject": subject}) == label


def test_every_provider_says_what_it_tries_first() -> None:
    for key in PROVIDERS:
        assert {"address", "credentials"} <= set(check_names(key)), key


@pytest.mark.django_db
@pytest.mark.on_sqlite
def test_page_and_api_tell_what_was_not_testable(web: Client, api_for: Any, tenant: Tenant) -> None:
    checks = [asdict(Check(name="job", ok=True)), asdict(UNTESTED)]
    pipeline = make.PipelineFactory(tenant=tenant, checks=checks, last_verified_at="2026-01-01T00Z")
    page = web.get(f"/integrations/pipelines/{pipeline.pk}").content.decode()
    assert "not testable" in page
    assert "1 check passed" in page
    assert page.count('class="tone-success"') == 1
    answer = api_for(tenant, Role.VIEWER).get(f"/api/v1/integrations/pipelines/{pipeline.pk}")
    shown = [(c["label"], c["state"], c["ok"]) for c in answer.json()["checks"]]
    assert shown == [
        ("Job", "PASSED", True),
        ("Permission to start the job", "NOT_TESTABLE", True),
    ]
