"""Branches, tags, comparisons and releases, against the stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.github import comparing
from integrations.providers.github.provider import GitHub
from integrations.providers.scm import ReleaseDraft
from sandbox import accounts
from sandbox.history import Rule
from sandbox.repositories import fake_sha
from sandbox.server import SandboxServer

pytestmark = pytest.mark.usefixtures("sandbox")

NAME = "dream11/app"
MAIN, OLD = fake_sha(NAME, "main"), fake_sha(NAME, "release/1.4.0")
BRANCH = "release/1.5.0"


@pytest.fixture
def state(sandbox: SandboxServer) -> Any:
    return sandbox.state


@pytest.fixture
def history(state: Any) -> Any:
    return state.github.history.of[NAME]


def github(token: str = accounts.GITHUB_PUSH_TOKEN, repository: str = NAME) -> GitHub:
    return GitHub(repository_url=f"https://github.com/{repository}", access_token=token)


def refusal(call: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def cut() -> Any:
    return github().create_branch(BRANCH, commit=MAIN)


# --- Branches and tags ----------------------------------------------------------------------------


def test_a_branch_is_created_once(state: Any) -> None:
    assert github().read_branch(BRANCH) is None
    made = cut()
    assert (made.commit, made.url) == (MAIN, f"https://github.com/{NAME}/tree/{BRANCH}")
    assert cut() == made == github().read_branch(BRANCH)
    assert len(state.ledger.of("ref.created")) == 1


def test_a_branch_at_another_commit_is_told_with_both(state: Any) -> None:
    github().create_branch(BRANCH, commit=OLD)
    error = refusal(cut)
    assert (error.code, error.outcome) == ("branch_elsewhere", Outcome.REFUSED)
    assert f"at {OLD[:7]} instead of {MAIN[:7]}" in error.message
    assert len(state.ledger.of("ref.created")) == 1


@pytest.mark.parametrize("source", ["", "dream11"])
def test_a_ruleset_is_named(history: Any, source: str) -> None:
    history.rules.append(Rule(id=77, pattern="release/*", source=source))
    error = refusal(cut)
    assert (error.code, error.outcome) == ("rule_forbids", Outcome.REFUSED)
    assert f"Ruleset 77 of {source or NAME} does not allow creating {BRANCH}." in error.message
    assert "bypass list" in error.hint


def test_a_ruleset_for_tags_is_told_too(history: Any) -> None:
    history.rules.append(Rule(id=78, pattern="v*", kind="tags"))
    error = refusal(lambda: github().create_tag("v1.5.0", commit=MAIN))
    assert (error.code, error.outcome) == ("rule_forbids", Outcome.REFUSED)


def test_a_folder_of_that_name_is_told() -> None:
    github().create_branch("release/1.5.0/fix", commit=MAIN)
    error = refusal(cut)
    assert error.code == "name_in_the_way"
    assert "while release/1.5.0/fix exists" in error.message
    assert "release/1.4.0" in refusal(lambda: _at_release(MAIN)).message


def _at_release(commit: str) -> Any:
    return github().create_branch("release", commit=commit)


def test_a_commit_that_is_gone_is_told() -> None:
    error = refusal(lambda: github().create_branch(BRANCH, commit="0" * 40))
    assert (error.code, error.outcome) == ("commit_gone", Outcome.REFUSED)


def test_a_missing_right_waits_for_better_credentials(state: Any, history: Any) -> None:
    reader = github(accounts.GITHUB_READ_TOKEN)
    error = refusal(lambda: reader.create_branch(BRANCH, commit=MAIN))
    assert (error.code, error.outcome) == ("forbidden", Outcome.CREDENTIALS)
    history.touches_workflows = True
    error = refusal(cut)
    assert (error.code, error.outcome) == ("workflows_permission", Outcome.CREDENTIALS)
    assert "Workflows permission" in error.hint
    assert not state.ledger.of("ref.created")


def test_a_renamed_repository_is_told_and_not_followed(state: Any) -> None:
    state.github.rename(NAME, "dream11/mobile")
    for call in (
        cut,
        lambda: github().read_branch(BRANCH),
        lambda: github().default_branch(),
        lambda: github().compare(OLD, MAIN, most=10),
        lambda: github().read_release("v1"),
    ):
        error = refusal(call)
        assert (error.code, error.outcome) == ("repository_moved", Outcome.REFUSED)
        assert "enter its current address" in error.hint
    assert not state.ledger.of("ref.created")
    assert github(repository="dream11/mobile").default_branch() == "main"


def test_an_archived_repository_is_told() -> None:
    error = refusal(
        lambda: github(repository="dream11/legacy-app").create_branch(BRANCH, commit=MAIN)
    )
    assert (error.code, error.outcome) == ("archived", Outcome.REFUSED)


def test_an_unknown_repository_is_no_missing_branch() -> None:
    error = refusal(lambda: github(repository="rival/secret-app").read_branch("main"))
    assert error.code == "repository_not_found"


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after"])
def test_a_lost_answer_stays_uncertain(state: Any, kind: str) -> None:
    state.faults.add(kind, provider="github", method="POST", count=1, seconds=30)
    hub = github()
    hub.deadline = 1.0
    assert refusal(lambda: hub.create_branch(BRANCH, commit=MAIN)).outcome is Outcome.UNCERTAIN
    found = github().read_branch(BRANCH)
    assert found is not None
    assert found.commit == MAIN


def test_a_lost_look_after_a_refusal_sent_nothing(state: Any) -> None:
    github().create_branch(BRANCH, commit=OLD)
    state.faults.add("drop_after", provider="github", method="GET", count=1)
    assert refusal(cut).outcome is Outcome.NOT_SENT


def test_an_annotated_tag_is_read_by_its_commit(state: Any, history: Any) -> None:
    history.tags["a" * 40] = MAIN
    state.github.refs[NAME]["refs/tags/v1.5.0"] = "a" * 40
    found = github().read_tag("v1.5.0")
    assert found is not None
    assert found.commit == MAIN
    assert github().create_tag("v1.5.0", commit=MAIN) == found
    assert refusal(lambda: github().create_tag("v1.5.0", commit=OLD)).code == "tag_elsewhere"


# --- Comparisons ----------------------------------------------------------------------------------


def test_a_comparison_lists_commits_with_their_pull_requests() -> None:
    found = github().compare(OLD, MAIN, most=100)
    assert (found.total, found.behind, found.is_complete, found.note) == (10, 1, True, "")
    newest = found.commits[0]
    assert (newest.sha, newest.author) == (MAIN, "hubot")
    assert newest.message == "MOBILE-131 Restore purchases (#22)"
    pull = newest.pull_request
    assert pull is not None
    assert (pull.number, pull.title) == (22, "MOBILE-131 Restore purchases")
    assert pull.url == f"https://github.com/{NAME}/pull/22"
    assert "mobile-131-restore-purchases" in pull.text
    assert [c.pull_request.number for c in found.commits if c.pull_request] == list(
        range(22, 12, -1)
    )


def test_more_than_250_commits_are_paged(state: Any) -> None:
    head = state.github.history.push(NAME, MAIN, count=300, pull=True)
    found = github().compare(MAIN, head, most=1000)
    assert (found.total, len(found.commits), found.is_complete) == (300, 300, True)
    assert len({commit.sha for commit in found.commits}) == 300
    assert found.commits[0].sha == head
    assert all(commit.pull_request for commit in found.commits)
    pages = state.requests.select(provider="github", method="GET", path="*/compare/*")
    assert len(pages) == 300 // comparing.PAGE + 1


def test_what_is_cut_off_is_told_and_the_newest_are_kept(state: Any) -> None:
    head = state.github.history.push(NAME, MAIN, count=300)
    found = github().compare(MAIN, head, most=100)
    assert (found.total, len(found.commits), found.is_complete) == (300, 100, False)
    assert found.commits[0].sha == head
    assert "100 of 300 commits are listed." in found.note


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 130])
def test_a_comparison_with_huge_changes_is_complete_too(
    state: Any, history: Any, count: int
) -> None:
    history.changed_files, history.patch_size = 300, 5000  # more than is read at once
    head = state.github.history.push(NAME, MAIN, count=count)
    found = github().compare(MAIN, head, most=1000)
    shas = [commit.sha for commit in found.commits]
    assert (found.total, found.is_complete, found.note) == (count, True, "")
    assert shas == [c.sha for c in history.only_in(head, MAIN)][::-1]


def test_pull_requests_that_may_not_be_read_make_it_incomplete(history: Any) -> None:
    history.hides_pulls = True
    found = github().compare(OLD, MAIN, most=100)
    assert not found.is_complete
    assert "Not all of their pull requests could be read: Resource not accessible" in found.note
    pull = found.commits[0].pull_request
    assert pull is not None
    assert (pull.number, pull.author) == (22, "")  # from the title


def test_nothing_new_is_an_empty_comparison() -> None:
    found = github().compare(MAIN, MAIN, most=10)
    assert (found.total, found.commits, found.is_complete) == (0, [], True)


def test_a_comparison_works_on_an_enterprise_server(sandbox: SandboxServer) -> None:
    hub = GitHub(repository_url=f"{sandbox.url}/{NAME}", access_token=accounts.GITHUB_PUSH_TOKEN)
    found = hub.compare(OLD, MAIN, most=100)
    assert found.is_complete
    assert found.commits[0].url == f"{sandbox.url}/{NAME}/commit/{MAIN}"


# --- Releases -------------------------------------------------------------------------------------

DRAFT = ReleaseDraft(tag="v1.5.0", commit=MAIN, name="1.5.0", notes="- One")


def test_a_draft_is_created_once_and_creates_no_tag(state: Any, history: Any) -> None:
    assert github().read_release("v1.5.0") is None
    made = github().draft_release(DRAFT)
    assert (made.is_draft, made.commit) == (True, MAIN)
    assert github().draft_release(DRAFT) == made == github().read_release("v1.5.0")
    assert [release.body for release in history.releases] == ["- One"]
    assert not state.ledger.of("ref.created")


def test_a_draft_is_pointed_at_another_commit_with_its_notes_kept(history: Any) -> None:
    github().draft_release(DRAFT)
    history.releases[0].body = "Edited"
    again = ReleaseDraft(tag="v1.5.0", commit=OLD, name="1.5.0", notes="- Two")
    assert github().draft_release(again).commit == OLD
    assert [(r.target, r.body) for r in history.releases] == [(OLD, "Edited")]


def test_a_published_release_is_left_alone(history: Any) -> None:
    github().draft_release(DRAFT)
    history.releases[0].draft = False
    again = ReleaseDraft(tag="v1.5.0", commit=OLD, name="1.5.0", notes="")
    assert not github().draft_release(again).is_draft
    assert [r.target for r in history.releases] == [MAIN]


def test_the_404_of_a_release_is_translated(history: Any) -> None:
    history.touches_workflows = True
    error = refusal(lambda: github().draft_release(DRAFT))
    assert (error.code, error.outcome) == ("release_forbidden", Outcome.CREDENTIALS)
    assert "Workflows" in error.hint
    assert not history.releases
