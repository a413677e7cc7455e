"""A name that nobody gave follows from the fields, wherever it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories as make
from delivr.tests.wired import fresh
from integrations.forms import ConnectionForm
from integrations.operations import edit

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


def test_the_name_of_a_pipeline_follows_its_job_and_target(tenant: Tenant, owner: User) -> None:
    pipeline = make.PipelineFactory(tenant=tenant, job="/job/mobile/job/beta")
    assert str(pipeline) == "iOS · mobile/beta"
    android = make.PlayStoreFactory(tenant=tenant)
    edit(pipeline, actor=owner, values={"jenkins_job_path": "/job/nightly", "target": android.pk})
    assert str(fresh(pipeline)) == "Android · nightly"
    assert fresh(pipeline).display_name == ""


def test_a_given_name_stays(tenant: Tenant, owner: User) -> None:
    pipeline = make.PipelineFactory(tenant=tenant, display_name="Nightly")
    edit(pipeline, actor=owner, values={"jenkins_job_path": "/job/other"})
    assert str(fresh(pipeline)) == "Nightly"


def test_the_forms_of_new_and_of_stored_connections_say_the_same_of_the_name(
    tenant: Tenant,
) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    new = ConnectionForm(tenant=tenant, key=("pipelines", "JENKINS"))["display_name"]
    stored = ConnectionForm(tenant=tenant, key=("pipelines", "JENKINS"), connection=pipeline)[
        "display_name"
    ]
    assert new.help_text == stored.help_text
    assert "iOS · ios-prod" in str(stored)


@pytest.mark.on_sqlite
def test_a_name_that_is_sent_back_is_not_one_that_was_given(api_for: Any, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    address = f"/api/v1/integrations/pipelines/{pipeline.pk}"
    api = api_for(tenant, Role.ADMIN)
    read = api.get(address).json()
    assert read["displayName"] == "iOS · ios-prod"
    said = {"displayName": read["displayName"], "jenkinsJobPath": "/job/next"}
    assert api.patch(address, said, format="json").json()["displayName"] == "iOS · next"
    assert fresh(pipeline).display_name == ""


@pytest.mark.on_sqlite
@pytest.mark.parametrize(
    "page", ["/integrations", "/releases/new", "/setup/pipelines", "/api/v1/integrations/pipelines"]
)
def test_derived_names_cost_no_query_each(web: Client, tenant: Tenant, page: str) -> None:
    scm, target = make.ScmFactory(tenant=tenant), make.AppStoreFactory(tenant=tenant)

    def count() -> int:
        with CaptureQueriesContext(database) as queries:
            assert "iOS · " in web.get(page).content.decode()
        return len(queries)

    make.PipelineFactory.create_batch(2, tenant=tenant, scm=scm, target=target)
    web.get(page)
    before = count()
    make.PipelineFactory.create_batch(10, tenant=tenant, scm=scm, target=target)
    assert count() == before
