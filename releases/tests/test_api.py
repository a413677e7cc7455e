"""The API of releases: responses, roles, and numbers of queries."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from builds.triggering import trigger_builds
from delivr.effects.models import Effect
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from integrations.models import PipelineIntegration
from releases.branches import BranchHead
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

URL = "/api/v1/releases"
NOWHERE = "http://127.0.0.1:1"
LINE = {
    "id",
    "tenantId",
    "version",
    "branchRelease",
    "status",
    "scmIntegrationId",
    "communicationId",
    "communicationIds",
    "ticketId",
    "appIdentifiers",
    "pipelines",
    "createdAt",
    "updatedAt",
    "completedAt",
    "submittedAt",
    "releasedAt",
}
MARKED_BY = {"submittedBy", "releasedBy"}
IN_REPOSITORY = {
    "branchHead",
    "baseBranch",
    "repository",
    "commit",
    "changes",
    "tag",
    "tagUrl",
    "scmReleaseUrl",
    "ticketSteps",
    "ticketVersion",
}
PIPELINE = {
    "id",
    "platform",
    "triggered",
    "buildNumber",
    "buildUrl",
    "buildStatus",
    "artifactUrl",
    "candidate",
}


@pytest.fixture
def wired(tenant: Tenant) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.MEMBER)
    return client


def body(wired: Wired, **changes: Any) -> dict[str, Any]:
    """The request of the specification."""
    return {
        "version": "1.5.0",
        "scmIntegrationId": wired.scm.pk,
        "targets": [t.pk for t in wired.targets.values()],
        "pipelines": [p.pk for p in wired.pipelines.values()],
        "communicationId": wired.slack.pk,
        "ticketId": wired.jira.pk,
        **changes,
    }


def errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


def test_the_seeds_request_makes_a_release(api: APIClient, wired: Wired, tenant: Tenant) -> None:
    answer = api.post(URL, body(wired))
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    whole = (
        LINE | IN_REPOSITORY | MARKED_BY | {"mutedAt", "targets", "tickets", "timeline", "blockers"}
    )
    assert set(made) == whole
    assert made["id"].startswith("rel_")
    assert (made["tenantId"], made["version"]) == (tenant.pk, "1.5.0")
    assert (made["status"], made["branchRelease"]) == ("KICKOFF_PENDING", "release/1.5.0")
    assert (made["communicationId"], made["ticketId"]) == (wired.slack.pk, wired.jira.pk)
    assert [t["platform"] for t in made["targets"]] == ["IOS", "ANDROID"]
    for pipeline in made["pipelines"]:
        assert set(pipeline) >= PIPELINE | {"builds"}
        assert (pipeline["triggered"], pipeline["buildStatus"]) == (False, "PENDING")
        assert (pipeline["buildNumber"], pipeline["builds"]) == (None, [])
    assert [t["key"] for t in made["tickets"]] == ["", ""]
    assert [e["kind"] for e in made["timeline"]] == ["RELEASE"]
    assert api.get(f"{URL}/{made['id']}").json() == made


@pytest.mark.parametrize("name", ["communicationId", "ticketId", "branchRelease"])
@pytest.mark.parametrize("how", ["missing", "null"])
def test_what_is_optional_may_be_left_out(
    api: APIClient, wired: Wired, name: str, how: str
) -> None:
    wish = body(wired)
    wish.pop(name, None)
    if how == "null":
        wish[name] = None
    assert api.post(URL, wish).status_code == 201


def test_a_branch_may_be_named(api: APIClient, wired: Wired) -> None:
    made = api.post(URL, body(wired, branchRelease="main")).json()
    assert made["branchRelease"] == "main"


def test_the_releases_shown_carry_their_builds(api: APIClient, wired: Wired) -> None:
    release = wired.release("ios")
    (build,) = trigger_builds(release=release, actor=None)
    (pipeline,) = api.get(f"{URL}/{release.pk}").json()["pipelines"]
    (shown,) = pipeline["builds"]
    assert (shown["id"], shown["buildStatus"], shown["attempt"]) == (build.pk, "TRIGGERING", 1)


def test_the_list_shows_the_newest_first_without_history(api: APIClient, wired: Wired) -> None:
    versions = [wired.release("ios").version for _n in range(3)]
    rows = api.get(URL).json()["results"]
    assert [row["version"] for row in rows] == versions[::-1]
    assert set(rows[0]) == LINE
    assert set(rows[0]["pipelines"][0]) == PIPELINE


# --- Refusals ------------------------------------------------------------------------------------


def test_everything_that_is_wrong_comes_at_once(api: APIClient) -> None:
    wish = {
        "version": "-",
        "branchRelease": "a b",
        "scmIntegrationId": "scm_x",
        "targets": ["target_x"],
        "pipelines": "not a list",
        "communicationId": "comm_x",
        "ticketId": ["a list"],
        "colour": "red",
    }
    assert set(errors(api.post(URL, wish))) == set(wish)
    assert not Release.objects.exists()


def test_an_empty_request_gets_an_error_for_each_field(api: APIClient) -> None:
    found = errors(api.post(URL, {}))
    assert set(found) == {"version", "scmIntegrationId", "targets", "pipelines"}


def test_a_version_is_taken_once(api: APIClient, wired: Wired) -> None:
    api.post(URL, body(wired))
    found = errors(api.post(URL, body(wired)))
    assert found == {"version": ["Release 1.5.0 of com.dream11.app already exists."]}
    assert Release.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("scmIntegrationId", lambda w: w.scm.pk),
        ("targets", lambda w: [w.targets["ios"].pk]),
        ("pipelines", lambda w: [w.pipelines["ios"].pk]),
        ("communicationId", lambda w: w.slack.pk),
        ("ticketId", lambda w: w.jira.pk),
    ],
)
def test_a_strangers_id_is_answered_as_an_unknown_one(
    api: APIClient, wired: Wired, name: str, part: Any
) -> None:
    theirs = part(wire(factories.TenantFactory(), NOWHERE))
    pk = theirs[0] if isinstance(theirs, list) else theirs
    unknown = pk[:-4] + "none"
    said = errors(api.post(URL, body(wired, **{name: theirs})))
    nobodys = [unknown] if isinstance(theirs, list) else unknown
    of_nobody = errors(api.post(URL, body(wired, **{name: nobodys})))
    assert str(said).replace(pk, "X") == str(of_nobody).replace(unknown, "X")
    assert said[name] == [f"There is no connection “{pk}”."]
    assert not Release.objects.exists()


def test_too_many_parts_are_refused(api: APIClient, wired: Wired) -> None:
    found = errors(api.post(URL, body(wired, targets=[f"target_{n}" for n in range(101)])))
    assert "targets" in found


def test_a_repeated_request_makes_one_release(api: APIClient, wired: Wired) -> None:
    first, second = (
        api.post(URL, body(wired), headers={"idempotency-key": "k"}) for _n in range(2)
    )
    assert first.json() == second.json()
    assert (first.status_code, second.status_code) == (201, 201)
    assert Release.objects.count() == 1
    assert Effect.objects.count() == 4


# --- A dry run -----------------------------------------------------------------------------------


def test_a_dry_run_shows_everything_and_changes_nothing(api: APIClient, wired: Wired) -> None:
    type(wired.slack).objects.update(recipients=["C1", "C2"])
    answer = api.post(f"{URL}?dryRun=true", body(wired), headers={"idempotency-key": "k"})
    assert answer.status_code == 200, answer.json()
    plan = answer.json()
    assert (plan["version"], plan["branchRelease"]) == ("1.5.0", "release/1.5.0")
    assert [(j["platform"], j["jobPath"]) for j in plan["jobs"]] == [
        ("IOS", "/job/ios-prod"),
        ("ANDROID", "/job/android-prod"),
    ]
    for job in plan["jobs"]:
        assert job["parameters"] == {
            "VERSION": "1.5.0",
            "BRANCH": "release/1.5.0",
            "DELIVR_BUILD_ID": "bld_…",
        }
    assert [(m["text"], m["isEdit"]) for m in plan["messages"] if m["channel"] == "C2"] == [
        ("📦 Release 1.5.0 created", False),
        ("⏳ iOS build queued", False),
        ("⏳ Android build queued", False),
        ("🚀 iOS build #… started", True),
        ("🚀 Android build #… started", True),
        ("✅ iOS build #… complete", True),
        ("✅ Android build #… complete", True),
        ("🏁 Release 1.5.0: all builds complete, ready for submission", False),
    ]
    assert [e["summary"] for e in plan["epics"]] == ["Release 1.5.0: iOS", "Release 1.5.0: Android"]
    assert not Release.objects.exists()
    assert not Effect.objects.exists()
    made = api.post(URL, body(wired), headers={"idempotency-key": "k"})
    assert made.status_code == 201


@pytest.mark.parametrize(("creates_branch", "commit"), [(False, "0" * 40), (True, "…")])
def test_a_dry_run_shows_what_templates_become(
    api: APIClient,
    wired: Wired,
    monkeypatch: pytest.MonkeyPatch,
    *,
    creates_branch: bool,
    commit: str,
) -> None:
    head = BranchHead(name="release/1.5.0", exists=True, commit="0" * 40)
    monkeypatch.setattr("releases.preview.look_up_for_dry_run", lambda *a, **k: head)
    notes = "{{ release.version }} {{ release.commit }} {{ platform }} {{ build.id }}"
    PipelineIntegration.objects.update(parameters={"NOTES": notes})
    wish = body(wired, repository={"createBranch": creates_branch})
    plan = api.post(f"{URL}?dryRun=true", wish).json()
    assert plan["jobs"][0]["parameters"]["NOTES"] == f"1.5.0 {commit} IOS bld_…"


def test_a_dry_run_without_slack_and_jira_shows_none(api: APIClient, wired: Wired) -> None:
    plan = api.post(f"{URL}?dryRun=true", body(wired, communicationId=None, ticketId=None)).json()
    assert (plan["messages"], plan["epics"]) == ([], [])


def test_a_dry_run_has_the_errors_of_the_real_one(api: APIClient, wired: Wired) -> None:
    for wish in ({}, body(wired, version="-"), body(wired, targets=["x"], colour="red")):
        dry = errors(api.post(f"{URL}?dryRun=true", wish))
        assert dry == errors(api.post(URL, wish))


@pytest.mark.parametrize("word", ["1", "yes", "", "tru"])
def test_a_dry_run_that_is_misspelt_makes_no_release(
    api: APIClient, wired: Wired, word: str
) -> None:
    assert set(errors(api.post(f"{URL}?dryRun={word}", body(wired)))) == {"dryRun"}
    assert not Release.objects.exists()


def test_a_viewer_may_not_even_try(tenant: Tenant, api_for: Any, wired: Wired) -> None:
    answer = api_for(tenant, Role.VIEWER).post(f"{URL}?dryRun=true", body(wired))
    assert answer.status_code == 403


# --- Roles and strangers -------------------------------------------------------------------------


def test_viewers_read_and_members_create(tenant: Tenant, api_for: Any, wired: Wired) -> None:
    viewer = api_for(tenant, Role.VIEWER)
    release = wired.release()
    assert viewer.get(URL).status_code == viewer.get(f"{URL}/{release.pk}").status_code == 200
    answer = viewer.post(URL, body(wired))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert Release.objects.count() == 1
    for role in (Role.MEMBER, Role.ADMIN, Role.OWNER):
        made = api_for(tenant, role).post(URL, body(wired, version=f"1-{role}"))
        assert made.status_code == 201


def test_a_strangers_release_does_not_exist(api_for: Any, wired: Wired) -> None:
    release = wired.release()
    client = api_for(factories.TenantFactory(), Role.OWNER)
    theirs, nobodys = (client.get(f"{URL}/{pk}") for pk in (release.pk, "rel_0000000000000000"))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content
    assert client.get(URL).json()["results"] == []


# --- Numbers of queries --------------------------------------------------------------------------


def grow(wired: Wired, release: Release, count: int) -> None:
    """Add pipelines with builds, events, messages and epics."""
    for number in range(count):
        pipeline = factories.PipelineFactory(
            tenant=wired.tenant, scm=wired.scm, target=wired.targets["ios"]
        )
        part = factories.ReleasePipelineFactory(release=release, pipeline=pipeline)
        factories.BuildFactory(release_pipeline=part, attempt=1, status="FAILURE")
        factories.BuildFactory(release_pipeline=part, attempt=2)
        factories.ReleaseTargetFactory(release=release)
        for kind in ("ticket.create_epic", "message.post"):
            factories.EffectFactory(
                tenant=wired.tenant,
                release_id=release.pk,
                kind=kind,
                payload={"target": f"t{number}", "channel": "C1", "notice": "release_created"},
            )


def test_a_release_costs_the_same_queries_with_two_pipelines_and_with_twenty(
    api: APIClient, wired: Wired
) -> None:
    release = wired.release(slack=True, jira=True)
    counts = []
    for more in (2, 18):
        grow(wired, release, more)
        api.get(URL)  # the token's last use is stored once a minute
        with CaptureQueriesContext(connection) as queries:
            shown = api.get(f"{URL}/{release.pk}").json()
        counts.append(len(queries))
    assert len(shown["pipelines"]) == 22
    assert counts[0] == counts[1] <= 16, [q["sql"][:90] for q in queries]


def test_creating_costs_the_same_queries_with_two_pipelines_and_with_twenty(
    api: APIClient, wired: Wired
) -> None:
    counts = []
    for number in (2, 20):
        pipelines = factories.PipelineFactory.create_batch(
            number, tenant=wired.tenant, scm=wired.scm, target=wired.targets["ios"]
        )
        wish = body(wired, version=f"2.{number}", pipelines=[p.pk for p in pipelines])
        api.get(URL)
        with CaptureQueriesContext(connection) as queries:
            assert api.post(URL, wish).status_code == 201
        counts.append(len(queries))
    assert counts[0] == counts[1], [q["sql"][:90] for q in queries]
