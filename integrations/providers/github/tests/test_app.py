"""A GitHub App as credential, against the sandbox."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from github import Auth

from delivr.failures import Outcome, ProviderError
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.models import ScmIntegration
from integrations.operations import draft, options
from integrations.providers import http
from integrations.providers.ci import BuildHandle, BuildRequest
from integrations.providers.github.fields import clean_repository
from integrations.providers.registry import provider_for
from integrations.providers.tests.keys import pem, rsa_key
from integrations.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PERMISSIONS = {
    "contents": "write",
    "metadata": "read",
    "actions": "write",
    "workflows": "write",
    "pull_requests": "read",
}
MAIN = "release/1.4.0"
KEY, OTHER_KEY = pem(rsa_key()), pem(rsa_key.__wrapped__())


@pytest.fixture
def apps(sandbox: Any) -> Any:
    return sandbox.state.github_apps


@pytest.fixture
def app(apps: Any) -> Any:
    made = apps.create("delivr dream11", "dream11", permissions=PERMISSIONS, pem=KEY)
    apps.install(made)
    return made


@pytest.fixture
def scm(tenant: Any, app: Any) -> ScmIntegration:
    row: ScmIntegration = factories.ScmFactory(
        tenant=tenant,
        access_token=None,
        private_key=app.pem,
        options={"github_app_id": str(app.id)},
    )
    return row


def issued(sandbox: Any) -> int:
    return len(sandbox.state.ledger.of("app.token"))


def head(scm: ScmIntegration) -> Any:
    return provider_for(scm).read_branch(MAIN)


def refusal(scm: ScmIntegration) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        head(scm)
    return error.value


def test_a_token_is_kept_encrypted_and_used_again(sandbox: Any, scm: ScmIntegration) -> None:
    for _call in range(3):
        assert head(fresh(scm)).name == MAIN
    assert issued(sandbox) == 1
    kept = fresh(scm)
    token = kept.session_token.reveal()
    assert (len(token), token.startswith("ghs_")) == (520, True)
    assert token.encode() not in bytes(kept.session_token.ciphertext)
    assert token not in str(kept.session)
    assert (kept.revision, kept.updated_at) == (scm.revision, scm.updated_at)


def test_a_token_is_renewed_before_it_ends(sandbox: Any, scm: ScmIntegration) -> None:
    head(scm)
    kept = fresh(scm)
    soon = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    kept.keep_session(kept.session_token.reveal(), {**kept.session, "until": soon})
    head(fresh(scm))
    assert issued(sandbox) == 2


def test_a_kept_token_that_is_refused_is_replaced_once(
    sandbox: Any, apps: Any, scm: ScmIntegration
) -> None:
    head(scm)
    apps.end_tokens()
    assert head(fresh(scm)).name == MAIN
    assert issued(sandbox) == 2


def test_a_token_is_not_used_for_another_app_or_repository(
    sandbox: Any, apps: Any, scm: ScmIntegration
) -> None:
    head(scm)
    row = fresh(scm)
    row.repository_url = "https://github.com/dream11/backend"
    row.save()
    provider_for(fresh(row)).default_branch()
    assert issued(sandbox) == 2


def test_a_token_is_not_kept_of_a_removed_connection(scm: ScmIntegration) -> None:
    stale = fresh(scm)
    ScmIntegration.objects.filter(pk=scm.pk).update(disconnected_at=datetime.now(UTC))
    stale.keep_session("ghs_late", {})
    assert fresh(scm).session_token is None


def test_an_app_works_like_a_token(sandbox: Any, scm: ScmIntegration) -> None:
    checked = verify(scm)
    assert (checked.verification_status, checked.warnings) == ("VALID", [])
    words = {check["name"]: check["message"] for check in checked.checks}
    assert words["account"] == "The app delivr dream11 is installed in dream11."
    made = provider_for(fresh(scm)).create_branch("release/9.9.9", commit=head(scm).commit)
    assert made.name == "release/9.9.9"


def test_its_repositories_are_listed(apps: Any, app: Any, scm: ScmIntegration) -> None:
    (one,) = apps.of_app(app)
    one.repositories = [700001]
    offered = draft(
        ScmIntegration,
        tenant=scm.tenant,
        kind="GITHUB",
        values={"github_app_id": str(app.id), "github_private_key": app.pem},
        stored=None,
    )
    found = options(offered, field="repository_url")["options"]
    assert [one["value"] for one in found] == [clean_repository("dream11/app")]


def test_the_installation_may_be_named(apps: Any, app: Any, scm: ScmIntegration) -> None:
    (one,) = apps.of_app(app)
    scm.options = {**scm.options, "github_installation_id": str(one.id)}
    scm.save()
    assert head(scm).name == MAIN
    scm.options = {**scm.options, "github_installation_id": "7"}
    assert refusal(scm).code == "app_not_installed"


def uninstall(apps: Any, app: Any) -> None:
    apps.uninstall(apps.of_app(app)[0].id)


def suspend(apps: Any, app: Any) -> None:
    apps.of_app(app)[0].is_suspended = True


def leave_out(apps: Any, app: Any) -> None:
    apps.of_app(app)[0].repositories = [700003]


def delete(apps: Any, app: Any) -> None:
    del apps.apps[app.id]


def new_key(apps: Any, app: Any) -> None:
    app.pem = OTHER_KEY


@pytest.mark.parametrize("is_kept", [False, True], ids=["no token", "a kept token"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (uninstall, "app_not_installed"),
        (suspend, "suspended"),
        (leave_out, "not_found"),
        (delete, "app_unknown"),
        (new_key, "app_key_refused"),
    ],
)
def test_what_is_wrong_is_told_in_words(
    apps: Any, app: Any, scm: ScmIntegration, change: Any, code: str, is_kept: bool
) -> None:
    if is_kept:
        head(scm)
    change(apps, app)
    if change is new_key:
        apps.end_tokens()
    error = refusal(fresh(scm))
    assert error.code in (code, f"app_{code}", "app_not_installed", "repository_not_found")
    assert error.outcome in (Outcome.CREDENTIALS, Outcome.REFUSED)
    assert error.hint
    checked = verify(fresh(scm))
    assert checked.verification_status == "INVALID"
    assert checked.failures[0]["message"]


@pytest.mark.parametrize("seconds", [-600, 600])
def test_a_wrong_clock_is_told_as_such(
    scm: ScmIntegration, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """What is signed then is from the future, or over, for GitHub."""
    off = timedelta(seconds=seconds)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + off

    monkeypatch.setattr(http, "datetime", Shifted)
    clock = SimpleNamespace(time=lambda: time.time() + off.total_seconds())
    monkeypatch.setattr(Auth, "time", clock)
    error = refusal(scm)
    assert (error.code, error.outcome) == ("clock_skew", Outcome.NOT_SENT)
    assert ("ahead of" in error.message) == (seconds > 0)


@pytest.mark.parametrize(
    ("missing", "status", "words"),
    [
        ("contents", "INVALID", "Contents (write)"),
        ("pull_requests", "VALID", "Pull requests (read)"),
    ],
)
def test_a_missing_permission_is_named(
    apps: Any, app: Any, scm: ScmIntegration, missing: str, status: str, words: str
) -> None:
    del apps.of_app(app)[0].permissions[missing]
    checked = verify(scm)
    assert checked.verification_status == status
    (found,) = [check for check in checked.checks if not check["ok"]]
    assert (found["code"], words in found["message"]) == ("app_permission", True)


def test_its_workflows_are_built_with_it(apps: Any, app: Any, scm: ScmIntegration) -> None:
    pipeline = factories.PipelineFactory(
        tenant=scm.tenant,
        scm=scm,
        pipeline_type="GITHUB_ACTIONS",
        server_url="",
        username="",
        api_token=None,
        job="ios.yml",
    )
    assert verify(pipeline).verification_status == "VALID"
    request = BuildRequest(
        build_id="bld_one",
        version="1.5.0",
        branch="release/1.5.0",
        platform="IOS",
        parameters={"VERSION": "1.5.0", "BRANCH": "release/1.5.0"},
    )
    ci = provider_for(fresh(pipeline))
    assert ci.trigger(request).external_id
    found = ci.find(request, since=datetime.now(UTC) - timedelta(minutes=1))
    assert found.carried_id == "bld_one"
    again = BuildHandle(external_id=found.external_id)
    assert ci.duplicate(again, build_id="bld_one") is None  # the app's own run: it may be stopped
    del apps.of_app(app)[0].permissions["actions"]
    (failure,) = verify(fresh(pipeline)).failures
    assert "Actions (write)" in failure["message"]


def test_no_secret_is_told(apps: Any, app: Any, scm: ScmIntegration, sandbox: Any) -> None:
    sandbox.state.faults.add("status", status=500, provider="github", count=1)
    error = refusal(scm)
    assert error.outcome is Outcome.NOT_SENT
    assert app.pem.splitlines()[1] not in f"{error.message}{error.hint}"
