"""PyGithub, unchanged: refs, comparisons and releases of the GitHub stand-in; and its controls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import github
import pytest
from github import Auth, Github
from github.Requester import Requester

from sandbox import accounts
from sandbox.history import Rule

NAME = "dream11/app"


@pytest.fixture
def repo(sandbox) -> Iterator[Any]:
    hung_in = (
        Requester._Requester__httpConnectionClass,
        Requester._Requester__httpsConnectionClass,
    )
    Requester.resetConnectionClasses()
    client = Github(
        auth=Auth.Token(accounts.GITHUB_PUSH_TOKEN),
        base_url=f"{sandbox.url}/github",
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    yield client.get_repo(NAME)
    client.close()
    Requester.injectConnectionClasses(*hung_in)


@pytest.fixture
def history(sandbox):
    return sandbox.state.github.history.of[NAME]


def main(repo) -> str:
    return repo.get_branch("main").commit.sha


def refused(call) -> github.GithubException:
    with pytest.raises(github.GithubException) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("refs/heads/release/1.4.0", "Reference already exists"),
        ("refs/heads/a..b", "refs/heads/a..b is not a valid ref name."),
        ("refs/heads/" + "a" * 40, "is not a valid ref name."),
        ("refs/heads/release", "Reference update failed"),
        ("refs/heads/main/x", "Reference update failed"),
        ("refs/heads/hotfix/1", "creations being restricted"),
    ],
)
def test_refs_are_refused_as_github_does(sandbox, repo, history, ref, words):
    history.rules.append(Rule(7, "hotfix/*"))
    error = refused(lambda: repo.create_git_ref(ref, main(repo)))
    assert error.status == 422
    assert words in error.data["message"]
    assert not sandbox.state.ledger.of("ref.created")


def test_an_unknown_commit_does_not_exist(repo):
    error = refused(lambda: repo.create_git_ref("refs/heads/x", "0" * 40))
    assert (error.status, error.data["message"]) == (422, "Object does not exist")


def test_a_promised_branch_can_be_created_until_it_was_built(sandbox, repo):
    promised = repo.get_branch("release/9.0.0").commit.sha
    assert repo.create_git_ref("refs/heads/release/9.0.0", main(repo)).object.sha != promised
    error = refused(lambda: repo.create_git_ref("refs/heads/release/9.0.0", main(repo)))
    assert error.data["message"] == "Reference already exists"


def test_an_annotated_tag_needs_a_ref(repo):
    tag = repo.create_git_tag("v1", "One", main(repo), "commit")
    assert refused(lambda: repo.get_git_ref("tags/v1")).status == 404
    ref = repo.create_git_ref("refs/tags/v1", tag.sha)
    assert (ref.object.type, ref.object.sha) == ("tag", tag.sha)
    assert repo.get_git_tag(tag.sha).object.sha == main(repo)


def test_a_comparison_tells_both_sides(repo):
    found = repo.compare("release/1.4.0", "main")
    assert (found.status, found.ahead_by, found.behind_by) == ("diverged", 10, 1)
    assert [commit.sha for commit in found.commits][-1] == main(repo)
    assert found.merge_base_commit.sha not in {commit.sha for commit in found.commits}
    assert refused(lambda: repo.compare("nothing", "main")).status == 404


def test_a_comparison_without_pages_has_the_last_250(sandbox, repo, web):
    before = main(repo)
    body = {"count": 300, "pull": True}
    pushed = web.post(f"/sandbox/api/github/repositories/{NAME}/commits", json=body)
    assert pushed.status_code == 201
    headers = {"Authorization": f"Bearer {accounts.GITHUB_PUSH_TOKEN}"}
    path = f"/github/repos/{NAME}/compare/{before}...main"
    whole = web.get(path, headers=headers).json()
    assert (whole["total_commits"], len(whole["commits"])) == (300, 250)
    assert whole["commits"][-1]["sha"] == pushed.json()["sha"]
    pages = [web.get(f"{path}?per_page=100&page={n}", headers=headers).json() for n in (1, 2, 3)]
    assert [len(page["commits"]) for page in pages] == [100, 100, 100]
    assert ["files" in page for page in pages] == [True, False, False]


def test_a_commit_knows_its_pull_request(repo):
    commit = repo.get_commit(main(repo))
    assert [pull.number for pull in commit.get_pulls()] == [22]


def test_a_draft_is_only_in_the_list(repo):
    draft = repo.create_git_release("v2", "Two", "Notes", draft=True)
    assert [release.tag_name for release in repo.get_releases()] == ["v2"]
    assert refused(lambda: repo.get_release("v2")).status == 404
    assert refused(lambda: repo.get_git_ref("tags/v2")).status == 404
    assert repo.create_git_release("v2", "Two", "Notes", draft=True).id != draft.id
    draft.update_release("Two", "Edited", draft=False)
    assert repo.get_release("v2").body == "Edited"
    assert repo.get_git_ref("tags/v2").object.sha == main(repo)
    error = refused(lambda: repo.create_git_release("v2", "Two", ""))
    assert (error.status, error.data["errors"][0]["code"]) == (422, "already_exists")


def test_a_renamed_repository_answers_301(web, repo):
    url = f"/sandbox/api/github/repositories/{NAME}"
    assert web("PATCH", url, json={"name": "dream11/mobile"}).status_code == 200
    headers = {"Authorization": f"Bearer {accounts.GITHUB_PUSH_TOKEN}"}
    moved = web.get(f"/github/repos/{NAME}", headers=headers)
    assert moved.status_code == 301
    assert moved.headers["Location"].endswith("/github/repositories/700001")
    path = moved.headers["Location"].split("/github", 1)[1]
    found = web.get(f"/github{path}", headers=headers).json()
    assert (found["id"], found["full_name"]) == (700001, "dream11/mobile")


@pytest.mark.parametrize("path", ["/github/graphql", "/api/graphql"])
def test_graphql_answers_pull_requests_by_commit(web, repo, path):
    query = (
        "query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { "
        f'a: object(oid: "{main(repo)}") {{ ...P }} b: object(oid: "{"0" * 40}") {{ ...P }} }} }} '
        "fragment P on Commit { associatedPullRequests(first: 3) { nodes { number %s } } }"
    )
    headers = {"Authorization": f"Bearer {accounts.GITHUB_PUSH_TOKEN}"}
    variables = {"owner": "dream11", "name": "app"}

    def ask(fields: str) -> Any:
        body = {"query": query % fields, "variables": variables}
        return web.post(path, json=body, headers=headers).json()

    found = ask("title")["data"]["repository"]
    assert found["a"]["associatedPullRequests"]["nodes"] == [
        {"number": 22, "title": "MOBILE-131 Restore purchases"}
    ]
    assert found["b"] is None
    assert "doesn't exist" in ask("colour")["errors"][0]["message"]


def test_the_page_shows_and_changes_the_repository(sandbox, web, history):
    assert "MOBILE-131 Restore purchases" in web.get("/repository").text
    pushed = web.post("/repository/push", data={"message": "One more", "branch": "main"})
    assert pushed.status_code == 303
    assert "One more" in web.get("/repository").text
    web.post("/repository/rule", data={"pattern": "v*", "kind": "tags"})
    assert "Ruleset 101 forbids" in web.get("/repository").text
    for act in ("lift", "workflows", "pulls", "rename"):
        assert web.post("/repository/act", data={"act": act}).status_code == 303
    assert (history.rules, history.touches_workflows, history.hides_pulls) == ([], True, True)
    assert "<h1>dream11/mobile</h1>" in web.get("/repository").text
    assert web.post("/repository/act", data={"act": "nothing"}).status_code == 400
    assert web.post("/repository/publish", data={"release": "9"}).status_code == 400


def test_the_history_survives_a_restart(tmp_path):
    from sandbox.server import SandboxServer

    with SandboxServer(state_dir=tmp_path) as server:
        hub = server.state.github
        hub.history.of[NAME].rules.append(Rule(7, "x"))
        hub.refs[NAME]["refs/heads/main"] = sha = hub.history.push(
            NAME, hub.refs[NAME]["refs/heads/main"], pull=True
        )
    with SandboxServer(state_dir=tmp_path) as server:
        again = server.state.github.history.of[NAME]
        assert again.rules == [Rule(7, "x")]
        assert again.commits[sha].pull == 23
        assert again.pulls[23].branch == "change-23"
