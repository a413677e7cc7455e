"""GitHub Apps of the stand-in: the manifest's pages, and what PyGithub gets with a private key."""

from __future__ import annotations

import json
import time
from typing import Any

import github
import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.github_apps import App
from sandbox.server import SandboxServer

MANIFEST = {
    "name": "Ship it",
    "url": "https://delivr.example",
    "redirect_url": "https://delivr.example/back",
    "default_permissions": {"contents": "write", "metadata": "read"},
}
pytestmark = pytest.mark.usefixtures("plain_pygithub")
AGENT = {"User-Agent": "test"}


@pytest.fixture
def app(sandbox: SandboxServer) -> App:
    made = sandbox.state.github_apps.create(
        "Ship it", "dream11", permissions=MANIFEST["default_permissions"]
    )
    sandbox.state.github_apps.install(made, [700001])
    return made


def post(sandbox: SandboxServer, path: str, **form: str) -> requests.Response:
    return requests.post(f"{sandbox.url}{path}", data=form, timeout=10, allow_redirects=False)


def confirm(sandbox: SandboxServer, manifest: Any = MANIFEST, name: str = "Ship it") -> Any:
    form = {"manifest": json.dumps(manifest), "owner": "dream11", "name": name, "state": "s1"}
    return post(sandbox, "/settings/apps", **form)


def convert(sandbox: SandboxServer, code: str) -> requests.Response:
    address = f"{sandbox.url}/github/app-manifests/{code}/conversions"
    return requests.post(address, headers=AGENT, timeout=10)


def test_a_code_is_converted_once_and_within_an_hour(sandbox: SandboxServer) -> None:
    back = confirm(sandbox).headers["Location"]
    assert back.startswith("https://delivr.example/back?code=")
    assert back.endswith("&state=s1")
    code = back.partition("code=")[2].partition("&")[0]
    apps = sandbox.state.github_apps
    answer = convert(sandbox, code)
    assert (answer.status_code, answer.json()["slug"]) == (201, "ship-it")
    assert "RSA PRIVATE KEY" in answer.json()["pem"]
    assert convert(sandbox, code).status_code == 404
    (app,) = apps.apps.values()
    late = apps.code_for(app)
    apps.codes[late] = (app.id, time.time() - 1)
    assert convert(sandbox, late).status_code == 404


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": ""}, "url is not a valid URL"),
        ({"redirect_url": "javascript:alert(1)"}, "redirect_url is not a valid URL"),
        ({"hook_attributes": {"active": False}}, '"url" wasn\'t supplied'),
        ({"default_permissions": {"everything": "write"}}, "unknown permission"),
    ],
)
def test_a_bad_manifest_is_refused(
    sandbox: SandboxServer, changes: dict[str, Any], words: str
) -> None:
    answer = post(sandbox, "/settings/apps/new", manifest=json.dumps({**MANIFEST, **changes}))
    assert (answer.status_code, words in answer.json()["error"]) == (422, True)


def test_nothing_is_created_by_the_form_of_another_site(sandbox: SandboxServer) -> None:
    form = {"manifest": json.dumps(MANIFEST), "owner": "dream11", "name": "Ship it"}
    assert post(sandbox, "/settings/apps/new?state=s", **form).status_code == 200
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = requests.post(f"{sandbox.url}/settings/apps", data=form, headers=foreign, timeout=10)
    assert answer.status_code == 403
    assert not sandbox.state.github_apps.apps


def test_a_name_is_taken_once_and_is_short(sandbox: SandboxServer, app: App) -> None:
    assert confirm(sandbox).status_code == 422
    assert confirm(sandbox, name="x" * 35).status_code == 422


def integration(sandbox: SandboxServer, app: App, **auth: Any) -> github.GithubIntegration:
    signed = github.Auth.AppAuth(app.id, app.pem, **auth)
    return github.GithubIntegration(auth=signed, base_url=f"{sandbox.url}/github", retry=None)


def test_pygithub_works_with_an_app_unchanged(sandbox: SandboxServer, app: App) -> None:
    with integration(sandbox, app) as asked:
        assert asked.get_app().slug == "ship-it"
        found = asked.get_repo_installation("dream11", "app")
        client = asked.get_github_for_installation(found.id)
        repository = client.get_repo("dream11/app")
        sha = repository.get_branch("main").commit.sha
        assert repository.create_git_ref("refs/heads/release/3.0.0", sha).object.sha == sha
        with pytest.raises(github.UnknownObjectException):
            client.get_repo("dream11/backend")
        with pytest.raises(github.UnknownObjectException):
            asked.get_repo_installation("dream11", "backend")
        token = asked.get_access_token(found.id)
    assert (len(token.token), token.permissions["contents"]) == (520, "write")


def ask(sandbox: SandboxServer, token: str) -> tuple[int, str]:
    headers = {**AGENT, "Authorization": f"Bearer {token}"}
    answer = requests.get(f"{sandbox.url}/github/app", headers=headers, timeout=10)
    return answer.status_code, str(answer.json().get("message", ""))


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ({}, 200, ""),
        ({"iat": 90}, 401, "'Issued at' claim"),
        ({"iat": 0.5}, 401, "must be an Integer"),
        ({"exp": -1}, 401, "'Expiration time' claim"),
        ({"exp": 700}, 401, "too far in the future"),
        ({"iss": "7"}, 404, "Integration not found"),
    ],
)
def test_what_an_app_signs_is_checked(
    sandbox: SandboxServer, app: App, claims: dict[str, Any], status: int, words: str
) -> None:
    now = int(time.time())
    times = {"iat": now + claims.get("iat", -60), "exp": now + claims.get("exp", 300)}
    token = jwt.encode({**times, "iss": claims.get("iss", str(app.id))}, app.pem, "RS256")
    found, message = ask(sandbox, token)
    assert (found, words in message) == (status, True)


def test_another_key_is_refused(sandbox: SandboxServer, app: App) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    token = jwt.encode({"iat": now, "exp": now + 60, "iss": str(app.id)}, other, "RS256")
    assert ask(sandbox, token) == (401, "A JSON web token could not be decoded")


def test_an_installations_token_ends_and_is_suspended(sandbox: SandboxServer, app: App) -> None:
    apps = sandbox.state.github_apps
    (one,) = apps.of_app(app)
    token, _until = apps.issue(one)
    address, headers = f"{sandbox.url}/github/repos/dream11/app", {**AGENT}
    headers["Authorization"] = f"token {token}"
    assert requests.get(address, headers=headers, timeout=10).status_code == 200
    one.is_suspended = True
    answer = requests.get(address, headers=headers, timeout=10)
    assert answer.json()["message"] == "This installation has been suspended"
    one.is_suspended = False
    apps.end_tokens()
    assert requests.get(address, headers=headers, timeout=10).status_code == 401
