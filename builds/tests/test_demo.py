"""The demo workspace: created once, usable, and connected on request."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from builds.demo import workspace as demo
from builds.models import Build
from delivr.effects.sweeper import sweep_until_idle
from delivr.tenants.models import Membership, Role, Tenant, User
from delivr.tests import factories
from integrations.models import FAMILIES
from releases.models import Release, ReleaseStatus

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.on_both]


def run(*options: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("demo", "--json", *options, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_owner_can_sign_in_with_the_printed_login(data_dir: Path) -> None:
    login = run()["logins"]["Sign in"]
    client = Client()
    sent = {"login": login["email"], "password": login["password"]}
    assert client.post("/accounts/login/", sent).status_code == 302
    assert "_auth_user_id" in client.session


def test_admin_is_no_member_of_the_workspace(data_dir: Path) -> None:
    run()
    assert User.objects.get(is_superuser=True).email == demo.ADMIN
    assert list(Membership.objects.values_list("user__email", "role")) == [(demo.OWNER, Role.OWNER)]


def test_nothing_is_connected_for_the_newcomer(data_dir: Path) -> None:
    run()
    assert not any(model.objects.exists() for model in FAMILIES.values())


def test_second_run_changes_nothing(data_dir: Path) -> None:
    assert run() == run()
    assert (User.objects.count(), Tenant.objects.count()) == (2, 1)


def test_a_database_without_tables_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    with pytest.raises(CommandError, match="wait until `make run` has prepared it"):
        run()


def test_changed_password_is_not_printed(data_dir: Path) -> None:
    run()
    owner = User.objects.get(email=demo.OWNER)
    owner.set_password("something of my own")
    owner.save()
    assert run()["logins"]["Sign in"] == {"email": demo.OWNER, "password": None}


def test_workspace_in_use_gets_no_demo(data_dir: Path) -> None:
    factories.MembershipFactory()
    assert run("--if-empty") == {"tenantId": None, "logins": {}}
    assert Tenant.objects.count() == 1


def test_passwords_are_for_the_operator_alone(data_dir: Path) -> None:
    run()
    modes = {oct(path.stat().st_mode)[-3:] for path in (data_dir / "keys").iterdir()}
    assert modes == {"600"}


@pytest.fixture
def sandbox_offered(sandbox: Any, data_dir: Path, settings: Any) -> Any:
    """The sandbox as with `make run`: the product knows its address and its keys."""
    (data_dir / "sandbox").symlink_to(sandbox.state_dir)
    settings.SANDBOX_URL = sandbox.url
    return sandbox


def test_connected_demo_works_end_to_end(sandbox_offered: Any) -> None:
    answer = run("--connected")
    assert len(answer["connections"]) == 9
    assert set(answer["connections"].values()) == {"VALID"}
    sweep_until_idle()
    jenkins = sandbox_offered.state.jenkins
    assert all(len(jenkins.builds_of(job)) == 1 for job in ("ios-prod", "android-prod"))
    assert [run.file for run in sandbox_offered.state.actions.runs] == ["android.yml"]
    assert len(sandbox_offered.state.jira.issues) == 2
    assert Release.objects.get().status == ReleaseStatus.BUILDING


def test_without_a_running_sandbox_nothing_is_connected(data_dir: Path, settings: Any) -> None:
    settings.SANDBOX_URL = ""
    with pytest.raises(CommandError, match="start `make run` first"):
        run("--connected")
    assert not Tenant.objects.exists()


def test_connected_demo_is_made_once(sandbox_offered: Any) -> None:
    assert run("--connected") == run("--connected")
    assert (Release.objects.count(), Build.objects.count()) == (1, 3)


def test_ci_servers_report_to_the_pipelines_webhooks(sandbox_offered: Any, settings: Any) -> None:
    run("--connected")
    job = sandbox_offered.state.jenkins.job("ios-prod")
    assert job.webhook.url.startswith(f"{settings.BASE_URL}/api/v1/webhooks/jenkins/pipeline_")
    assert job.webhook.secret.startswith("whsec_")
    hook = sandbox_offered.state.actions.hooks["android.yml"]
    assert hook.url.startswith(f"{settings.BASE_URL}/api/v1/webhooks/github/pipeline_")
    assert hook.secret.startswith("whsec_")
