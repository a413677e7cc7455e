"""A GitHub App that is created from a manifest, as a browser without JavaScript does it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Role, Tenant
from integrations.models import ScmIntegration
from integrations.providers.tests.keys import pem, rsa_key
from integrations.views import registering

pytestmark = pytest.mark.on_sqlite
NEW = "/integrations/scm/app?kind=GITHUB"
KEY = pem(rsa_key())
REPOSITORY = {"kind": "GITHUB", "address": "dream11/app"}


def hidden(html: str) -> dict[str, str]:
    found = re.findall(r'type="hidden"\s+name="(\w+)"\s+value="([^"]*)"', html)
    return {name: unescape(value) for name, value in found}


def begin(web: Client) -> tuple[str, dict[str, str]]:
    """Where the button of the form leads, and the form's fields."""
    html = web.post(NEW, REPOSITORY).content.decode()
    form = html[html.index('name="manifest"') - 100 :]
    (address, _own) = re.findall(r'formaction="([^"]+)"', form)
    return unescape(address), {"manifest": hidden(form)["manifest"]}


def confirm(sandbox: Any, address: str, fields: dict[str, str]) -> str:
    """The second click, on GitHub's page; where GitHub leads then, below our host."""
    page = requests.post(address, data=fields, headers={"Origin": "null"}, timeout=10)
    assert page.status_code == 200, page.text
    form = {**hidden(page.text), "name": "delivr dream11"}
    answer = requests.post(
        f"{sandbox.url}/settings/apps", data=form, timeout=10, allow_redirects=False
    )
    return below(answer)


def install(page: str) -> str:
    shown = requests.get(page, timeout=10)
    slug = urlsplit(page).path.split("/")[2]
    there = f"{page.partition('/apps/')[0]}/apps/{slug}/installations"
    form = {**hidden(shown.text), "repository": "700001"}
    return below(requests.post(there, data=form, timeout=10, allow_redirects=False))


def below(answer: Any) -> str:
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"


def test_an_app_is_created_installed_and_connected(
    web: Client, sandbox: Any, tenant: Tenant
) -> None:
    assert "Create an app on GitHub" in web.get("/setup/scm").content.decode()
    address, fields = begin(web)
    assert address.startswith(f"{sandbox.url}/organizations/dream11/settings/apps/new?state=")
    back = confirm(sandbox, address, fields)
    assert back.startswith("/integrations/scm/app/registered?code=")
    leads_on = web.get(back)
    made = ScmIntegration.objects.get()
    assert (made.tenant, made.repository_url) == (tenant, "https://github.com/dream11/app")
    (app,) = sandbox.state.github_apps.apps.values()
    assert made.private_key.reveal().split() == app.pem.split()
    assert made.options["github_app_id"] == str(app.id)
    page = leads_on["Location"]
    assert page.startswith(f"{sandbox.url}/apps/delivr-dream11/installations/new?state=")
    assert "not installed" in verified(web, made)
    ended = web.get(install(page))
    assert ended["Location"] == "/setup/scm"
    made.refresh_from_db()
    assert (made.verification_status, made.failures) == ("VALID", [])
    assert app.pem.splitlines()[1] not in str(list(AuditEvent.objects.values()))
    assert AuditEvent.objects.filter(action="integration.connected").count() == 1


def verified(web: Client, made: ScmIntegration) -> str:
    web.post(f"/integrations/scm/{made.pk}/verify")
    made.refresh_from_db()
    return made.verification_error


def test_who_comes_back_to_another_family_connects_nothing(web: Client, sandbox: Any) -> None:
    back = confirm(sandbox, *begin(web)).replace("/scm/", "/pipelines/")
    assert web.get(back)["Location"] == "/integrations"
    assert not ScmIntegration.objects.exists()


def test_only_the_vendors_page_may_be_sent_the_form(web: Client, sandbox: Any) -> None:
    answer = web.post(NEW, REPOSITORY)
    policy = answer["Content-Security-Policy"]
    (actions,) = [part for part in policy.split(";") if "form-action" in part]
    assert actions.split() == ["form-action", "'self'", sandbox.url]
    assert "csrfmiddlewaretoken" not in answer.content.decode().split('name="manifest"')[1]


def wrong_state(web: Client, back: str) -> str:
    return back.replace("state=", "state=x")


def no_state(web: Client, back: str) -> str:
    return back.partition("&state=")[0]


def too_late(web: Client, back: str) -> str:
    session = web.session
    session[registering.BEGUN] = {
        **session[registering.BEGUN],
        "at": timezone.now().timestamp() - 3601,
    }
    session.save()
    return back


def other_workspace(web: Client, back: str) -> str:
    session = web.session
    session[registering.BEGUN] = {**session[registering.BEGUN], "tenant": "ten_other"}
    session.save()
    return back


