"""PyGithub, unchanged, against the GitHub stand-in."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import github
import pytest
from github import Auth, Github

from sandbox import accounts

pytestmark = pytest.mark.usefixtures("plain_pygithub")


@pytest.fixture
def client(sandbox) -> Iterator[Callable[[str], Github]]:
    made: list[Github] = []

    def make(token: str = accounts.GITHUB_PUSH_TOKEN) -> Github:
        made.append(
            Github(
                auth=Auth.Token(token),
                base_url=f"{sandbox.url}/github",
                retry=None,
                seconds_between_requests=0,
                seconds_between_writes=0,
            )
        )
        return made[-1]

    yield make
    for found in made:
        found.close()


def test_the_repository_may_be_pushed_to(client):
    hub = client()
    repo = hub.get_repo("dream11/app")
    assert (repo.id, repo.full_name, repo.default_branch) == (700001, "dream11/app", "main")
    assert (repo.permissions.push, repo.archived, repo.private) == (True, False, True)
    assert hub.oauth_scopes == ["read:org", "repo"]
    assert hub.get_user().login == "delivr-bot"


def test_names_are_case_insensitive(client):
    assert client().get_repo("Dream11/APP").full_name == "dream11/app"


def test_the_read_token_may_not_push(sandbox, client):
    repo = client(accounts.GITHUB_READ_TOKEN).get_repo("dream11/app")
    assert repo.permissions.push is False
    with pytest.raises(github.GithubException) as caught:
        repo.create_git_ref("refs/heads/x", repo.get_branch("main").commit.sha)
    assert caught.value.status == 403
    assert not sandbox.state.ledger.of("ref.created")


def test_an_unknown_token_is_bad(client):
    with pytest.raises(github.BadCredentialsException) as caught:
        client("ghp_somebody_else").get_user().login  # noqa: B018 -- the read is the request
    assert caught.value.data["message"] == "Bad credentials"


@pytest.mark.parametrize("name", ["dream11/nothing", "rival/secret-app"])
def test_missing_and_forbidden_look_the_same(client, name):
    with pytest.raises(github.UnknownObjectException) as caught:
        client().get_repo(name)
    assert caught.value.data["message"] == "Not Found"


def test_an_archived_repository_says_so(client):
    repo = client().get_repo("dream11/legacy-app")
    assert (repo.archived, repo.permissions.push) == (True, False)


def test_repositories_are_listed_on_all_pages(client):
    hub = client()
    hub.per_page = 2
    names = [repo.full_name for repo in hub.get_user().get_repos()]
    assert names == ["dream11/app", "dream11/legacy-app", "dream11/backend"]


def test_a_fine_grained_token_has_no_scopes_but_an_expiry(client, web):
    assert client(accounts.GITHUB_FINE_GRAINED_TOKEN).get_user().login == "delivr-bot"
    headers = {"Authorization": f"Bearer {accounts.GITHUB_FINE_GRAINED_TOKEN}"}
    answer = web.get("/github/user", headers=headers)
    assert "X-OAuth-Scopes" not in answer.headers
    expiry = answer.headers["github-authentication-token-expiration"]
    moment = datetime.strptime(expiry, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert timedelta(days=13) < moment - datetime.now(UTC) < timedelta(days=15)


def test_the_expiry_of_a_token_can_be_set(web):
    headers = {"Authorization": f"Bearer {accounts.GITHUB_PUSH_TOKEN}"}

    def expire_in(days: object) -> int:
        control = web.post("/sandbox/api/github/token", json={"expiresInDays": days})
        return control.status_code

    assert expire_in(3) == 200
    answer = web.get("/github/user", headers=headers)
    expiry = answer.headers["github-authentication-token-expiration"]
    moment = datetime.strptime(expiry, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert timedelta(days=2) < moment - datetime.now(UTC) < timedelta(days=4)
    assert expire_in(0) == 200
    assert web.get("/github/user", headers=headers).status_code == 401
    assert expire_in("soon") == 400


def test_a_branch_is_created_once(sandbox, client):
    repo = client().get_repo("dream11/app")
    sha = repo.get_git_ref("heads/main").object.sha
    made = repo.create_git_ref("refs/heads/release/1.5.0", sha)
    assert made.object.sha == sha
    assert repo.get_branch("release/1.5.0").commit.sha == sha
    with pytest.raises(github.GithubException) as caught:
        repo.create_git_ref("refs/heads/release/1.5.0", sha)
    assert (caught.value.status, caught.value.data["message"]) == (422, "Reference already exists")
    assert len(sandbox.state.ledger.of("ref.created")) == 1


def test_a_ref_needs_an_object_that_exists(client):
    repo = client().get_repo("dream11/app")
    with pytest.raises(github.GithubException) as caught:
        repo.create_git_ref("refs/heads/x", "0" * 40)
    assert (caught.value.status, caught.value.data["message"]) == (422, "Object does not exist")


def test_branches_and_matching_refs_are_listed(client):
    repo = client().get_repo("dream11/app")
    assert [b.name for b in repo.get_branches()] == ["develop", "main", "release/1.4.0"]
    assert [r.ref for r in repo.get_git_matching_refs("heads/rel")] == ["refs/heads/release/1.4.0"]
    with pytest.raises(github.UnknownObjectException):
        repo.get_git_ref("heads/nothing")


def test_a_client_must_send_a_user_agent(sandbox):
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    headers = {"Authorization": f"token {accounts.GITHUB_PUSH_TOKEN}"}
    connection.request("GET", "/github/user", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 403
    assert b"administrative rules" in answer.read()
    connection.close()


def test_a_request_without_a_token_is_refused(web):
    assert web.get("/github/repos/dream11/backend").status_code == 401
