"""Many simultaneous requests to build again, on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import close_old_connections, connection

from builds.models import Build
from builds.tests.test_build_again import build
from delivr.effects.models import Effect
from delivr.tenants.models import Role
from releases.tests.pages import Setup

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
CLICKS = 50


def at_once(click: Any) -> list[Any]:
    def alone(number: int) -> Any:
        try:
            return click(number)
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(CLICKS) as pool:
        return list(pool.map(alone, range(CLICKS)))


def test_fifty_clicks_make_one_candidate(tenant: Any, api_for: Any) -> None:
    release = Setup(tenant).release()
    build(release)
    apis = [api_for(tenant, Role.MEMBER) for _n in range(CLICKS)]
    path = f"/api/v1/releases/{release.pk}/builds"
    answers = at_once(lambda n: apis[n].post(path, {"again": True}))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(202), codes.count(409)) == (1, CLICKS - 1)
    refused = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert refused == {"build_in_progress"}
    assert Build.objects.filter(candidate=2).count() == 2
    assert Effect.objects.filter(kind="build.trigger").count() == 4


def test_fifty_requests_for_one_version_create_one_release(tenant: Any, api_for: Any) -> None:
    setup = Setup(tenant)
    body = {
        "version": "1.5.0",
        "scmIntegrationId": setup.scm.pk,
        "targets": [setup.ios.pk],
        "pipelines": [setup.ios_job.pk],
    }
    apis = [api_for(tenant, Role.MEMBER) for _n in range(CLICKS)]
    answers = at_once(lambda n: apis[n].post("/api/v1/releases", body))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(400)) == (1, CLICKS - 1)
