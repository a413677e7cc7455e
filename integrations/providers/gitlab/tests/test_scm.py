"""Branches, tags, comparisons and releases, against the stand-in, which lies below a path."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.gitlab import comparing
from integrations.providers.gitlab.provider import GitLab
from integrations.providers.scm import ReleaseDraft
from sandbox import accounts
from sandbox.history import digest
from sandbox.projects import NOBODY, Project, Projects, Protected
from sandbox.server import SandboxServer

pytestmark = pytest.mark.usefixtures("sandbox")

NAME = accounts.GITLAB_PROJECT
MAIN, OLD = digest(NAME, "main"), digest(NAME, "release/1.4.0")
BRANCH = "release/1.5.0"


@pytest.fixture
def state(sandbox: SandboxServer) -> Any:
    return sandbox.state


@pytest.fixture
def projects(state: Any) -> Projects:
    found: Projects = state.gitlab
    return found


@pytest.fixture
def app(projects: Projects) -> Project:
    return projects.projects[4201]


@pytest.fixture
def gitlab(sandbox: SandboxServer) -> Any:
    def make(token: str = accounts.GITLAB_TOKEN, project: str = NAME) -> GitLab:
        server = f"{sandbox.url}/gitlab"
        return GitLab(repository_url=f"{server}/{project}", access_token=token, server=server)

    return make


def refusal(call: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    assert caught.value.hint
    return caught.value


# --- Branches and tags ----------------------------------------------------------------------------


def test_a_branch_is_created_once(sandbox: SandboxServer, gitlab: Any) -> None:
    lab = gitlab()
    assert lab.default_branch() == "main"
    assert lab.read_branch(BRANCH) is None
    made = lab.create_branch(BRANCH, commit=MAIN)
    assert (made.commit, made.url) == (MAIN, f"{sandbox.url}/gitlab/{NAME}/-/tree/{BRANCH}")
    assert lab.create_branch(BRANCH, commit=MAIN) == made == lab.read_branch(BRANCH)
    assert len(sandbox.state.ledger.of("ref.created")) == 1


def test_a_branch_at_another_commit_is_told_with_both(gitlab: Any) -> None:
    gitlab().create_branch(BRANCH, commit=OLD)
    error = refusal(lambda: gitlab().create_branch(BRANCH, commit=MAIN))
    assert (error.code, error.outcome) == ("branch_elsewhere", Outcome.REFUSED)
    assert f"at {OLD[:7]} instead of {MAIN[:7]}" in error.message


@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_a_protected_name_is_told_with_its_wildcard(app: Project, gitlab: Any, kind: str) -> None:
    app.protected += [Protected("release/*", level=NOBODY), Protected("v*", "tags", NOBODY)]
    lab = gitlab()
    calls = {
        "heads": lambda: lab.create_branch(BRANCH, commit=MAIN),
        "tags": lambda: lab.create_tag("v1.5.0", commit=MAIN),
    }
    error = refusal(calls[kind])
    assert (error.code, error.outcome) == ("rule_forbids", Outcome.REFUSED)
    rule, place = {
        "heads": ("branch release/*", "Protected branches"),
        "tags": ("tag v*", "Protected tags"),
    }[kind]
    assert error.message.startswith(f"The protected {rule} does not allow creating ")
    assert f"Settings > Repository > {place}" in error.hint


def test_a_maintainer_creates_what_a_developer_may_not(app: Project, gitlab: Any) -> None:
    app.protected.append(Protected("release/*"))
    developer = gitlab(accounts.GITLAB_DEVELOPER_TOKEN)
    assert refusal(lambda: developer.create_branch(BRANCH, commit=MAIN)).code == "rule_forbids"
    assert gitlab().create_branch(BRANCH, commit=MAIN).commit == MAIN


def test_a_folder_of_that_name_is_told(gitlab: Any) -> None:
    gitlab().create_branch(f"{BRANCH}/fix", commit=MAIN)
    error = refusal(lambda: gitlab().create_branch(BRANCH, commit=MAIN))
    assert error.code == "name_in_the_way"
    assert f"while {BRANCH}/fix exists" in error.message
    error = refusal(lambda: gitlab().create_branch("main/new", commit=MAIN))
    assert "while main exists:" in error.message


def test_a_commit_that_is_gone_is_told(gitlab: Any) -> None:
    for call in (
        lambda: gitlab().create_branch(BRANCH, commit="0" * 40),
        lambda: gitlab().create_tag("v1", commit="0" * 40),
        lambda: gitlab().compare("0" * 40, MAIN, most=10),
        lambda: gitlab().compare(MAIN, "0" * 40, most=10),
    ):
        error = refusal(call)
        assert (error.code, error.outcome) == ("commit_gone", Outcome.REFUSED)


@pytest.mark.parametrize(
    ("token", "project", "code", "outcome", "words"),
    [
        (accounts.GITLAB_READ_TOKEN, NAME, "missing_scope", Outcome.CREDENTIALS, "api scope"),
        (accounts.GITLAB_REPORTER_TOKEN, NAME, "no_push", Outcome.CREDENTIALS, "Developer role"),
        (accounts.GITLAB_EXPIRED_TOKEN, NAME, "token_expired", Outcome.CREDENTIALS, "new one"),
        ("glpat-of-nobody", NAME, "bad_credentials", Outcome.CREDENTIALS, "new one"),
        (
            accounts.GITLAB_TOKEN,
            "dream11/mobile/legacy-app",
            "archived",
            Outcome.REFUSED,
            "unarchive",
        ),
        (
            accounts.GITLAB_TOKEN,
            "rival/secret-app",
            "repository_not_found",
            Outcome.REFUSED,
            "all groups",
        ),
    ],
)
def test_a_missing_right_is_told_with_the_way_forward(
    state: Any, gitlab: Any, token: str, project: str, code: str, outcome: Outcome, words: str
) -> None:
    error = refusal(lambda: gitlab(token, project).create_branch(BRANCH, commit=MAIN))
    assert (error.code, error.outcome) == (code, outcome)
    assert words in error.hint
    assert not state.ledger.of("ref.created")


def test_a_moved_project_is_told_and_not_followed(
    state: Any, projects: Projects, app: Project, gitlab: Any
) -> None:
    projects.move(app, "dream11/apps/mobile")
    lab = gitlab()
    for call in (
        lambda: lab.create_branch(BRANCH, commit=MAIN),
        lambda: lab.read_branch(BRANCH),
        lambda: lab.default_branch(),
        lambda: lab.branch(BRANCH, within=5),
        lambda: lab.compare(OLD, MAIN, most=10),
        lambda: lab.read_release("v1"),
    ):
        error = refusal(call)
        assert (error.code, error.outcome) == ("repository_moved", Outcome.REFUSED)
        assert "enter its current address" in error.hint
    assert not state.ledger.of("ref.created")
    assert gitlab(project="dream11/apps/mobile").default_branch() == "main"


def test_an_empty_project_is_told(gitlab: Any) -> None:
    lab = gitlab(project="dream11/mobile/empty")
    assert refusal(lab.default_branch).code == "repository_empty"
    assert lab.read_branch("main") is None
    assert lab.branch("main", within=5).exists is False


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after"])
def test_a_lost_answer_stays_uncertain(state: Any, gitlab: Any, kind: str) -> None:
    state.faults.add(kind, provider="gitlab", method="POST", count=1, seconds=30)
    lab = gitlab()
    lab.deadline = 1.0
    error = refusal(lambda: lab.create_branch(BRANCH, commit=MAIN))
    assert error.outcome is Outcome.UNCERTAIN
    found = gitlab().read_branch(BRANCH)
    assert (found.commit, len(state.ledger.of("ref.created"))) == (MAIN, 1)


def test_a_lost_look_after_a_refusal_sent_nothing(state: Any, gitlab: Any) -> None:
    gitlab().create_branch(BRANCH, commit=OLD)
    state.faults.add("drop_after", provider="gitlab", method="GET", count=1)
    error = refusal(lambda: gitlab().create_branch(BRANCH, commit=MAIN))
    assert error.outcome is Outcome.NOT_SENT


def test_an_annotated_tag_is_read_by_its_commit(
    projects: Projects, app: Project, gitlab: Any
) -> None:
    made = projects.history_of(app).annotate(MAIN, "v1.5.0", "The release")
    projects.create_ref(app, "refs/tags/v1.5.0", made)
    found = gitlab().read_tag("v1.5.0")
    assert found.commit == MAIN
    assert found.url.endswith("/-/tags/v1.5.0")
    assert gitlab().create_tag("v1.5.0", commit=MAIN) == found
    assert refusal(lambda: gitlab().create_tag("v1.5.0", commit=OLD)).code == "tag_elsewhere"


@pytest.mark.parametrize(
    ("name", "commit"),
    [("origin/main", MAIN), ("refs/heads/release/1.4.0", OLD), (MAIN[:9], MAIN)],
)
def test_a_branch_is_found_by_what_jobs_call_it(gitlab: Any, name: str, commit: str) -> None:
    found = gitlab().branch(name, within=5)
    assert (found.exists, found.commit) == (True, commit)
    assert found.title


def test_a_missing_branch_is_answered_with_similar_ones(gitlab: Any) -> None:
    found = gitlab().branch("release/1.4.1", within=5)
    assert (found.exists, found.similar) == (False, ("release/1.4.0",))


# --- Comparisons ----------------------------------------------------------------------------------


def test_a_comparison_lists_commits_with_their_merge_requests(
    sandbox: SandboxServer, gitlab: Any
) -> None:
    found = gitlab().compare(OLD, MAIN, most=100)
    assert (found.total, found.behind, found.is_complete, found.note) == (10, 1, True, "")
    newest = found.commits[0]
    page = f"{sandbox.url}/gitlab/{NAME}/-"
    assert (newest.sha, newest.url) == (MAIN, f"{page}/commit/{MAIN}")
    assert (newest.pull_request.number, newest.pull_request.title) == (
        22,
        "MOBILE-131 Restore purchases",
    )
    assert newest.pull_request.url == f"{page}/merge_requests/22"
    assert "mobile-131-restore-purchases" in newest.pull_request.text
    assert [c.pull_request.number for c in found.commits] == list(range(22, 12, -1))
    paths = [entry["path"] for entry in sandbox.state.requests]
    assert len(paths) == 5  # not one for each commit


@pytest.mark.parametrize("fast_forward", [True, False])
def test_commits_taken_as_they_are_belong_to_their_request(
    projects: Projects, app: Project, gitlab: Any, fast_forward: bool
) -> None:
    pushed = projects.push(app, "main", count=2, message="By hand")
    made = projects.merge(app, count=3, fast_forward=fast_forward)
    found = gitlab().compare(MAIN, made[-1], most=100)
    numbers = {c.sha: c.pull_request and c.pull_request.number for c in found.commits}
    assert [numbers[sha] for sha in made] == [23] * len(made)
    assert (numbers[pushed], len(numbers)) == (None, len(made) + 2)
    assert found.is_complete


def test_a_long_list_is_paged_and_what_is_cut_off_is_told(
    projects: Projects, app: Project, gitlab: Any
) -> None:
    head = projects.push(app, "main", count=150, pull=True)
    found = gitlab().compare(MAIN, head, most=1000)
    assert (found.total, len(found.commits), found.is_complete) == (150, 150, True)
    assert len({commit.sha for commit in found.commits}) == 150
    assert all(commit.pull_request for commit in found.commits)
    cut = gitlab().compare(MAIN, head, most=comparing.PAGE)
    assert (len(cut.commits), cut.is_complete, cut.commits[0].sha) == (comparing.PAGE, False, head)
    assert "There are more commits: the newest 64 are listed." in cut.note


def test_merge_requests_that_may_not_be_read_make_it_incomplete(app: Project, gitlab: Any) -> None:
    app.merge_requests_enabled = False
    found = gitlab().compare(OLD, MAIN, most=100)
    assert (len(found.commits), found.is_complete) == (10, False)
    assert "Not all of their merge requests could be read" in found.note


def test_nothing_new_is_an_empty_comparison(gitlab: Any) -> None:
    found = gitlab().compare(MAIN, MAIN, most=10)
    assert (found.total, found.commits, found.is_complete) == (0, [], True)


# --- Releases -------------------------------------------------------------------------------------

DRAFT = ReleaseDraft(tag="v1.5.0", commit=MAIN, name="1.5.0", notes="- One")


def test_a_draft_is_an_upcoming_release_with_its_tag(
    state: Any, projects: Projects, app: Project, gitlab: Any
) -> None:
    lab = gitlab()
    assert lab.read_release("v1.5.0") is None
    made = lab.draft_release(DRAFT)
    assert (made.is_draft, made.commit) == (True, MAIN)
    assert made.url.endswith(f"/gitlab/{NAME}/-/releases/v1.5.0")
    assert lab.draft_release(DRAFT) == made == lab.read_release("v1.5.0")
    assert lab.read_tag("v1.5.0").commit == MAIN
    (release,) = projects.history_of(app).releases
    assert (release.name, release.body) == ("1.5.0", "- One")
    ahead = datetime.fromtimestamp(release.released_at, UTC) - datetime.now(UTC)
    assert ahead > timedelta(days=3650)
    assert len(state.ledger.of("release.created")) == 1


def test_a_tag_is_not_moved_for_another_commit(gitlab: Any) -> None:
    gitlab().draft_release(DRAFT)
    again = ReleaseDraft(tag="v1.5.0", commit=OLD, name="1.5.0", notes="- Two")
    error = refusal(lambda: gitlab().draft_release(again))
    assert (error.code, error.outcome) == ("tag_elsewhere", Outcome.REFUSED)
    assert f"at {MAIN[:7]} instead of {OLD[:7]}" in error.message


def test_a_release_that_was_published_is_left_alone(
    projects: Projects, app: Project, gitlab: Any
) -> None:
    gitlab().draft_release(DRAFT)
    (release,) = projects.history_of(app).releases
    release.released_at = 1.0
    again = ReleaseDraft(tag="v1.5.0", commit=OLD, name="1.5.0", notes="")
    assert not gitlab().draft_release(again).is_draft
    assert release.body == "- One"


def test_a_protected_tag_refuses_the_release(app: Project, gitlab: Any) -> None:
    app.protected.append(Protected("v*", "tags", NOBODY))
    error = refusal(lambda: gitlab().draft_release(DRAFT))
    assert (error.code, error.outcome) == ("rule_forbids", Outcome.REFUSED)
    assert "Protected tags" in error.hint
