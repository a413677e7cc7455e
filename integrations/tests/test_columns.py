"""Providers store their fields, under their own names, in the columns of their family."""

from __future__ import annotations

import pytest

from delivr.tests import factories
from delivr.tests.wired import fresh


@pytest.mark.django_db
def test_a_secret_of_one_provider_opens_for_no_other_in_the_same_column() -> None:
    ios = factories.AppStoreFactory(credentials="p8")
    type(ios).objects.filter(pk=ios.pk).update(target_type="PLAY_STORE")
    assert fresh(ios).is_unreadable


@pytest.mark.django_db
def test_secrets_are_bound_to_the_names_that_columns_had_for_one_provider() -> None:
    """What was encrypted before the columns became those of their families can still be opened."""
    made = {
        factories.AppStoreFactory: ("credentials", "apple_api_key"),
        factories.PlayStoreFactory: ("credentials", "google_service_account"),
        factories.PipelineFactory: ("api_token", "jenkins_api_token"),
        factories.SlackFactory: ("token", "slack_bot_token"),
        factories.JiraFactory: ("api_token", "jira_api_token"),
    }
    for factory, (column, name) in made.items():
        assert factory().bound_name(column) == name


@pytest.mark.django_db
def test_no_form_name_hides_another_column() -> None:
    """A name without a field of the provider is the row's own."""
    pipeline = factories.PipelineFactory()
    assert pipeline.value_of("jenkins_url") == pipeline.server_url
    assert pipeline.value_of("scm") == pipeline.scm_id
    assert pipeline.name_of("job") == "jenkins_job_path"
    assert pipeline.name_of("webhook_secret") == "webhook_secret"
