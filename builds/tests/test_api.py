"""The API of builds, effects and deliveries: triggering, conflicts, roles and strangers."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from builds.models import Build, WebhookDelivery
from builds.triggering import trigger_builds
from delivr.effects.models import Effect
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wire
from releases.models import Release, ReleasePipeline

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

NOWHERE = "http://127.0.0.1:1"
BUILD = {
    "id",
    "commit",
    "stillRunningAt",
    "pipelineId",
    "platform",
    "attempt",
    "candidate",
    "buildStatus",
    "buildNumber",
    "buildUrl",
    "queueId",
    "queueReason",
    "reportedStatus",
    "artifacts",
    "artifactUrl",
    "createdAt",
    "startedAt",
    "finishedAt",
    "estimatedMs",
    "logExcerpt",
    "logError",
    "retries",
}


@pytest.fixture
def wired(tenant: Tenant) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def release(wired: Wired) -> Release:
    return wired.release()


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.MEMBER)
    return client


def url(release: Release) -> str:
    return f"/api/v1/releases/{release.pk}/builds"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    return body


# --- Trigger -------------------------------------------------------------------------------------


def test_a_trigger_answers_with_the_builds(api: APIClient, release: Release) -> None:
    answer = api.post(url(release), {})
    assert answer.status_code == 202
    builds = answer.json()["builds"]
    assert [b["platform"] for b in builds] == ["IOS", "ANDROID"]
    for build in builds:
        assert set(build) == BUILD
        assert build["id"].startswith("bld_")
        assert (build["buildStatus"], build["buildNumber"]) == ("TRIGGERING", None)


@pytest.mark.parametrize("how", ["pipelineId", "platform", "both"])
def test_one_build_may_be_chosen(api: APIClient, release: Release, wired: Wired, how: str) -> None:
    body = {"pipelineId": wired.pipelines["android"].pk, "platform": "ANDROID"}
    wish = body if how == "both" else {how: body[how]}
    (build,) = api.post(url(release), wish).json()["builds"]
    assert build["platform"] == "ANDROID"


def test_a_second_click_is_a_conflict(api: APIClient, release: Release) -> None:
    api.post(url(release), {})
    problem(api.post(url(release), {}), 409, "build_in_progress")
    problem(api.post(url(release), {"platform": "IOS"}), 409, "build_in_progress")
    assert Build.objects.count() == 2


def test_what_is_built_is_not_built_again(api: APIClient, release: Release) -> None:
    ReleasePipeline.objects.update(build_status="SUCCESS")
    problem(api.post(url(release), {}), 409, "already_built")


def test_a_cancelled_release_is_not_built(api: APIClient, release: Release) -> None:
    Release.objects.update(status="CANCELLED")
    problem(api.post(url(release), {}), 409, "release_cancelled")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"platform": "WINDOWS"}, "platform"),
        ({"platform": "ios"}, "platform"),
        ({"platform": None}, "platform"),
        ({"platform": ["IOS"]}, "platform"),
        ({"pipelineId": ""}, "pipelineId"),
        ({"pipelineId": None}, "pipelineId"),
        ({"pipelineId": 7}, "pipelineId"),
        ({"pipelineId": {}}, "pipelineId"),
        ({"pipelineId": "pipeline_jenkins_x"}, "pipelineId"),
        ({"pipelineId": "x" * 61}, "pipelineId"),
        ({"pipeline_id": "x"}, "pipeline_id"),
        ({"all": True}, "all"),
    ],
)
def test_invalid_values_are_named_by_field(
    api: APIClient, release: Release, body: dict[str, Any], field: str
) -> None:
    assert set(problem(api.post(url(release), body), 400, "invalid")["errors"]) == {field}
    assert not Build.objects.exists()


def test_a_platform_that_the_release_lacks_is_named(api: APIClient, wired: Wired) -> None:
    release = wired.release("ios")
    found = problem(api.post(url(release), {"platform": "ANDROID"}), 400, "invalid")
    assert set(found["errors"]) == {"platform"}


def test_a_strangers_pipeline_is_answered_as_an_unknown_one(
    api: APIClient, release: Release
) -> None:
    theirs = factories.ReleasePipelineFactory().pipeline_id
    said, of_nobody = (
        api.post(url(release), {"pipelineId": pk}) for pk in (theirs, theirs[:-4] + "none")
    )
    assert said.status_code == 400
    assert said.content == of_nobody.content


def test_a_repeated_trigger_starts_one_build(api: APIClient, release: Release) -> None:
    first, second = (
        api.post(url(release), {"platform": "IOS"}, headers={"idempotency-key": "k"})
        for _n in range(2)
    )
    assert first.json() == second.json()
    assert (first.status_code, second.status_code) == (202, 202)
    assert Build.objects.count() == 1


def test_a_conflict_is_not_kept_under_its_key(api: APIClient, release: Release) -> None:
    Release.objects.update(status="CANCELLED")
    key = {"idempotency-key": "k"}
    problem(api.post(url(release), {}, headers=key), 409, "release_cancelled")
    Release.objects.update(status="BUILDING")
    assert api.post(url(release), {}, headers=key).status_code == 202


def test_a_trigger_costs_the_same_queries_for_two_pipelines_and_for_twenty(
    api: APIClient, wired: Wired
) -> None:
    counts = []
    for number in (2, 20):
        release = factories.ReleaseFactory(tenant=wired.tenant, scm=wired.scm)
        for _n in range(number):
            pipeline = factories.PipelineFactory(
                tenant=wired.tenant, scm=wired.scm, target=wired.targets["ios"]
            )
            factories.ReleasePipelineFactory(release=release, pipeline=pipeline)
        api.get("/api/v1/releases")  # the token's last use is stored once a minute
        with CaptureQueriesContext(connection) as queries:
            assert len(api.post(url(release), {}).json()["builds"]) == number
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- Roles and strangers -------------------------------------------------------------------------


class Things:
    """One object of each kind that has a URL."""

    def __init__(self, wired: Wired) -> None:
        self.release = wired.release()
        self.build = trigger_builds(release=self.release, actor=None, platform="IOS")[0]
        self.effect = trigger_of(self.build)
        Effect.objects.filter(pk=self.effect.pk).update(state="DEAD")
        self.delivery = factories.DeliveryFactory(pipeline=wired.pipelines["ios"], state="REJECTED")

    def state(self) -> str:
        rows = (self.release, self.build, self.effect, self.delivery)
        return str([type(row).objects.filter(pk=row.pk).values().get() for row in rows])


ACTIONS = {
    "trigger": ("releases/{0.release.pk}/builds", {}, Role.MEMBER),
    "cancel build": ("builds/{0.build.pk}/cancel", None, Role.MEMBER),
    "cancel release": ("releases/{0.release.pk}/cancel", None, Role.MEMBER),
    "retry": ("effects/{0.effect.pk}/retry", None, Role.ADMIN),
    "adopt": ("effects/{0.effect.pk}/adopt", {"number": 245}, Role.ADMIN),
    "cancel effect": ("effects/{0.effect.pk}/cancel", None, Role.ADMIN),
    "replay": ("webhook-deliveries/{0.delivery.pk}/replay", None, Role.ADMIN),
}


TOO_LOW = [
    (name, role)
    for name, (_path, _body, needed) in ACTIONS.items()
    for role in (Role.VIEWER, Role.MEMBER)
    if not role.covers(needed)
]


@pytest.mark.parametrize(("name", "role"), TOO_LOW)
def test_a_role_that_is_too_low_changes_nothing(
    tenant: Tenant, api_for: Any, wired: Wired, name: str, role: Role
) -> None:
    path, body, _needed = ACTIONS[name]
    things = Things(wired)
    before = things.state()
    problem(api_for(tenant, role).post(f"/api/v1/{path.format(things)}", body), 403, "forbidden")
    assert things.state() == before


@pytest.mark.parametrize("name", ACTIONS)
def test_a_stranger_gets_the_same_response_as_for_an_unknown_id(
    api_for: Any, wired: Wired, name: str
) -> None:
    path, body, _role = ACTIONS[name]
    things = Things(wired)
    before, count = things.state(), Build.objects.count()
    client = api_for(factories.TenantFactory(), Role.OWNER)
    theirs = client.post(f"/api/v1/{path.format(things)}", body)
    pk = path.format(things).split("/")[1]
    nobodys = client.post(f"/api/v1/{path.format(things).replace(pk, pk[:-4] + 'none')}", body)
    problem(theirs, 404, "not_found")
    assert theirs.content == nobodys.content
    assert (things.state(), Build.objects.count()) == (before, count)


@pytest.mark.parametrize("path", ["effects", "webhook-deliveries"])
def test_lists_hold_nothing_of_others(api_for: Any, wired: Wired, path: str) -> None:
    things = Things(wired)
    client = api_for(factories.TenantFactory(), Role.OWNER)
    filters = f"?releaseId={things.release.pk}&pipelineId={things.delivery.pipeline_id}"
    for query in ("", filters):
        assert client.get(f"/api/v1/{path}{query}").json()["results"] == []


# --- Effects and deliveries ----------------------------------------------------------------------


def test_effects_can_be_filtered(api: APIClient, wired: Wired) -> None:
    release, other = wired.release(slack=True, jira=True), wired.release(slack=True)
    (dead,) = Effect.objects.filter(release_id=other.pk)[:1]
    Effect.objects.filter(pk=dead.pk).update(state="DEAD")

    def ids(query: str) -> set[str]:
        return {e["id"] for e in api.get(f"/api/v1/effects?{query}").json()["results"]}

    assert ids("state=DEAD") == {dead.pk}
    assert len(ids(f"releaseId={release.pk}")) == 4
    assert len(ids("kind=ticket.create_epic")) == 2
    assert ids(f"releaseId={release.pk}&state=DEAD") == set()


def test_an_effect_shows_no_payload(api: APIClient, wired: Wired) -> None:
    wired.release(slack=True)
    shown = api.get("/api/v1/effects").json()["results"][0]
    assert {"kind", "state", "attempts", "lastError", "hint", "nextAt"} <= set(shown)
    assert not {"payload", "leaseToken"} & set(shown)


def test_only_a_dead_effect_can_be_retried(tenant: Tenant, api_for: Any, wired: Wired) -> None:
    admin = api_for(tenant, Role.ADMIN)
    wired.release(slack=True)
    effect = Effect.objects.first()
    problem(admin.post(f"/api/v1/effects/{effect.pk}/retry"), 409, "not_dead")
    Effect.objects.filter(pk=effect.pk).update(state="DEAD")
    answer = admin.post(f"/api/v1/effects/{effect.pk}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "PENDING")
    assert fresh(effect).state == "PENDING"


def test_deliveries_can_be_filtered_and_have_no_body(api: APIClient, wired: Wired) -> None:
    ios, android = (
        factories.DeliveryFactory(pipeline=wired.pipelines[name], body=b"the body")
        for name in ("ios", "android")
    )
    WebhookDelivery.objects.filter(pk=android.pk).update(state="ORPHAN")

    def ids(query: str) -> list[str]:
        answer = api.get(f"/api/v1/webhook-deliveries?{query}")
        assert b"the body" not in answer.content
        return [d["id"] for d in answer.json()["results"]]

    assert ids(f"pipelineId={ios.pipeline_id}") == [ios.pk]
    assert ids("state=ORPHAN") == [android.pk]
    assert ids("pipelineId=pipeline_jenkins_nobody") == []
    for odd in ("pipelineId=a%00b", "pipelineId=x", "state=x", "state=%00"):
        assert api.get(f"/api/v1/webhook-deliveries?{odd}").status_code == 400
    assert len(ids("")) == 2
