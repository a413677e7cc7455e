"""The buttons that trigger, cancel and adopt builds and replay deliveries."""

import pytest
from django.utils import timezone

from builds.models import Build, DeliveryState
from builds.tests.pages import RECEIVED, SENT, main_of
from builds.triggering import trigger_builds
from builds.updates.apply import trigger_failed
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.models import Release, ReleaseStatus
from releases.operations import create_release
from releases.tests.pages import message_of, text_of

pytestmark = pytest.mark.on_sqlite

# --- Trigger -------------------------------------------------------------------------------------


def builds_url(release):
    return f"/releases/{release.pk}/builds"


def test_one_pipeline_is_triggered(member, release, setup):
    data = {"pipeline": setup.ios_job.pk}
    response = member.post(builds_url(release), data, follow=True)
    assert response.redirect_chain == [(f"/releases/{release.pk}", 302)]
    assert message_of(response) == "1 build is on its way to Jenkins."
    build = Build.objects.get()
    assert build.release_pipeline.pipeline_id == setup.ios_job.pk
    assert build.started_by == response.wsgi_request.user
    assert Effect.objects.filter(kind="build.trigger", build_id=build.pk).count() == 1


def test_all_that_need_a_build_are_triggered(member, release):
    assert (
        message_of(member.post(builds_url(release), follow=True))
        == "2 builds are on their way to Jenkins."
    )
    assert Build.objects.count() == 2


def test_each_server_to_which_builds_go_is_named(member, setup):
    actions = factories.PipelineFactory(
        tenant=setup.tenant,
        pipeline_type="GITHUB_ACTIONS",
        scm=setup.scm,
        target=setup.ios,
        job="ios.yml",
    )
    release = create_release(
        tenant=setup.tenant,
        actor=None,
        version="1.7.0",
        scm_id=setup.scm.pk,
        target_ids=[setup.ios.pk],
        pipeline_ids=[setup.ios_job.pk, actions.pk],
    )
    answer = member.post(builds_url(release), follow=True)
    assert message_of(answer) == "2 builds are on their way to Jenkins and GitHub Actions."


def test_second_click_is_answered_in_words_and_builds_nothing(member, release, setup):
    member.post(builds_url(release), {"pipeline": setup.ios_job.pk})
    again = member.post(builds_url(release), {"pipeline": setup.ios_job.pk}, follow=True)
    assert message_of(again).endswith("A build is already in progress.")
    assert Build.objects.count() == 1


def test_complete_release_has_nothing_left_to_trigger(member, release):
    release.pipelines.update(build_status="SUCCESS")
    assert "nothing to trigger" in message_of(member.post(builds_url(release), follow=True))
    assert not Build.objects.exists()


def test_cancelled_release_is_not_built(member, release):
    Release.objects.update(status=ReleaseStatus.CANCELLED)
    assert (
        message_of(member.post(builds_url(release), follow=True)) == "This release was cancelled."
    )
    assert not Build.objects.exists()


@pytest.mark.parametrize("pipeline", ["pipeline_jenkins_unknown", "\x00", "'"])
def test_unknown_pipeline_is_not_found(member, release, pipeline):
    response = member.post(builds_url(release), {"pipeline": pipeline})
    assert response.status_code == 404
    assert not Build.objects.exists()


def test_viewer_may_not_trigger(as_role, release):
    assert as_role(Role.VIEWER).post(builds_url(release)).status_code == 403
    assert not Build.objects.exists()


def test_stranger_finds_nothing_to_trigger(outsider, release):
    assert outsider.post(builds_url(release)).status_code == 404
    assert not Build.objects.exists()


def test_a_link_triggers_nothing(member, release):
    assert member.get(builds_url(release)).status_code == 405
    assert not Build.objects.exists()


# --- Cancel --------------------------------------------------------------------------------------


@pytest.fixture
def build(release):
    return trigger_builds(release=release, actor=None, platform="IOS")[0]


def test_release_is_cancelled_with_its_builds(member, release, build):
    response = member.post(f"/releases/{release.pk}/cancel", follow=True)
    assert message_of(response) == ""  # the page shows it
    build.refresh_from_db()
    release.refresh_from_db()
    assert (release.status, build.status) == ("CANCELLED", "CANCELLED")
    text = text_of(response)
    assert "This release was cancelled. No more builds can be triggered." in text
    assert "Release cancelled" in text
    assert "Trigger" not in text.replace("triggered", "")


