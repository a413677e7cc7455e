"""Providers store their fields, under their own names, in the columns of their family."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django.db.migrations.executor import MigrationExecutor

from delivr.tests import factories
from delivr.tests.wired import fresh

BEFORE = [("integrations", "0008_doubted_at")]


def migrate(to: list[tuple[str, str]]) -> Any:
    MigrationExecutor(database).migrate(to)
    return MigrationExecutor(database).loader.project_state(to).apps


def migrate_to_the_newest() -> None:
    """Of all apps: what depends on a migration is undone with it."""
    executor = MigrationExecutor(database)
    executor.migrate(executor.loader.graph.leaf_nodes())


@pytest.mark.slow  # it needs the migrations, which `make test-fast` leaves out
@pytest.mark.django_db(transaction=True)
def test_the_renaming_keeps_the_bytes_of_secrets_and_all_values_both_ways() -> None:
    """What was stored before can be read after it, and was stored under the old names. Names that
    follow from the fields are forgotten on the way."""
    android = factories.PlayStoreFactory(credentials='{"a": 1}')
    ios = factories.AppStoreFactory(tenant=android.tenant, credentials="p8")
    jira = factories.JiraFactory(
        options={"jira_epic_type_name": "Epic", "jira_fields": {"Team": "A"}, "site": "https://x"}
    )
    derived = factories.PipelineFactory(
        display_name="iOS · mobile/beta", job="/job/mobile/job/beta", tenant=ios.tenant, target=ios
    )
    rows = {"tenant": ios.tenant, "scm": derived.scm, "target": android}
    given = factories.PipelineFactory(**rows, display_name="iOS · ios-prod")  # it is for Android
    made = [android, ios, jira, derived, given, factories.SlackFactory()]
    secrets = {row.pk: secrets_in(row) for row in made}
    try:
        old = migrate(BEFORE)
        targets = old.get_model("integrations", "TargetIntegration").objects
        assert targets.get(pk=android.pk).apple_api_key is None
        assert targets.get(pk=ios.pk).google_service_account is None
        ticket = old.get_model("integrations", "TicketIntegration").objects.get(pk=jira.pk)
        assert (ticket.jira_url, ticket.jira_fields) == (jira.server_url, {"Team": "A"})
        assert (ticket.jira_epic_type_name, ticket.jira_site) == ("Epic", "https://x")
        # Read by the old columns' names: as an older version stored them.
        assert ticket.jira_api_token.reveal() == "factory jira token"
        assert targets.get(pk=android.pk).google_service_account.reveal() == '{"a": 1}'
    finally:
        migrate_to_the_newest()
    assert {row.pk: secrets_in(fresh(row)) for row in made} == secrets
    assert fresh(jira).options == jira.options
    assert (fresh(derived).display_name, fresh(given).display_name) == ("", "iOS · ios-prod")


def secrets_in(row: Any) -> dict[str, tuple[bytes, str]]:
    found = {name: row.value_of(name) for name in row.field_values}
    return {n: (s.ciphertext, s.reveal()) for n, s in found.items() if hasattr(s, "reveal")}


@pytest.mark.django_db
def test_a_secret_of_one_provider_opens_for_no_other_in_the_same_column() -> None:
    ios = factories.AppStoreFactory(credentials="p8")
    type(ios).objects.filter(pk=ios.pk).update(target_type="PLAY_STORE")
    assert fresh(ios).is_unreadable


@pytest.mark.django_db
def test_no_form_name_hides_another_column() -> None:
    """A name without a field of the provider is the row's own."""
    pipeline = factories.PipelineFactory()
    assert pipeline.value_of("jenkins_url") == pipeline.server_url
    assert pipeline.value_of("scm") == pipeline.scm_id
    assert pipeline.name_of("job") == "jenkins_job_path"
    assert pipeline.name_of("webhook_secret") == "webhook_secret"
