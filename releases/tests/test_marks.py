"""Marking a release as submitted and as released, by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from builds.cancelling import cancel_release
from builds.triggering import trigger_builds
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.failures import Conflict
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.marks import remove_mark, set_mark
from releases.models import Mark, Release
from releases.tests.pages import message_of, text_of


@pytest.fixture
def ready(setup: Any) -> Release:
    """A release whose builds succeeded."""
    release: Release = setup.release()
    for part in release.pipelines.all():
        factories.BuildFactory(
            release_pipeline=part,
            tenant=setup.tenant,
            status="SUCCESS",
            finished_at=timezone.now(),
        )
    release.pipelines.update(build_status="SUCCESS")
    release.status, release.completed_at = "BUILD_COMPLETE", timezone.now()
    release.save()
    return release


def marks(release: Release) -> dict[str, Any]:
    release.refresh_from_db()
    return {
        "submitted": release.submitted_at is not None,
        "released": release.released_at is not None,
    }


def told(release: Release) -> list[str]:
    """The notices of the messages about it, without those of its creation and its builds."""
    rows = Effect.objects.filter(release_id=release.pk, kind="message.post")
    words = rows.order_by("created_at").values_list("payload__notice", flat=True)
    return [notice for notice in words if notice.endswith(("submitted", "released"))]


def test_a_mark_says_who_and_when_and_tells_the_channels(ready: Release, owner: Any) -> None:
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    set_mark(release=ready, mark=Mark.RELEASED, actor=owner)
    assert marks(ready) == {"submitted": True, "released": True}
    assert (ready.submitted_by, ready.released_by) == (owner, owner)
    assert ready.status == "BUILD_COMPLETE"
    assert told(ready) == ["release_submitted", "release_released"]
    rows = AuditEvent.objects.filter(action="release.marked", actor_id=owner.pk).order_by("pk")
    assert [list(row.changes) for row in rows] == [["submitted_at"], ["released_at"]]


def test_the_same_mark_twice_changes_nothing_and_tells_nothing(ready: Release, owner: Any) -> None:
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    first = Release.objects.get(pk=ready.pk).submitted_at
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=None)
    ready.refresh_from_db()
    assert (ready.submitted_at, ready.submitted_by) == (first, owner)
    assert told(ready) == ["release_submitted"]


def test_a_mark_that_was_told_is_told_when_it_is_removed_and_set_again(
    ready: Release, owner: Any
) -> None:
    for _round in range(2):
        set_mark(release=ready, mark=Mark.RELEASED, actor=owner)
        Effect.objects.open().update(state=EffectState.DONE)
        remove_mark(release=ready, mark=Mark.RELEASED, actor=owner)
        remove_mark(release=ready, mark=Mark.RELEASED, actor=owner)
        Effect.objects.open().update(state=EffectState.DONE)
    assert marks(ready) == {"submitted": False, "released": False}
    assert ready.released_by is None
    assert told(ready) == ["release_released", "release_not_released"] * 2
    assert AuditEvent.objects.filter(action="release.unmarked").count() == 2


@pytest.mark.parametrize(
    ("of_the_message", "after"),
    [
        ({}, ["CANCELLED"]),  # it was not sent, and need not be
        ({"state": EffectState.DEAD}, ["CANCELLED"]),  # so that nobody retries it
        ({"state": EffectState.CANCELLED}, ["CANCELLED"]),
        ({"dispatched_at": timezone.now()}, ["PENDING", "PENDING"]),  # it may have come through
        ({"dispatched_at": timezone.now(), "state": EffectState.DEAD}, ["CANCELLED", "PENDING"]),
    ],
    ids=["unsent", "failed", "cancelled", "in doubt", "failed in doubt"],
)
def test_a_mark_that_no_channel_knows_is_removed_silently(
    ready: Release, owner: Any, of_the_message: dict[str, Any], after: list[str]
) -> None:
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    message = Effect.objects.filter(payload__notice="release_submitted")
    message.update(**of_the_message)
    remove_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    about = Effect.objects.filter(payload__notice__endswith="submitted").order_by("created_at")
    assert list(about.values_list("state", flat=True)) == after


def test_the_timeline_and_the_audit_log_keep_what_became_of_a_mark(
    ready: Release, owner: Any, member: Any, api_for: Any
) -> None:
    for change in (set_mark, remove_mark, set_mark):
        change(release=ready, mark=Mark.SUBMITTED, actor=owner)
    set_mark(release=ready, mark=Mark.RELEASED, actor=owner)
    remove_mark(release=ready, mark=Mark.RELEASED, actor=None)
    trigger_builds(release=ready, actor=owner, again=True)
    answer = api_for(ready.tenant, Role.MEMBER).get(f"/api/v1/releases/{ready.pk}").json()
    lines = [(i["title"], i["detail"]) for i in answer["timeline"] if "ark" in i["title"]]
    by = f"by {owner.called}"
    assert lines == [
        ("Marked as submitted", by),
        ("Mark “submitted” removed", by),
        ("Marked as submitted", by),
        ("Marked as released", by),
        ("Mark “released” removed", ""),
        ("No longer marked as submitted", ""),
    ]
    assert "Mark “submitted” removed" in text_of(member.get(f"/releases/{ready.pk}"))
    log = text_of(member.get("/settings/audit"))
    assert "marked release 1.5.0 as released" in log
    assert "removed the mark “submitted” from release 1.5.0" in log


def test_only_a_ready_release_is_marked(setup: Any) -> None:
    release = setup.release()
    with pytest.raises(Conflict) as refused:
        set_mark(release=release, mark=Mark.SUBMITTED, actor=None)
    assert refused.value.code == "not_ready"
    assert marks(release) == {"submitted": False, "released": False}
    assert told(release) == []


def test_a_released_release_is_neither_built_nor_cancelled_nor_unsubmitted(
    ready: Release, owner: Any
) -> None:
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    set_mark(release=ready, mark=Mark.RELEASED, actor=owner)
    for refused in (
        lambda: trigger_builds(release=ready, actor=owner, again=True),
        lambda: cancel_release(release=ready, actor=owner),
        lambda: remove_mark(release=ready, mark=Mark.SUBMITTED, actor=owner),
    ):
        with pytest.raises(Conflict) as error:
            refused()
        assert error.value.code == "already_released"
    assert marks(ready) == {"submitted": True, "released": True}
    assert ready.pipelines.filter(build_status="SUCCESS").count() == 2


def test_building_again_removes_the_mark(ready: Release, owner: Any) -> None:
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    trigger_builds(release=ready, actor=owner, again=True)
    assert marks(ready) == {"submitted": False, "released": False}
    change = AuditEvent.objects.get(action="release.status").changes
    assert change["submitted_at"][1] is None


def test_cancelling_removes_the_mark(ready: Release, owner: Any) -> None:
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=owner)
    cancel_release(release=ready, actor=owner)
    assert marks(ready) == {"submitted": False, "released": False}


def test_the_api_marks_and_takes_back(ready: Release, api_for: Any) -> None:
    api, path = api_for(ready.tenant, Role.MEMBER), f"/api/v1/releases/{ready.pk}/marks"
    answer = api.post(f"{path}/submitted").json()
    assert answer["status"] == "BUILD_COMPLETE"
    assert answer["submittedAt"]
    assert "@" in answer["submittedBy"]
    assert "Marked as submitted" in [item["title"] for item in answer["timeline"]]
    assert api.post(f"{path}/released").json()["releasedAt"]
    for method, address in (
        (api.post, f"/api/v1/releases/{ready.pk}/builds"),
        (api.post, f"/api/v1/releases/{ready.pk}/cancel"),
        (api.delete, f"{path}/submitted"),
    ):
        refused = method(address, {}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (409, "already_released")
    assert api.delete(f"{path}/released").json()["releasedAt"] is None
    assert api.delete(f"{path}/submitted").json()["submittedBy"] is None
    assert api.post(f"{path}/shipped").status_code == 404


def test_other_workspaces_and_viewers_cannot_mark(
    ready: Release, api_for: Any, stranger: Any
) -> None:
    path = f"/api/v1/releases/{ready.pk}/marks/submitted"
    foreign = api_for(factories.TenantFactory())
    assert foreign.post(path).status_code == foreign.delete(path).status_code == 404
    assert api_for(ready.tenant, Role.VIEWER).post(path).status_code == 403
    assert marks(ready) == {"submitted": False, "released": False}


def test_the_page_leads_to_the_stores_marks_and_takes_back(ready: Release, member: Any) -> None:
    page = f"/releases/{ready.pk}"
    target = ready.targets.get(store="APP_STORE").target
    target.options = {"app_id": "1234567890"}
    target.save()
    html = member.get(page).content.decode()
    assert "https://appstoreconnect.apple.com/apps/1234567890" in html
    assert "https://play.google.com/console/developers/app-list" in html
    text = text_of(member.post(f"{page}/mark", {"mark": "submitted"}, follow=True))
    for part in (page, f"{page}/live"):
        assert f"<title>Submitted · {ready.version}" in member.get(part).content.decode()
    assert "Submitted" in text
    assert "Mark as released" in text
    text = text_of(member.post(f"{page}/mark", {"mark": "released"}, follow=True))
    assert "Build all again" not in text
    assert "Cancel release" not in text
    undo = {"mark": "released", "undo": "1"}
    assert "Mark as released" in text_of(member.post(f"{page}/mark", undo, follow=True))
    assert member.post(f"{page}/mark", {"mark": "shipped"}).status_code == 400


def test_the_page_says_why_a_mark_is_refused(setup: Any, member: Any) -> None:
    release = setup.release()
    answer = member.post(f"/releases/{release.pk}/mark", {"mark": "submitted"}, follow=True)
    assert message_of(answer) == "This release is not ready for submission."


def test_a_changed_app_is_not_linked_by_the_old_ones_id(ready: Release, member: Any) -> None:
    target = ready.targets.get(store="APP_STORE").target
    target.options, target.app_identifier = {"app_id": "99"}, "com.example.other"
    target.save()
    assert "connect.apple.com/apps/99" not in member.get(f"/releases/{ready.pk}").content.decode()
