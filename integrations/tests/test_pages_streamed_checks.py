"""A verification that is streamed check by check, in lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from delivr.tenants.models import Tenant
from delivr.tests import factories as make
from integrations.models import PipelineIntegration, ScmIntegration

pytestmark = pytest.mark.on_sqlite

Typed = Callable[..., dict[str, Any]]
ALOUD = {"X-Checks": "streamed"}


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.getvalue().splitlines()]


def test_each_check_is_sent_before_the_next_one_runs(
    web: Client, typed: Typed, sandbox: Any
) -> None:
    answer: Any = web.post("/setup/scm", typed("GITHUB"), headers=ALOUD)
    assert answer["Cache-Control"] == "no-store"
    asked = sandbox.state.requests.count("github")
    lines = iter(answer.streaming_content)
    first = json.loads(next(lines))
    assert "Passed" in first["html"]
    assert sandbox.state.requests.count("github") == asked + 1
    assert ScmIntegration.objects.get().verification_status == "PENDING"
    rest = [json.loads(line) for line in lines]
    assert rest[-1] == {"again": True}
    assert sandbox.state.requests.count("github") > asked + 1
    assert ScmIntegration.objects.get().is_valid


def test_a_failed_check_is_sent_with_its_hint(web: Client, typed: Typed) -> None:
    answer = web.post("/setup/scm", typed("GITHUB", access_token="ghp_canary"), headers=ALOUD)
    *checks, last = lines(answer)
    assert "GitHub refused the access token." in checks[-1]["html"]
    assert "Create a new one in GitHub" in checks[-1]["html"]
    assert "ghp_canary" not in str(checks)
    assert last == {"again": True}
    assert ScmIntegration.objects.get().verification_status == "INVALID"


def test_a_fixed_connection_redirects_to_its_step(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    scm = make.ScmFactory(tenant=tenant, verification_status="INVALID")
    answer = web.post("/setup/scm?edit=1", typed("GITHUB", connection=scm.pk), headers=ALOUD)
    assert lines(answer)[-1] == {"location": f"/setup/scm?verified={scm.pk}"}
    html = web.get(f"/setup/scm?verified={scm.pk}").content.decode()
    assert "github.com/dream11/app is connected and working." in html
    assert '<details class="disclosure" open>' in html  # its checks
    assert "is connected and works" not in web.get("/setup/scm").content.decode()


def test_the_result_of_a_strangers_verification_is_not_shown(web: Client, tenant: Tenant) -> None:
    make.ScmFactory(tenant=tenant)
    foreign = make.ScmFactory(display_name="Foreign")
    assert "Foreign" not in web.get(f"/setup/scm?verified={foreign.pk}").content.decode()


def test_the_form_sent_again_shows_the_result(web: Client, typed: Typed) -> None:
    data = typed("GITHUB", form_token="one-form-one-token")
    lines(web.post("/setup/scm", data, headers=ALOUD))
    html = web.post("/setup/scm", data, follow=True).content.decode()
    assert "github.com/dream11/app is connected and working." in html
    assert ScmIntegration.objects.count() == 1


def test_a_form_with_errors_is_not_streamed(web: Client, typed: Typed) -> None:
    answer = web.post("/setup/scm", typed("GITHUB", repository_url="nothing"), headers=ALOUD)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not ScmIntegration.objects.exists()


def test_a_working_connections_new_credential_is_verified_and_stored(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    scm = make.ScmFactory(tenant=tenant)
    data = typed("GITHUB", display_name="Another", connection=scm.pk)
    answer: Any = web.post("/setup/scm", data, headers=ALOUD)
    lines = iter(answer.streaming_content)
    assert "Passed" in json.loads(next(lines))["html"]
    assert ScmIntegration.objects.get().display_name == ""  # not stored before it is tried
    *_checks, last = [json.loads(line) for line in lines]
    assert last == {"location": f"/setup/scm?verified={scm.pk}"}
    scm.refresh_from_db()
    assert (scm.display_name, scm.is_valid) == ("Another", True)


def test_a_new_credential_that_is_refused_is_reported_and_not_stored(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    scm = make.ScmFactory(tenant=tenant)
    before = scm.access_token.reveal(), scm.updated_at
    data = typed("GITHUB", access_token="ghp_canary", connection=scm.pk)
    *checks, last = lines(web.post("/setup/scm", data, headers=ALOUD))
    assert "GitHub refused the access token." in checks[-1]["html"]
    assert "The stored one is still in use" in last["said"]
    assert "ghp_canary" not in str([checks, last])
    scm.refresh_from_db()
    assert (scm.access_token.reveal(), scm.updated_at) == before
    assert scm.is_valid


def test_a_working_connection_is_edited_and_its_checks_are_streamed(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    scm = make.ScmFactory(tenant=tenant)
    data = typed("GITHUB", access_token="", display_name="Another", connection=scm.pk)
    *checks, last = lines(web.post("/setup/scm", data, headers=ALOUD))
    assert "Passed" in checks[0]["html"]
    assert last == {"location": f"/setup/scm?verified={scm.pk}"}
    assert ScmIntegration.objects.get().display_name == "Another"


def test_a_new_pipelines_form_is_sent_again_for_its_secret(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    scm, target = make.ScmFactory(tenant=tenant), make.AppStoreFactory(tenant=tenant)
    token = {"form_token": "one-form-one-token"}
    data = typed("JENKINS", scm=scm.pk, target=target.pk, **token)
    assert lines(web.post("/setup/pipelines", data, headers=ALOUD))[-1] == {"again": True}
    assert PipelineIntegration.objects.get().is_valid
    assert "whsec_" in web.post("/setup/pipelines", data).content.decode()
    assert PipelineIntegration.objects.count() == 1


def test_verifying_again_is_streamed_and_redirects_back(
    web: Client, tenant: Tenant, sandbox: Any
) -> None:
    scm = make.ScmFactory(tenant=tenant, access_token="ghp_revoked")
    page = f"/integrations/scm/{scm.pk}"
    answer = web.post(f"{page}/verify", {"next": "/setup/scm"}, headers=ALOUD)
    assert lines(answer)[-1] == {"location": f"/setup/scm?verified={scm.pk}"}
    scm.refresh_from_db()
    assert scm.verification_status == "INVALID"
