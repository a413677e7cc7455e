"""What is in a release: the job that looks it up, the page, the API and the messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivr.effects.sweeper import sweep_until_idle
from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wired_to
from integrations.providers.slack.provider import Slack
from releases.messages.notices import Notice, render
from releases.models import Change, ChangeTicket, Release, RepositoryPart
from releases.repository import changes
from releases.repository.changes import read_changes, tickets_in
from releases.repository.notes import notes_of
from releases.repository.summary import summary_of
from releases.tests.pages import text_of
from sandbox.repositories import fake_sha

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

NAME, API = "dream11/app", "/api/v1"
MAIN, OLD = fake_sha(NAME, "main"), fake_sha(NAME, "release/1.4.0")


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def github(sandbox: Any) -> Any:
    return sandbox.state.github


def complete(release: Release, commit: str) -> Release:
    Release.objects.filter(pk=release.pk).update(status="BUILD_COMPLETE", branch_commit=commit)
    return fresh(release)


def look(release: Release, head: str = MAIN) -> RepositoryPart:
    """Its changes with the branch at `head`."""
    Release.objects.filter(pk=release.pk).update(branch_commit=head)
    parts = RepositoryPart.objects.filter(release=release)
    parts.update(look_at=timezone.now())
    read_changes(str(parts.get().pk))
    return parts.get()


@pytest.fixture
def release(wired: Wired) -> Release:
    """The second release: the first one was built at release/1.4.0."""
    complete(wired.release("ios"), OLD)
    return wired.release("ios")


def test_the_changes_since_the_last_release_are_kept(release: Release) -> None:
    part = look(release)
    assert (part.since, part.since_commit, part.head_commit) == ("1.5.1", OLD, MAIN)
    assert (part.total, part.listed, part.pull_requests) == (10, 10, 10)
    assert (part.missing, part.is_complete, part.look_at) == (1, True, None)
    newest = release.changes.first()
    assert newest is not None
    assert (newest.position, newest.sha, newest.pull_number) == (1, MAIN, 22)
    assert (newest.title, newest.author) == ("MOBILE-131 Restore purchases (#22)", "hubot")
    assert newest.tickets == ["MOBILE-131"]
    keys = set(ChangeTicket.objects.values_list("key", flat=True))
    assert {"MOBILE-120", "MOBILE-130"} <= keys  # from the text of a pull request
    assert not keys & {"UTF-8", "SHA-256", "MOBILE-102"}


def test_more_than_250_commits_are_all_kept(release: Release, github: Any) -> None:
    part = look(release, github.history.push(NAME, MAIN, count=300))
    assert (part.total, part.listed, part.is_complete) == (310, 310, True)
    assert Change.objects.filter(release=release).count() == 310


def test_a_list_that_is_cut_off_is_never_called_complete(
    release: Release, github: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", 20)
    part = look(release, github.history.push(NAME, MAIN, count=30))
    assert (part.total, part.listed, part.is_complete) == (40, 20, False)
    assert part.note == "20 of 40 commits are listed."
    assert summary_of(fresh(release)) == "40 commits since 1.5.1"
    assert "This list is not complete." in notes_of(fresh(release))


def test_a_look_at_the_same_commits_asks_nothing(release: Release, sandbox: Any) -> None:
    look(release)
    asked = sandbox.state.requests.count("github", "GET", "*/compare/*")
    look(release)
    assert sandbox.state.requests.count("github", "GET", "*/compare/*") == asked == 1


def test_the_branch_that_moved_is_looked_at_again(release: Release, github: Any) -> None:
    look(release)
    part = look(release, github.history.push(NAME, MAIN))
    assert (part.total, release.changes.count()) == (11, 11)


def test_the_first_release_asks_nothing(wired: Wired, sandbox: Any) -> None:
    part = look(wired.release("ios"))
    assert (part.total, part.look_at) == (None, None)
    assert sandbox.state.requests.count("github", "GET", "*/compare/*") == 0


@pytest.mark.parametrize("other", ["cancelled", "another app", "unfinished"])
def test_only_complete_releases_of_the_app_are_compared_with(wired: Wired, other: str) -> None:
    first = complete(wired.release("android" if other == "another app" else "ios"), OLD)
    if other == "another app":
        first.targets.update(app_identifier="com.example.other")
    else:
        Release.objects.filter(pk=first.pk).update(
            status="CANCELLED" if other == "cancelled" else "BUILD_FAILED"
        )
    assert look(wired.release("ios")).total is None


def test_a_passing_failure_keeps_what_was_found_and_looks_again(
    release: Release, sandbox: Any, github: Any
) -> None:
    look(release)
    sandbox.state.faults.add("status", provider="github", status=503, path="*/compare/*")
    part = look(release, github.history.push(NAME, MAIN))
    assert (part.total, part.is_complete) == (10, False)
    assert part.note.startswith("GitHub reported an internal error")
    assert part.look_at is not None
    assert part.look_at > timezone.now() + timedelta(minutes=1)


def test_a_refusal_is_told_and_not_repeated(release: Release, github: Any) -> None:
    github.rename(NAME, "dream11/mobile")
    part = look(release)
    assert (part.look_at, part.is_complete) == (None, False)
    assert "was renamed or moved" in part.note


def test_the_job_finds_what_is_due_by_itself(release: Release) -> None:
    sweep_until_idle()
    part = RepositoryPart.objects.get(release=release)
    assert part.look_at is None
    assert part.total  # the branch that the team cut has a commit of its own


def test_each_part_is_handed_to_one_worker(release: Release) -> None:
    RepositoryPart.objects.update(look_at=None)
    RepositoryPart.objects.filter(release=release).update(look_at=timezone.now())
    assert len(changes.due()) == 1
    assert changes.due() == []


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("APP-1 and APP-2, APP-1 again", ["APP-1", "APP-2"]),
        ("Fixes [AB_C2-77].", ["AB_C2-77"]),
        ("feature/APP-12-new-login", ["APP-12"]),
        ("UTF-8, SHA-256, CVE-2024-1, ISO-8601", []),
        ("app-1, X-APP-1, APP-0, APP-1x", []),
    ],
)
def test_tickets_are_found_in_text(text: str, keys: list[str]) -> None:
    assert tickets_in(text) == keys


# --- Shown ----------------------------------------------------------------------------------------


def test_the_page_shows_some_and_links_the_rest(member: Any, release: Release) -> None:
    look(release)
    text = text_of(member.get(f"/releases/{release.pk}"))
    assert "Changes 10 commits in 10 pull requests since 1.5.1" in text
    assert "1 commit from 1.5.1 is not in this release" in text
    assert text.count("#2") >= 3
    assert "Show the wallet" not in text
    assert (
        f'href="/releases/{release.pk}/changes"'
        in member.get(f"/releases/{release.pk}").content.decode()
    )


def test_the_page_of_changes_is_paged(member: Any, release: Release, github: Any) -> None:
    look(release, github.history.push(NAME, MAIN, count=30))
    first = member.get(f"/releases/{release.pk}/changes")
    assert len(first.context["lines"]) == 25
    second = member.get(f"/releases/{release.pk}/changes?page=2")
    assert len(second.context["lines"]) == 15
    assert "MOBILE-131 Restore purchases" in text_of(second)


def test_a_long_list_costs_no_more_queries(
    member: Any, release: Release, github: Any, django_assert_num_queries: Any
) -> None:
    def queries(path: str) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as caught:
            assert member.get(path).status_code == 200
        return len(caught)

    paths = [f"/releases/{release.pk}", f"/releases/{release.pk}/changes"]
    look(release)
    few = [queries(path) for path in paths]
    look(release, github.history.push(NAME, MAIN, count=300))
    assert [queries(path) for path in paths] == few


def test_titles_from_outside_are_text(member: Any, release: Release, github: Any) -> None:
    look(release, github.history.push(NAME, MAIN, message="<script>alert(1)</script> @everyone"))
    page = member.get(f"/releases/{release.pk}").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert r"\<script\>alert(1)\</script\> \@everyone" in notes_of(fresh(release))


def test_messages_tell_the_counts_with_a_link(release: Release, settings: Any) -> None:
    look(release)
    message = render(fresh(release), Notice.RELEASE_COMPLETE, {}, chat=Slack)
    link = f"<{settings.BASE_URL}/releases/{release.pk}/changes|"
    assert f"{link}10 commits in 10 pull requests since 1.5.1>" in message.detail
    assert message.text.startswith("🏁 Release 1.5.2: all builds complete")
    other = render(fresh(release), Notice.BUILD_STARTED, {"platform": "iOS"}, chat=Slack)
    assert "commits" not in other.detail


def test_the_notes_list_pull_requests_and_commits(release: Release, github: Any) -> None:
    look(release, github.history.push(NAME, MAIN, message="Say [hi](http://x)"))
    notes = notes_of(fresh(release)).splitlines()
    assert notes[0] == "## Changes since 1.5.1"
    assert notes[2].startswith(r"- Say \[hi\](http://x) ")
    assert notes[3] == "- MOBILE-131 Restore purchases #22"
    assert "- Log in with a passkey (MOBILE-120) #13" in notes


# --- The API --------------------------------------------------------------------------------------


def test_a_release_has_its_changes(api_for: Any, tenant: Any, release: Release) -> None:
    api = api_for(tenant, Role.VIEWER)
    empty = api.get(f"{API}/releases/{release.pk}").json()["changes"]
    assert (empty["from"], empty["commits"], empty["items"]) == (None, None, [])
    look(release)
    shown = api.get(f"{API}/releases/{release.pk}").json()["changes"]
    assert {name: shown[name] for name in ("from", "commits", "complete", "missing")} == {
        "from": "1.5.1",
        "commits": 10,
        "complete": True,
        "missing": 1,
    }
    assert shown["items"][0] == {
        "sha": MAIN,
        "title": "MOBILE-131 Restore purchases (#22)",
        "author": "hubot",
        "url": f"https://github.com/{NAME}/commit/{MAIN}",
        "pullRequest": {
            "number": 22,
            "title": "MOBILE-131 Restore purchases",
            "url": f"https://github.com/{NAME}/pull/22",
        },
        "tickets": ["MOBILE-131"],
    }


def test_all_changes_can_be_paged_through(
    api_for: Any, tenant: Any, release: Release, github: Any
) -> None:
    api = api_for(tenant, Role.VIEWER)
    look(release, github.history.push(NAME, MAIN, count=110))
    found: list[str] = []
    url = f"{API}/releases/{release.pk}/changes?limit=50"
    while url:
        page = api.get(url).json()
        found += [item["sha"] for item in page["results"]]
        url = page["next"]
    assert found == list(release.changes.values_list("sha", flat=True))
    assert len(found) == 120
    assert len(api.get(f"{API}/releases/{release.pk}").json()["changes"]["items"]) == 50


@pytest.mark.parametrize(
    "query", ["ticket=MOBILE-131", "ticket=mobile-131", f"sha={MAIN}", f"sha={MAIN[:7].upper()}"]
)
def test_a_ticket_and_a_commit_are_found_in_their_releases(
    api_for: Any, tenant: Any, release: Release, wired: Wired, query: str
) -> None:
    look(release)
    later = wired.release("ios")
    look(later)  # the one before is not complete: it has the same changes
    answer = api_for(tenant, Role.VIEWER).get(f"{API}/changes?{query}").json()
    assert [row["release"]["version"] for row in answer["results"]] == [
        later.version,
        release.version,
    ]
    assert {row["sha"] for row in answer["results"]} == {MAIN}


@pytest.mark.parametrize("query", ["", "ticket=A-1&sha=1234567", "sha=12345", "sha=xyzxyzx"])
def test_a_question_without_sense_is_refused(api_for: Any, tenant: Any, query: str) -> None:
    answer = api_for(tenant, Role.VIEWER).get(f"{API}/changes?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_another_workspace_finds_and_sees_nothing(
    api_for: Any, outsider: Any, release: Release
) -> None:
    look(release)
    other = api_for(factories.TenantFactory(), Role.OWNER)
    for query in ("ticket=MOBILE-131", f"sha={MAIN}"):
        assert other.get(f"{API}/changes?{query}").json() == {"results": [], "next": None}
    assert other.get(f"{API}/releases/{release.pk}/changes").status_code == 404
    assert outsider.get(f"/releases/{release.pk}/changes").status_code == 404
