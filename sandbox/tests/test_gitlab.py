"""GitLab's stand-in: python-gitlab works with it unchanged, and it refuses as GitLab does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gitlab
import pytest

from sandbox import accounts
from sandbox.projects import NOBODY, Protected
from sandbox.server import SandboxServer
from sandbox.tests.conftest import Web

APP = "/projects/dream11%2Fmobile%2Fapp"


@pytest.fixture
def lab(sandbox: SandboxServer) -> Iterator[Web]:
    """The API as a maintainer."""
    web = Web(f"{sandbox.url}/gitlab/api/v4", headers={"PRIVATE-TOKEN": accounts.GITLAB_TOKEN})
    yield web
    web.session.close()


def test_python_gitlab_takes_a_release_through(sandbox: SandboxServer) -> None:
    lab = gitlab.Gitlab(f"{sandbox.url}/gitlab", private_token=accounts.GITLAB_TOKEN)
    lab.auth()
    assert lab.version()[0] == "18.6.1-ee"
    assert lab.personal_access_tokens.get("self").scopes == ["api"]
    paths = [p.path_with_namespace for p in lab.projects.list(membership=True, get_all=True)]
    assert "dream11/mobile/app" in paths
    project = lab.projects.get("dream11/mobile/app")
    made = project.branches.create({"branch": "release/1.5.0", "ref": "main"})
    assert project.branches.get("release/1.5.0").commit == made.commit
    with pytest.raises(gitlab.GitlabCreateError, match="Branch already exists"):
        project.branches.create({"branch": "release/1.5.0", "ref": "main"})
    compared = project.repository_compare("release/1.4.0", "main")["commits"]
    listed: list[Any] = project.commits.list(
        ref_name="release/1.4.0..main", per_page=3, get_all=True
    )
    assert [one["id"] for one in compared] == [one.id for one in listed][::-1]
    assert len(listed) == 10
    assert [m["iid"] for m in project.commits.get(listed[0].id).merge_requests()] == [22]
    merged = project.mergerequests.list(state="merged", get_all=True)
    assert [one.id for one in merged[0].commits()] == [listed[0].id]
    assert project.tags.create({"tag_name": "v1.5.0", "ref": "release/1.5.0"}).name == "v1.5.0"
    release = project.releases.create(
        {"tag_name": "v1.5.0", "description": "One", "released_at": "2099-01-01T00:00:00Z"}
    )
    assert release.upcoming_release
    release.description = "Two"
    release.save()
    assert project.releases.get("v1.5.0").description == "Two"
    assert [rule.name for rule in project.protectedbranches.list(get_all=True)] == ["main"]


def test_an_oauth_token_is_taken_as_bearer_alone(sandbox: SandboxServer) -> None:
    token, url = accounts.GITLAB_OAUTH_TOKEN, f"{sandbox.url}/gitlab"
    lab = gitlab.Gitlab(url, oauth_token=token)
    lab.auth()
    with pytest.raises(gitlab.GitlabAuthenticationError):
        gitlab.Gitlab(url, private_token=token).auth()


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/projects/dream11/mobile/app", 404, {"error": "404 Not Found"}),
        ("GET", f"{APP}/repository/branches/nothing", 404, {"message": "404 Branch Not Found"}),
        ("GET", f"{APP}/repository/branches/release/1.4.0", 404, {"error": "404 Not Found"}),
        ("GET", "/projects/rival%2Fsecret-app", 404, {"message": "404 Project Not Found"}),
        ("POST", f"{APP}/repository/branches", 400, {"error": "branch is missing, ref is missing"}),
        (
            "POST",
            f"{APP}/repository/branches?branch=x&ref=nothing",
            400,
            {"message": "Failed to create branch 'x': invalid reference name 'nothing'"},
        ),
        (
            "POST",
            f"{APP}/repository/tags?tag_name=v1&ref=main",
            400,
            {"message": "You are not allowed to create this tag as it is protected."},
        ),
        ("POST", f"{APP}/releases?tag_name=x", 422, {"message": "Ref is not specified"}),
    ],
)
def test_what_is_wrong_is_refused_in_gitlabs_words(
    sandbox: SandboxServer, lab: Web, method: str, path: str, status: int, said: Any
) -> None:
    sandbox.state.gitlab.projects[4201].protected.append(Protected("v*", "tags", NOBODY))
    answer = lab(method, path)
    assert (answer.status_code, answer.json()) == (status, said)
    assert answer.headers["RateLimit-Remaining"]


def test_pages_tell_the_next_and_not_always_the_total(lab: Web) -> None:
    branches = lab.get(f"{APP}/repository/branches?per_page=2").headers
    assert (branches["X-Next-Page"], branches["X-Total"]) == ("2", "3")
    commits = lab.get(f"{APP}/repository/commits?per_page=100").headers
    assert (commits["X-Next-Page"], "X-Total" in commits) == ("", False)


def test_a_moved_project_redirects_reads_and_refuses_writes(
    sandbox: SandboxServer, lab: Web
) -> None:
    projects = sandbox.state.gitlab
    projects.move(projects.projects[4201], "dream11/new")
    answer = lab.get(f"{APP}/repository/branches/release%2F1.4.0")
    place = "/gitlab/api/v4/projects/4201/repository/branches/release%2F1.4.0"
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{sandbox.url}{place}")
    assert lab.post(f"{APP}/repository/branches?branch=x&ref=main").status_code == 405


def test_nobody_sees_what_is_private(web: Web) -> None:
    for path, status in (
        ("/version", 401),
        ("/user", 401),
        (APP, 404),
        ("/projects/dream11%2Fbackend", 200),
    ):
        assert web.get(f"/gitlab/api/v4{path}").status_code == status, path


def test_it_is_kept_over_a_restart(tmp_path: Any) -> None:
    with SandboxServer(state_dir=tmp_path) as first:
        projects = first.state.gitlab
        projects.move(projects.projects[4201], "dream11/new")
        head = projects.push(projects.projects[4201], "main", message="New", pull=True)
        projects.projects[4201].protected.append(Protected("v*", "tags"))
    with SandboxServer(state_dir=tmp_path) as second:
        app = second.state.gitlab.find("dream11/mobile/app")
        assert app is not None
        assert (app.path, app.protected[-1].name) == ("dream11/new", "v*")
        assert second.state.gitlab.commit(app, "main") == head


def test_a_person_changes_the_project_on_its_page(sandbox: SandboxServer, web: Web) -> None:
    projects = sandbox.state.gitlab
    app = projects.projects[4201]
    done = [
        web.post("/project/push", data={"branch": "main", "message": "By hand", "pull": "on"}),
        web.post("/project/protect", data={"name": "v*", "kind": "tags", "level": "40"}),
        web.post("/project/act", data={"act": "move"}),
    ]
    assert [answer.status_code for answer in done] == [303, 303, 303]
    head = projects.history_of(app).commits[projects.commit(app, "main")]
    assert (head.message.partition("\n")[0], head.pull) == ("By hand", 23)
    assert (app.path, app.protected[-1].name) == ("dream11/apps/mobile", "v*")
    page = web.get(f"/gitlab/{app.path}/-/merge_requests/23").text
    assert "By hand" in page
    assert "(tag) is protected" in page
    assert web.post("/project/act", data={"act": "move"}).status_code == 303
    assert app.path == "dream11/mobile/app"


def test_programs_control_the_project(sandbox: SandboxServer, web: Web) -> None:
    path = "/sandbox/api/gitlab/projects/4201"
    sha = web.post(f"{path}/commits", json={"count": 2, "message": "More"}).json()["sha"]
    assert web.post(f"{path}/protected", json={"name": "v*", "kind": "tags"}).status_code == 201
    assert web("PATCH", path, json={"path": "dream11/new"}).status_code == 200
    shown = web.get(path).json()
    assert (shown["path"], shown["refs"]["refs/heads/main"]) == ("dream11/new", sha)
    assert shown["protected"][-1] == {"name": "v*", "kind": "tags", "level": 40}
    assert web("DELETE", f"{path}/protected").status_code == 200
    assert [rule.name for rule in sandbox.state.gitlab.projects[4201].protected] == ["main"]
    assert web.post(f"{path}/commits", json={"branch": "nothing"}).status_code == 404
