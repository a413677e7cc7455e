"""Branches as GitHub has them: there, surely missing, or not to be told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.branch_names import nearest
from integrations.providers.github.provider import GitHub
from integrations.providers.scm import Branch
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Wire
from sandbox import accounts
from sandbox.repositories import fake_sha
from sandbox.server import SandboxServer

BASE = "/api/v3/repos/o/app"
SHA = "3f786850e387550fdab836ed7e6dc881de23001b"
MISSING = Reply({"message": "Not Found", "status": "404"}, 404)


def github(token: str = "ghp_1", url: str = "https://github.com/o/app") -> GitHub:
    return GitHub(repository_url=url, access_token=token)


def look(name: str) -> Branch:
    return github().branch(name, within=5)


@pytest.fixture
def there(wire: Wire, settings: Any) -> Wire:
    """A repository with the branch `main` alone."""
    settings.GITHUB_API_URL = f"{wire.url}/api/v3"
    commit = {"sha": SHA, "commit": {"message": "Fix the login\n\nAt last."}}
    wire.routes = {
        f"{BASE}/branches/main": Reply({"name": "main", "commit": commit}),
        f"{BASE}/branches": Reply([{"name": "main"}]),
    }
    return _closed(wire)


def _closed(wire: Wire) -> Wire:
    """What has no route is answered as GitHub does."""
    routes = wire.routes

    class Routes(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            return super().get(key, MISSING)

    wire.routes = Routes(routes)
    return wire


def test_an_existing_branch_is_read_with_its_newest_commit_in_one_call(there: Wire) -> None:
    assert look("main") == Branch(name="main", exists=True, commit=SHA, title="Fix the login")
    assert [seen.path for seen in there.seen] == [f"{BASE}/branches/main"]


@pytest.mark.parametrize(
    "name", ["origin/main", "upstream/main", "remotes/origin/main", "heads/main", "refs/heads/main"]
)
def test_a_branch_may_have_any_of_gits_notations(there: Wire, name: str) -> None:
    found = look(name)
    assert (found.name, found.exists, found.commit) == (name, True, SHA)


@pytest.mark.parametrize("name", ["v1.5.0", "tags/v1.5.0", "refs/tags/v1.5.0"])
@pytest.mark.parametrize(("kind", "commit"), [("commit", SHA), ("tag", "")])
def test_a_tag_of_that_name_can_be_built(there: Wire, name: str, kind: str, commit: str) -> None:
    there.routes[f"{BASE}/git/ref/tags/v1.5.0"] = Reply({"object": {"type": kind, "sha": SHA}})
    found = look(name)
    assert (found.exists, found.commit) == (True, commit)


def test_any_other_ref_can_be_built_by_its_full_name(there: Wire) -> None:
    there.routes[f"{BASE}/git/ref/pull/12/head"] = Reply({"object": {"type": "commit", "sha": SHA}})
    assert look("refs/pull/12/head").exists
    assert not look("refs/pull/13/head").exists


@pytest.mark.parametrize("name", [SHA, SHA[:7]])
def test_a_commit_can_be_built(there: Wire, name: str) -> None:
    there.routes[f"{BASE}/commits/{name}"] = Reply({"sha": SHA, "commit": {"message": "One"}})
    assert look(name) == Branch(name=name, exists=True, commit=SHA, title="One")


def test_a_hash_that_is_no_commit_is_missing(there: Wire) -> None:
    no_commit = Reply({"message": "No commit found for SHA: 3f78685"}, 422)
    there.routes[f"{BASE}/commits/{SHA[:7]}"] = no_commit
    assert not look(SHA[:7]).exists


@pytest.mark.parametrize("name", ["feature/#12 %", "grün/ü", "a+b", "a&b=c", "a%2Fb"])
def test_odd_characters_reach_github_as_they_are(there: Wire, name: str) -> None:
    from urllib.parse import quote

    there.routes[f"{BASE}/branches/{quote(name)}"] = there.routes[f"{BASE}/branches/main"]
    assert look(name).exists


@pytest.mark.parametrize(
    "reply",
    [
        MISSING,
        Reply({"message": "Branch not found"}, 404),
        Reply(b"", 301, {"Location": f"{BASE}/branches/renamed"}),
        Reply({"message": "Git Repository is empty."}, 409),
    ],
)
def test_a_missing_branch_is_reported_with_similar_names(there: Wire, reply: Reply) -> None:
    there.routes[f"{BASE}/branches/mains"] = reply
    assert look("mains") == Branch(name="mains", exists=False, similar=("main",))


def test_names_come_from_the_same_folder_and_from_the_first_hundred(there: Wire) -> None:
    folder = [{"ref": f"refs/heads/release/1.{n}.0"} for n in range(9)]
    there.routes[f"{BASE}/git/matching-refs/heads/release/"] = Reply(folder)
    there.routes[f"{BASE}/branches"] = Reply([{"name": "main"}, {"name": "hotfix/1.55.0"}])
    found = look("release/1.55.0")
    assert found.similar[0] == "hotfix/1.55.0"
    assert len(found.similar) == 3
    assert found.similar[1].startswith("release/1.")
    assert there.last(f"{BASE}/branches").query == {"per_page": "100"}


@pytest.mark.parametrize("reply", [Reply(b"x" * 2_000_000), Reply({}), Reply(fault="reset")])
def test_a_folder_that_cannot_be_read_only_costs_the_similar_names(
    there: Wire, reply: Reply
) -> None:
    there.routes[f"{BASE}/git/matching-refs/heads/release/"] = reply
    there.routes[f"{BASE}/branches"] = Reply([{"name": "release/1.5.1"}])
    assert look("release/1.5.0").similar == ("release/1.5.1",)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (MISSING, "repository_not_found"),
        (Reply(b"", 301, {"Location": "/repositories/1/branches"}), "repository_moved"),
        (LOGIN_PAGE, "garbage"),
        (Reply({"message": "Bad credentials"}, 401), "bad_credentials"),
        (Reply({"message": "Resource not accessible by integration"}, 403), "not_for_apps"),
        (Reply(b"<html>Bad gateway</html>", 502), "server_error"),
        (Reply(b"<html>No</html>", 404), "not_its_answer"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["at once", "at the list"])
def test_an_uncertain_result_is_an_error(there: Wire, reply: Reply, code: str, first: bool) -> None:
    there.routes[f"{BASE}/branches"] = reply
    if first:
        there.routes[f"{BASE}/branches/release/1.5.0"] = reply
    with pytest.raises(ProviderError) as caught:
        look("release/1.5.0")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [[], {}, {"commit": None}, {"commit": {"sha": 7}}, {"commit": {"sha": "../../x"}}, {"a": "b"}],
)
def test_an_unexpected_body_is_an_error(there: Wire, body: Any) -> None:
    there.routes[f"{BASE}/branches/main"] = Reply(body)
    with pytest.raises(ProviderError) as caught:
        look("main")
    assert caught.value.code == "garbage"


@pytest.mark.slow
def test_a_hanging_server_is_given_up_within_the_time_limit(there: Wire) -> None:
    there.routes[f"{BASE}/branches/main"] = Reply(fault="hang")
    with pytest.raises(ProviderError) as caught:
        github().branch("main", within=0.5)
    assert caught.value.outcome in (Outcome.UNCERTAIN, Outcome.NOT_SENT)


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        (
            "release/1.5.0",
            ["release/1.5", "release/1.4.0", "main"],
            ("release/1.4.0", "release/1.5"),
        ),
        ("Release/1.5.0", ["release/1.5.0"], ("release/1.5.0",)),
        ("release-1.5.0", ["release/1.5.0", "main"], ("release/1.5.0",)),
        ("release/1.5.0", ["hotfix/1.5.0", "main"], ("hotfix/1.5.0",)),
        ("release/1.5.0", ["main", "develop"], ()),
        ("mian", ["main"], ("main",)),
        ("release/9", [f"release/{n}" for n in range(50, 90)], 3),
    ],
)
def test_the_nearest_names_are_few_and_similar(name: str, names: list[str], found: Any) -> None:
    near = nearest(name, names)
    assert len(near) == found if isinstance(found, int) else set(near) == set(found)


# --- The stand-in ---------------------------------------------------------------------------------


@pytest.fixture
def sandbox(tmp_path: Any, settings: Any) -> Iterator[SandboxServer]:
    with SandboxServer(state_dir=tmp_path) as server:
        settings.GITHUB_API_URL = f"{server.url}/github"
        yield server


def ours(token: str = accounts.GITHUB_PUSH_TOKEN) -> GitHub:
    return github(token, accounts.GITHUB_REPOSITORY)


@pytest.mark.parametrize(
    "token",
    [accounts.GITHUB_PUSH_TOKEN, accounts.GITHUB_FINE_GRAINED_TOKEN, accounts.GITHUB_APP_TOKEN],
)
def test_the_stand_in_cuts_the_branch_of_a_release_and_no_other(
    sandbox: SandboxServer, token: str
) -> None:
    found = ours(token).branch("release/1.5.0", within=5)
    assert (found.exists, found.commit) == (
        True,
        fake_sha("dream11/app", "refs/heads/release/1.5.0"),
    )
    missing = ours(token).branch("hotfix/1.5.0", within=5)
    assert (missing.exists, missing.similar[0]) == (False, "release/1.5.0")


def test_a_branch_removed_in_the_stand_in_is_missing_until_it_is_created(
    sandbox: SandboxServer,
) -> None:
    state = sandbox.state
    repository = state.github.find("dream11", "app")
    state.github.remove_ref(repository, "refs/heads/release/1.5.0")
    assert not ours().branch("release/1.5.0", within=5).exists
    state.github.create_ref(repository, "refs/heads/release/1.5.0", SHA)
    assert ours().branch("release/1.5.0", within=5).commit == SHA
    state.github.cuts_releases = False
    assert not ours().branch("release/1.6.0", within=5).exists


def test_an_apps_token_passes_every_check_of_the_stand_in(sandbox: SandboxServer) -> None:
    checks = ours(accounts.GITHUB_APP_TOKEN).verify()
    assert [check.name for check in checks if not check.ok] == []
    assert accounts.GITHUB_REPOSITORY in [
        option.value for option in github(accounts.GITHUB_APP_TOKEN, "").repositories()
    ]


def test_a_reason_of_the_stand_in_is_reported(sandbox: SandboxServer) -> None:
    sandbox.state.github.refuses = "`dream11` forbids access via a personal access token (classic)."
    bad = next(check for check in ours().verify() if not check.ok)
    assert bad.code == "classic_token_forbidden"
