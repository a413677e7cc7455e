"""What a release does in its repository: lost answers, refusals, and builds that wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.cancelling import cancel_build, cancel_release
from builds.tests.polling import polled
from builds.tests.rerunning import rerun, rerun_when_settled
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect, resume_integration, retry_effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.api import present_release
from releases.models import Release, RepositoryPart
from releases.operations import create_release
from releases.overview import overview
from releases.repository.acts import built
from releases.repository.changes import read_changes
from releases.repository.steps import STEPS, Wishes
from releases.tests.new_release import values_of
from sandbox.history import Rule
from sandbox.repositories import fake_sha

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

NAME = "dream11/app"
MAIN = fake_sha(NAME, "main")
CREATE = {"provider": "github", "method": "POST", "path": "*/git/refs", "count": 1}
DRAFT = {"provider": "github", "method": "POST", "path": "*/releases", "count": 1}
LOST = ["drop_after", "drop_before"]  # after GitHub did it, and before


@pytest.fixture
def github(sandbox: Any) -> Any:
    return sandbox.state.github


@pytest.fixture
def history(github: Any) -> Any:
    return github.history.of[NAME]


def plan(wired: Wired, *steps: str, base: str = "", version: str = "1.5.0") -> Release:
    """A release for iOS with these steps in the repository."""
    wishes = Wishes(base, {name: name in steps for name in STEPS})
    values = values_of(wired, version=version, communication_ids=[], ticket_id=None)
    values["target_ids"], values["pipeline_ids"] = (
        values["target_ids"][:1],
        [wired.pipelines["ios"].pk],
    )
    return create_release(**values, wishes=wishes)


def effect_of(release: Release, kind: str) -> Effect:
    found: Effect = Effect.objects.filter(release_id=release.pk, kind=kind).latest("created_at")
    return found


def run(release: Release, kind: str) -> Effect:
    effect = effect_of(release, kind)
    run_effect(effect.pk)
    return effect_of(release, kind)


def part(release: Release) -> RepositoryPart:
    return RepositoryPart.objects.get(release=release)


def codes(release: Release) -> list[str]:
    shown: Any = present_release(release.tenant_id, release.pk)
    return [blocker["code"] for blocker in shown["blockers"]]


def finish(release: Release, sandbox: Any) -> Release:
    """Trigger the iOS build and let it succeed."""
    (build,) = trigger_builds(release=fresh(release), actor=None, again=True)
    run_effect(trigger_of(build).pk)
    sandbox.state.advance(60)
    number = polled(build, 3).number
    sandbox.state.jenkins.finish("ios-prod", number, "SUCCESS")
    polled(build)
    assert fresh(release).status == "BUILD_COMPLETE"
    return fresh(release)


def refs(sandbox: Any, ref: str) -> int:
    return len(sandbox.state.ledger.of("ref.created", ref=ref))


# --- Off by default -------------------------------------------------------------------------------


def test_a_new_workspace_does_nothing_in_the_repository(wired: Wired, sandbox: Any) -> None:
    release = finish(wired.release("ios"), sandbox)
    assert not Effect.objects.filter(release_id=release.pk, kind__startswith="scm.").exists()
    assert not sandbox.state.ledger.of("ref.created")
    posts = sandbox.state.requests.select(provider="github", method="POST", path="*/git/*")
    assert posts == []


# --- The branch -----------------------------------------------------------------------------------


def test_the_branch_is_cut_from_the_default_branch(wired: Wired, github: Any) -> None:
    release = plan(wired, "creates_branch")
    assert run(release, "scm.create_branch").state == EffectState.DONE
    assert github.refs[NAME]["refs/heads/release/1.5.0"] == MAIN
    assert (part(release).base_branch, part(release).commit) == ("main", MAIN)
    assert (fresh(release).branch_exists, fresh(release).branch_commit) == (True, MAIN)
    shown: Any = present_release(release.tenant_id, release.pk)
    assert (shown["commit"], shown["baseBranch"]) == (MAIN, "main")


def test_the_branch_is_cut_from_the_chosen_base(wired: Wired) -> None:
    release = plan(wired, "creates_branch", base="develop")
    run(release, "scm.create_branch")
    assert part(release).commit == fake_sha(NAME, "develop")


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_creates_the_branch_once(wired: Wired, sandbox: Any, kind: str) -> None:
    sandbox.state.faults.add(kind, **CREATE)
    release = plan(wired, "creates_branch")
    effect = run(release, "scm.create_branch")
    assert (effect.state, effect.dispatched_at is None) == (EffectState.PENDING, False)
    assert rerun_when_settled(effect).state == EffectState.DONE
    assert refs(sandbox, "refs/heads/release/1.5.0") == 1
    assert part(release).commit == MAIN


def test_a_base_that_moves_meanwhile_does_not_move_the_plan(
    wired: Wired, sandbox: Any, github: Any
) -> None:
    sandbox.state.faults.add("status", status=503, **CREATE)
    release = plan(wired, "creates_branch")
    effect = run(release, "scm.create_branch")
    github.refs[NAME]["refs/heads/main"] = github.history.push(NAME, MAIN)
    assert rerun_when_settled(effect).state == EffectState.DONE
    assert part(release).commit == MAIN


def test_a_lost_branch_that_got_commits_meanwhile_is_ours(
    wired: Wired, sandbox: Any, github: Any
) -> None:
    sandbox.state.faults.add("drop_after", **CREATE)
    release = plan(wired, "creates_branch")
    effect = run(release, "scm.create_branch")
    github.refs[NAME]["refs/heads/release/1.5.0"] = pushed = github.history.push(NAME, MAIN)
    assert rerun(effect).state == EffectState.DONE
    assert (part(release).commit, fresh(release).branch_commit) == (MAIN, pushed)


def test_somebody_elses_branch_at_another_commit_is_shown_to_a_person(
    wired: Wired, github: Any
) -> None:
    repo = github.find("dream11", "app")
    github.create_ref(repo, "refs/heads/release/1.5.0", fake_sha(NAME, "develop"))
    release = plan(wired, "creates_branch")
    effect = run(release, "scm.create_branch")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "branch_elsewhere")
    assert part(release).commit == ""
    assert codes(release) == ["waiting_for_person"]


def test_a_branch_that_is_there_at_the_commit_is_a_success(wired: Wired, github: Any) -> None:
    github.create_ref(github.find("dream11", "app"), "refs/heads/release/1.5.0", MAIN)
    release = plan(wired, "creates_branch")
    assert run(release, "scm.create_branch").state == EffectState.DONE
    assert part(release).commit == MAIN


def test_a_missing_base_is_told_and_found_by_a_retry(wired: Wired, github: Any) -> None:
    release = plan(wired, "creates_branch", base="next")
    effect = run(release, "scm.create_branch")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "base_missing")
    github.create_ref(github.find("dream11", "app"), "refs/heads/next", MAIN)
    retry_effect(effect=effect, actor=None)
    assert run(release, "scm.create_branch").state == EffectState.DONE


def test_a_retry_after_a_ruleset_looks_the_base_up_again(
    wired: Wired, github: Any, history: Any
) -> None:
    history.rules.append(Rule(id=7, pattern="release/*"))
    release = plan(wired, "creates_branch")
    effect = run(release, "scm.create_branch")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "rule_forbids")
    history.rules.clear()
    github.refs[NAME]["refs/heads/main"] = newer = github.history.push(NAME, MAIN)
    retry_effect(effect=effect, actor=None)
    assert run(release, "scm.create_branch").state == EffectState.DONE
    assert part(release).commit == newer


def test_a_missing_right_waits_for_the_connection(wired: Wired, history: Any) -> None:
    history.touches_workflows = True
    release = plan(wired, "creates_branch")
    effect = run(release, "scm.create_branch")
    assert (effect.state, effect.last_error_code) == (EffectState.PENDING, "workflows_permission")
    shown: Any = present_release(release.tenant_id, release.pk)
    areas = {blocker["code"]: blocker["area"] for blocker in shown["blockers"]}
    assert areas["credentials_refused"] == "build"
    history.touches_workflows = False
    resume_integration(tenant=wired.tenant, integration_id=wired.scm.pk)
    assert run(release, "scm.create_branch").state == EffectState.DONE


def test_a_cancelled_release_cuts_no_branch(wired: Wired, sandbox: Any) -> None:
    release = plan(wired, "creates_branch")
    cancel_release(release=release, actor=None)
    assert run(release, "scm.create_branch").state == EffectState.CANCELLED
    assert not sandbox.state.ledger.of("ref.created")


# --- Builds wait for it ---------------------------------------------------------------------------


def test_a_build_waits_for_its_branch_and_says_so(wired: Wired, sandbox: Any) -> None:
    release = plan(wired, "creates_branch")
    (build,) = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    assert (fresh(build).status, trigger_of(build).state) == ("TRIGGERING", EffectState.PENDING)
    assert "waiting_for_branch" in codes(release)
    assert not sandbox.state.ledger.of("build.queued")
    run(release, "scm.create_branch")
    assert "waiting_for_branch" not in codes(release)
    assert trigger_of(build).next_at <= timezone.now()  # woken
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "QUEUED"
    assert len(sandbox.state.ledger.of("build.queued")) == 1


def test_a_build_waits_for_a_person_if_the_branch_cannot_be_created(
    wired: Wired, sandbox: Any, history: Any
) -> None:
    history.rules.append(Rule(id=7, pattern="release/*"))
    release = plan(wired, "creates_branch")
    (build,) = trigger_builds(release=release, actor=None)
    effect = run(release, "scm.create_branch")
    assert effect.state == EffectState.DEAD
    waiting = rerun(trigger_of(build))
    assert (fresh(build).status, waiting.next_at) == ("TRIGGERING", waiting.expires_at)
    assert {"waiting_for_branch", "waiting_for_person"} <= set(codes(release))
    effects = list(Effect.objects.filter(release_id=release.pk))
    loaded = Release.objects.with_everything().get(pk=release.pk)
    shown = overview(loaded, effects, now=timezone.now())
    assert shown.advice.startswith("The branch could not be created")
    github = sandbox.state.github
    github.create_ref(github.find("dream11", "app"), "refs/heads/release/1.5.0", MAIN)
    cancel_effect(effect=effect, actor=None)  # a person created it by hand
    assert trigger_of(build).next_at <= timezone.now()
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "QUEUED"


def test_a_retried_branch_wakes_the_builds_that_wait_for_a_person(
    wired: Wired, history: Any
) -> None:
    history.rules.append(Rule(id=7, pattern="release/*"))
    release = plan(wired, "creates_branch")
    (build,) = trigger_builds(release=release, actor=None)
    effect = run(release, "scm.create_branch")
    rerun(trigger_of(build), last_error_code="expired")  # as after an earlier end of its time
    history.rules.clear()
    retry_effect(effect=effect, actor=None)
    run(release, "scm.create_branch")
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "QUEUED"


def test_a_cancelled_build_does_not_wait_for_its_branch(wired: Wired, history: Any) -> None:
    history.rules.append(Rule(id=7, pattern="release/*"))
    release = plan(wired, "creates_branch")
    (build,) = trigger_builds(release=release, actor=None)
    run(release, "scm.create_branch")
    rerun(trigger_of(build))
    cancel_build(build=build, actor=None)
    run_effect(trigger_of(build).pk)
    assert trigger_of(build).state == EffectState.CANCELLED


# --- The tag and the draft ------------------------------------------------------------------------


def test_the_built_commit_is_tagged_and_a_release_drafted(
    wired: Wired, sandbox: Any, github: Any, history: Any
) -> None:
    release = plan(wired, *STEPS)
    run(release, "scm.create_branch")
    branch = "refs/heads/release/1.5.0"
    github.refs[NAME][branch] = pushed = github.history.push(NAME, MAIN, message="Fix it")
    finish(release, sandbox)
    assert run(release, "scm.tag").state == EffectState.DONE
    assert github.refs[NAME]["refs/tags/v1.5.0"] == pushed  # built, not where it was cut
    read_changes(str(part(release).pk))
    assert run(release, "scm.draft_release").state == EffectState.DONE
    (draft,) = history.releases
    assert (draft.tag, draft.target, draft.draft) == ("v1.5.0", pushed, True)
    shown: Any = present_release(release.tenant_id, release.pk)
    assert (shown["tag"], shown["commit"]) == ("v1.5.0", MAIN)
    assert shown["tagUrl"] == f"https://github.com/{NAME}/releases/tag/v1.5.0"
    assert shown["scmReleaseUrl"].startswith(f"https://github.com/{NAME}/releases/tag/untagged-")
    kinds = [item["kind"] for item in shown["timeline"]]
    assert kinds.count("REPOSITORY") == 3


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_tags_once(wired: Wired, sandbox: Any, kind: str) -> None:
    release = finish(plan(wired, "makes_tag"), sandbox)
    sandbox.state.faults.add(kind, **CREATE)
    effect = run(release, "scm.tag")
    assert effect.state == EffectState.PENDING
    assert rerun_when_settled(effect).state == EffectState.DONE
    assert refs(sandbox, "refs/tags/v1.5.0") == 1


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_drafts_once(wired: Wired, sandbox: Any, history: Any, kind: str) -> None:
    release = finish(plan(wired, "drafts_release"), sandbox)
    read_changes(str(part(release).pk))
    sandbox.state.faults.add(kind, **DRAFT)
    effect = run(release, "scm.draft_release")
    assert effect.state == EffectState.PENDING
    assert rerun_when_settled(effect).state == EffectState.DONE
    assert len(history.releases) == 1
    assert "refs/tags/v1.5.0" not in sandbox.state.github.refs[NAME]


def test_a_tag_on_an_earlier_candidate_is_shown_to_a_person(
    wired: Wired, sandbox: Any, github: Any
) -> None:
    release = plan(wired, "creates_branch", "makes_tag")
    run(release, "scm.create_branch")
    finish(release, sandbox)
    assert run(release, "scm.tag").state == EffectState.DONE
    github.refs[NAME]["refs/heads/release/1.5.0"] = github.history.push(NAME, MAIN)
    finish(release, sandbox)
    effect = run(release, "scm.tag")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "tag_elsewhere")
    assert github.refs[NAME]["refs/tags/v1.5.0"] == MAIN
    assert part(release).tagged_commit == MAIN


def test_a_draft_follows_to_the_next_candidate(
    wired: Wired, sandbox: Any, github: Any, history: Any
) -> None:
    release = plan(wired, "creates_branch", "drafts_release")
    run(release, "scm.create_branch")
    for _candidate in range(2):
        finish(release, sandbox)
        read_changes(str(part(release).pk))
        assert run(release, "scm.draft_release").state == EffectState.DONE
        built = github.refs[NAME]["refs/heads/release/1.5.0"]
        assert [draft.target for draft in history.releases] == [built]
        github.refs[NAME]["refs/heads/release/1.5.0"] = github.history.push(NAME, built)


def test_nothing_is_tagged_while_it_is_built_again(wired: Wired, sandbox: Any) -> None:
    release = finish(plan(wired, "makes_tag"), sandbox)
    trigger_builds(release=release, actor=None, again=True)
    assert run(release, "scm.tag").state == EffectState.CANCELLED
    assert not sandbox.state.ledger.of("ref.created")


def test_builds_of_different_commits_are_not_tagged(wired: Wired, sandbox: Any) -> None:
    release = finish(plan(wired, "makes_tag"), sandbox)
    other = wired.pipelines["android"]
    row = release.pipelines.create(
        tenant=release.tenant, pipeline=other, platform="ANDROID", job_path=other.job
    )
    row.builds.create(tenant=release.tenant, attempt=1, status="SUCCESS", commit="b" * 40)
    effect = effect_of(release, "scm.tag")
    effect.payload |= {"commit": "", "reason": "The builds were made from different commits."}
    effect.save()
    run_effect(effect.pk)
    effect = effect_of(release, "scm.tag")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "commit_unknown")
    retry_effect(effect=effect, actor=None)
    effect = run(release, "scm.tag")
    assert effect.state == EffectState.DEAD
    assert "Android bbbbbbb" in effect.last_error
    assert not sandbox.state.ledger.of("ref.created")


def test_without_a_reported_commit_the_branchs_head_at_the_trigger_is_tagged(
    wired: Wired, sandbox: Any
) -> None:
    release = finish(plan(wired), sandbox)
    release.pipelines.get().builds.update(commit="")
    assert built(fresh(release)).commit == fresh(release).branch_commit != ""


def test_a_draft_waits_for_the_list_of_changes(wired: Wired, sandbox: Any, history: Any) -> None:
    release = finish(plan(wired, "drafts_release"), sandbox)
    assert part(release).look_at is not None
    assert run(release, "scm.draft_release").state == EffectState.PENDING
    assert not history.releases
    Effect.objects.filter(release_id=release.pk, kind="scm.draft_release").update(
        created_at=timezone.now() - timedelta(minutes=3)
    )
    assert rerun(effect_of(release, "scm.draft_release")).state == EffectState.DONE
