"""TestFlight and notifications through the real provider, against the stand-in over HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest

from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from integrations import store_webhooks
from integrations.providers.stores import Act
from releases.models import Release
from releases.tests.pages import Setup
from sandbox.apple import builds, notifications, reviews, testflight
from sandbox.server import SandboxServer
from submissions.models import Submission
from submissions.operations import act_on, refusal_of, submit
from submissions.plans import Wishes
from submissions.tests.conftest import effects_of, run_all
from submissions.tests.test_apple import BUILD, apple, fresh, look, row

__all__ = ["apple", "row"]
pytestmark = [pytest.mark.django_db, pytest.mark.slow]
OTHER = "56"


@pytest.fixture
def held_up(apple: Any, setup: Setup, release: Release) -> Submission:
    """A submission that waits for the beta review of another build."""
    builds.finish(apple, other := builds.upload(apple, release.version, OTHER))
    builds.change(apple, other, {"usesNonExemptEncryption": False})
    groups = [g for g in apple.records.all("betaGroups") if g["name"] == "Public beta"]
    testflight.add_to_groups(apple, other, groups)
    testflight.submit(apple, other)
    wishes = Wishes(
        store_build=BUILD,
        testflight_groups=["Public beta"],
        notes={"en-US": "Faster."},
        uses_encryption=False,
    )
    made = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)
    step_until(made, "beta_review")
    return fresh(made)


def run(effect: Effect) -> Effect:
    Effect.objects.filter(pk=effect.pk).update(next_at=effect.created_at)
    run_effect(effect.pk)
    return Effect.objects.get(pk=effect.pk)


def step_until(made: Submission, name: str) -> None:
    for _ in range(20):
        (effect,) = [one for one in effects_of(made) if one.is_open]
        if run(effect).payload["step"] == name:
            return
    raise AssertionError(f"never came to {name}")


def expired(apple: Any) -> list[str]:
    return [build["version"] for build in apple.records.all("builds") if build["expired"]]


def test_the_build_in_the_way_is_expired_and_the_submission_goes_on(
    held_up: Submission, sandbox: SandboxServer, apple: Any
) -> None:
    given = {"provider": "app_store", "method": "PATCH", "path": "/v1/builds/*", "count": 1}
    sandbox.state.faults.add("drop_after", **given)
    act_on(submission=held_up, act=Act.EXPIRE, actor=None, seen=held_up.acts)
    with pytest.raises(Conflict):  # a second click on the same page
        act_on(submission=held_up, act=Act.EXPIRE, actor=None, seen=held_up.acts)
    for effect in effects_of(held_up):
        if effect.kind == "store.act":
            while run(effect).is_open:
                pass
    assert expired(apple) == [OTHER]
    assert refusal_of(fresh(held_up), Act.EXPIRE)
    assert fresh(held_up).events.filter(what="Build 56 was expired").count() == 1
    steps = [e for e in effects_of(held_up) if e.kind == "store.step" and e.is_open]
    assert run(steps[0]).state == "DONE"
    assert apple.records.all("betaAppReviewSubmissions")[-1].id


def test_nothing_is_expired_where_nothing_is_in_the_way(row: Submission, apple: Any) -> None:
    with pytest.raises(Conflict) as refused:
        act_on(submission=row, act=Act.EXPIRE, actor=None)
    assert refused.value.code == "not_possible"
    assert expired(apple) == []


def told(sandbox: SandboxServer) -> int:
    return len(sandbox.state.ledger.of("beta.notified"))


@pytest.mark.parametrize("is_lost", [False, True])
def test_testers_are_told_once(
    apple: Any, setup: Setup, release: Release, sandbox: SandboxServer, is_lost: bool
) -> None:
    wishes = Wishes(
        store_build=BUILD,
        testflight_groups=["Public beta"],
        notes={"en-US": "Faster."},
        uses_encryption=False,
    )
    made = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)
    step_until(made, "beta_review")
    (tell,) = [one for one in effects_of(made) if one.kind == "store.tell_testers"]
    assert (run(tell).state, told(sandbox)) == ("PENDING", 0)
    testflight.rule(apple, apple.records.all("betaAppReviewSubmissions")[-1], "APPROVED")
    if is_lost:
        given = {"provider": "app_store", "method": "POST", "path": "/v1/buildBetaNotifications"}
        sandbox.state.faults.add("drop_after", **given, count=1)
    for _ in range(8):
        tell = run(tell)
    assert (tell.is_open and not is_lost, told(sandbox)) == (False, 1)


@pytest.mark.django_db(transaction=True)
def test_apple_rings_and_the_submission_changes(
    row: Submission, setup: Setup, sandbox: SandboxServer, apple: Any, live_server: Any
) -> None:
    run_all(row)
    assert look(row).state == "WAITING_FOR_REVIEW"
    secret = store_webhooks.replace(setup.ios, actor=None)
    url = f"{live_server.url}/api/v1/webhooks/app-store/{setup.ios.pk}"
    before = fresh(row).read_at
    with sandbox.state.lock:
        notifications.connect(apple, url, secret)
        reviews.start(apple, apple.records.all("reviewSubmissions")[-1])
    until = time.monotonic() + 10
    while fresh(row).notified_at is None and time.monotonic() < until:
        time.sleep(0.05)
    after = fresh(row).read_at
    assert before is not None
    assert after is not None
    assert after < before
    heard = store_webhooks.heard(setup.ios)
    assert heard is not None
    assert heard.event == "appStoreVersionAppVersionStateUpdated"
    assert look(row).state == "IN_REVIEW"