def used_code(web: Client, back: str) -> str:
    return re.sub("code=[^&]+", "code=0", back)


@pytest.mark.parametrize("change", [wrong_state, no_state, too_late, other_workspace, used_code])
def test_nothing_is_connected_for_a_code_from_elsewhere(
    web: Client, sandbox: Any, change: Any
) -> None:
    back = change(web, confirm(sandbox, *begin(web)))
    answer = web.get(back)
    assert answer.status_code == 302
    assert answer["Location"] in ("/integrations", NEW)
    assert not ScmIntegration.objects.exists()


def test_a_code_is_taken_once(web: Client, sandbox: Any) -> None:
    back = confirm(sandbox, *begin(web))
    web.get(back)
    assert web.get(back)["Location"] == "/integrations"
    assert ScmIntegration.objects.count() == 1


def test_coming_back_from_an_installation_by_itself_changes_nothing(
    web: Client, sandbox: Any
) -> None:
    answer = web.get("/integrations/scm/app/installed?installation_id=7&setup_action=install")
    assert answer["Location"] == "/integrations"


def test_an_address_without_a_repository_is_asked_again(web: Client) -> None:
    html = web.post(NEW, {**REPOSITORY, "address": "nothing"}).content.decode()
    assert "Enter the repository like" in html
    assert 'name="manifest"' not in html


def test_what_has_no_apps_is_connected_by_its_form(web: Client) -> None:
    assert web.get("/integrations/tickets/app")["Location"] == "/integrations/tickets/new?kind=JIRA"


def test_members_may_not_register_apps(tenant: Tenant, member_of: Any, client_for: Any) -> None:
    client = client_for(member_of(tenant, Role.MEMBER))
    for path in ("app", "app/registered", "app/installed"):
        assert client.get(f"/integrations/scm/{path}").status_code == 403


# --- By its fields --------------------------------------------------------------------------------


@pytest.fixture
def app(sandbox: Any) -> Any:
    permissions = {"contents": "write", "metadata": "read", "actions": "write"}
    apps = sandbox.state.github_apps
    made = apps.create("by hand", "dream11", permissions=permissions, pem=KEY)
    apps.install(made)
    return made


def app_values(app: Any, **changes: Any) -> dict[str, Any]:
    return {
        "scmType": "GITHUB",
        "repositoryUrl": "https://github.com/dream11/app",
        "githubAppId": str(app.id),
        "githubPrivateKey": app.pem,
        **changes,
    }


def test_the_api_takes_an_app_in_place_of_a_token(tenant: Tenant, api_for: Any, app: Any) -> None:
    api = api_for(tenant)
    answer = api.post("/api/v1/integrations/scm", app_values(app), format="json")
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["githubAppId"], body["hasGithubPrivateKey"], body["hasAccessToken"]) == (
        str(app.id),
        True,
        False,
    )
    assert "githubPrivateKey" not in body
    assert "BEGIN" not in str(body)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"accessToken": "ghp_x"}, {"accessToken"}),
        ({"githubPrivateKey": ""}, {"githubPrivateKey"}),
        ({"githubPrivateKey": "nonsense"}, {"githubPrivateKey"}),
        ({"githubAppId": ""}, {"githubPrivateKey", "accessToken"}),
        ({"githubAppId": "delivr"}, {"githubAppId"}),
        ({"githubInstallationId": "x"}, {"githubInstallationId"}),
    ],
)
def test_half_of_it_is_refused_by_field(
    tenant: Tenant, api_for: Any, app: Any, changes: dict[str, str], fields: set[str]
) -> None:
    values = app_values(app, **changes)
    answer = api_for(tenant).post("/api/v1/integrations/scm", values, format="json")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == fields


def test_a_token_takes_the_apps_place_and_back(tenant: Tenant, api_for: Any, app: Any) -> None:
    api = api_for(tenant)
    made = api.post("/api/v1/integrations/scm", app_values(app), format="json").json()
    address = f"/api/v1/integrations/scm/{made['id']}"
    token = {"accessToken": "ghp_token", "githubAppId": ""}
    shown = api.patch(address, token, format="json").json()
    assert (shown["hasAccessToken"], shown["hasGithubPrivateKey"]) == (True, False)
    refused = api.patch(address, {"githubAppId": "7"}, format="json")
    assert set(refused.json()["errors"]) == {"githubPrivateKey"}
    back = {"githubAppId": str(app.id), "githubPrivateKey": app.pem}
    shown = api.patch(address, back, format="json").json()
    assert (shown["hasAccessToken"], shown["hasGithubPrivateKey"]) == (False, True)


def test_the_form_folds_an_app_away(web: Client) -> None:
    html = web.get("/setup/scm").content.decode()
    folded = html[html.index("Use a GitHub App instead of a token") :]
    assert folded.index('name="github_private_key"') < folded.index("</details>")