def test_cancelling_a_release_twice_is_refused_in_words(member, release):
    member.post(f"/releases/{release.pk}/cancel", follow=True)
    again = member.post(f"/releases/{release.pk}/cancel", follow=True)
    assert "was cancelled" in message_of(again)


def test_build_is_stopped_and_can_be_triggered_again(member, release, build):
    button = f"/builds/{build.pk}/cancel"
    assert button in main_of(member.get(f"/releases/{release.pk}"))
    response = member.post(button, follow=True)
    build.refresh_from_db()
    assert build.status == "CANCELLED"
    assert "Trigger again" in text_of(response)
    assert button not in main_of(response)
    again = member.post(button, follow=True)
    assert "already finished" in message_of(again)


@pytest.mark.parametrize("what", ["release", "build"])
def test_viewer_and_stranger_cancel_nothing(as_role, outsider, release, build, what):
    row = release if what == "release" else build
    row.refresh_from_db()
    before = row.status
    path = f"/{what}s/{row.pk}/cancel"
    viewer = as_role(Role.VIEWER)
    assert viewer.post(path).status_code == 403
    assert path not in main_of(viewer.get(f"/releases/{release.pk}"))
    assert outsider.post(path).status_code == 404
    assert as_role(Role.MEMBER).get(path).status_code == 405
    row.refresh_from_db()
    assert row.status == before != "CANCELLED"


def test_stop_is_shown_with_its_build(member, setup, build):
    Build.objects.update(number=245)
    factories.EffectFactory(tenant=setup.tenant, kind="build.cancel", build_id=build.pk)
    assert "Stop iOS build #245" in text_of(member.get(SENT))


# --- Adopt and replay ----------------------------------------------------------------------------


@pytest.fixture
def given_up(build):
    """The build's trigger, which gave up."""
    Effect.objects.filter(build_id=build.pk).update(
        state=EffectState.DEAD, last_error="No answer.", dispatched_at=timezone.now()
    )
    trigger_failed(build.pk, message="No answer.")
    return Effect.objects.get(kind="build.trigger", build_id=build.pk)


@pytest.mark.parametrize("number", ["", "0", "-1", "x", "9" * 30, "\x00"])
def test_invalid_number_is_refused_and_adopts_nothing(admin, given_up, number):
    response = admin.post(f"/activity/effects/{given_up.pk}/adopt", {"number": number}, follow=True)
    assert message_of(response) == "Enter the build number."
    given_up.refresh_from_db()
    assert given_up.state == EffectState.DEAD


def test_adopting_asks_the_ci_server_and_says_when_it_is_down(admin, given_up, release):
    path = f"/activity/effects/{given_up.pk}/adopt"
    assert path in main_of(admin.get(f"/releases/{release.pk}"))
    response = admin.post(path, {"number": "245", "next": f"/releases/{release.pk}"}, follow=True)
    assert response.redirect_chain == [(f"/releases/{release.pk}", 302)]
    assert message_of(response)
    given_up.refresh_from_db()
    assert given_up.state == EffectState.DEAD


def test_what_did_not_give_up_cannot_be_adopted(admin, dead):
    response = admin.post(f"/activity/effects/{dead.pk}/adopt", {"number": "1"}, follow=True)
    assert "can be adopted" in message_of(response)


def test_delivery_is_applied_again(admin, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, state="ORPHAN", body=b"{}")
    path = f"{RECEIVED}/{delivery.pk}"
    assert f"{path}/replay" in main_of(admin.get(path))
    assert message_of(admin.post(f"{path}/replay", follow=True)) == "The delivery is applied again."
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.NEW
    assert AuditEvent.objects.filter(action="delivery.replayed").exists()


def test_dropped_delivery_cannot_be_applied_again(admin, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, state="ORPHAN", body=b"")
    path = f"{RECEIVED}/{delivery.pk}"
    assert f"{path}/replay" not in main_of(admin.get(path))
    assert "deleted" in message_of(admin.post(f"{path}/replay", follow=True))
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.ORPHAN


def test_adopt_and_replay_are_for_admins_of_this_workspace(as_role, outsider, setup, given_up):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, state="ORPHAN", body=b"{}")
    for path in (f"/activity/effects/{given_up.pk}/adopt", f"{RECEIVED}/{delivery.pk}/replay"):
        assert as_role(Role.MEMBER).post(path, {"number": "1"}).status_code == 403
        assert outsider.post(path, {"number": "1"}).status_code == 404
    given_up.refresh_from_db()
    delivery.refresh_from_db()
    assert (given_up.state, delivery.state) == (EffectState.DEAD, DeliveryState.ORPHAN)
