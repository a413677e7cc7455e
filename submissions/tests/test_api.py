"""The API of pre-flight checks and submissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from delivr.tenants.models import Tenant
from integrations.providers.base import Check
from releases.models import Release
from releases.tests.pages import Setup
from submissions import preflight
from submissions.models import Preflight, Submission
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def api(api_for: Callable[..., Any], tenant: Tenant) -> Any:
    return api_for(tenant)


def test_every_blocker_is_listed_at_once(
    api: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    store.checks_found = [
        Check.failed("build", "missing", "There is no build.", "Upload it."),
        Check(name="contact", ok=True),
    ]
    address = f"/api/v1/releases/{release.pk}/preflight"
    before = api.get(address).json()["targets"]
    assert [(one["ready"], one["checkedAt"], one["checks"]) for one in before] == [
        (False, None, [])
    ] * 2
    asked = api.post(address)
    assert asked.status_code == 202
    assert all(one["isChecking"] for one in asked.json()["targets"])
    row = Preflight.objects.get(release_target__target=setup.ios)
    assert str(row.pk) in preflight.due()
    preflight.check(str(row.pk))
    found = {one["targetId"]: one for one in api.get(address).json()["targets"]}[setup.ios.pk]
    assert (found["ready"], found["isChecking"]) == (False, False)
    assert [(one["label"], one["ok"], one["code"]) for one in found["checks"]] == [
        ("Build", False, "missing"),
        ("Contact", True, "ok"),
    ]


def body(setup: Setup, **changes: Any) -> dict[str, Any]:
    return {
        "targetId": setup.ios.pk,
        "storeBuild": {"buildNumber": "245"},
        "steps": [5, 100],
        "notes": {"en-US": "Faster."},
        **changes,
    }


def test_a_target_is_submitted_and_followed(
    api: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    answer = api.post(f"/api/v1/releases/{release.pk}/submissions", body(setup), format="json")
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert made["id"].startswith("sub_")
    assert (made["state"], made["storeBuild"], made["steps"]) == ("DRAFT", "245", [5.0, 100.0])
    run_all(Submission.objects.get())
    shown = api.get(f"/api/v1/submissions/{made['id']}").json()
    assert (shown["state"], shown["step"]) == ("WAITING_FOR_REVIEW", 1)
    listed = api.get(f"/api/v1/submissions?releaseId={release.pk}").json()["results"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert api.get("/api/v1/submissions?releaseId=rel_none").json()["results"] == []
    assert api.get(f"/api/v1/releases/{release.pk}").json()["status"] == "SUBMITTED"

    refused = api.post(f"/api/v1/submissions/{made['id']}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert refused.json()["detail"] == "The Fake Store cannot pause."
    acted = api.post(f"/api/v1/submissions/{made['id']}/halt")
    assert acted.status_code == 202
    assert api.post(f"/api/v1/submissions/{made['id']}/explode").status_code == 404


def test_the_same_key_submits_once(
    api: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    address = f"/api/v1/releases/{release.pk}/submissions"
    answers = [
        api.post(address, body(setup), format="json", HTTP_IDEMPOTENCY_KEY="once") for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert Submission.objects.count() == 1


def test_every_error_of_a_request_is_named_at_once(
    api: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    wrong = body(setup, steps=[50, 5], phased=True, releaseType="SOMETIME", what="?")
    answer = api.post(f"/api/v1/releases/{release.pk}/submissions", wrong, format="json")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"steps", "phased", "releaseType", "what"}
    nowhere = body(setup, targetId="target_none")
    answer = api.post(f"/api/v1/releases/{release.pk}/submissions", nowhere, format="json")
    assert answer.json()["errors"] == {"targetId": ["This release has no such target."]}


def test_the_list_takes_a_constant_number_of_queries(
    api: Any,
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    django_assert_max_num_queries: Any,
) -> None:
    part = release.targets.get(target=setup.ios)
    for _ in range(20):
        Submission.objects.create(
            tenant=release.tenant,
            release=release,
            release_target=part,
            target=setup.ios,
            store_build="1",
            is_current=False,
        )
    api.get("/api/v1/submissions")  # the first request of a token is noted
    with django_assert_max_num_queries(8):
        assert len(api.get("/api/v1/submissions").json()["results"]) == 20
