"""The buttons that trigger builds, and the pages of what was sent and received."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.hearing import trigger_failed
from builds.models import Build, DeliveryState, WebhookDelivery
from builds.triggering import trigger_builds
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.models import Release, ReleaseStatus
from releases.tests.pages import Setup, said, text_of

pytestmark = pytest.mark.on_sqlite

SENT, RECEIVED = "/activity", "/activity/received"


@pytest.fixture
def setup(tenant):
    return Setup(tenant)


@pytest.fixture
def release(setup):
    return setup.release()


@pytest.fixture
def as_role(tenant, member_of, client_for):
    return lambda role: client_for(member_of(tenant, role))


@pytest.fixture
def member(as_role):
    return as_role(Role.MEMBER)


@pytest.fixture
def admin(as_role):
    return as_role(Role.ADMIN)


@pytest.fixture
def outsider(stranger, client_for):
    return client_for(stranger)


def main_of(response):
    return response.content.decode().partition("<main")[2]


def queries_of(client, path):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


# --- Trigger ------------------------------------------------------------------------------------


def builds_url(release):
    return f"/releases/{release.pk}/builds"


def test_one_pipeline_is_triggered(member, release, setup):
    data = {"pipeline": setup.ios_job.pk}
    response = member.post(builds_url(release), data, follow=True)
    assert response.redirect_chain == [(f"/releases/{release.pk}", 302)]
    assert said(response) == "1 build triggered."
    build = Build.objects.get()
    assert build.release_pipeline.pipeline_id == setup.ios_job.pk
    assert build.started_by == response.wsgi_request.user
    assert Effect.objects.filter(kind="build.trigger", build_id=build.pk).count() == 1


def test_all_that_need_a_build_are_triggered(member, release):
    assert said(member.post(builds_url(release), follow=True)) == "2 builds triggered."
    assert Build.objects.count() == 2


def test_second_click_is_answered_in_words_and_builds_nothing(member, release, setup):
    member.post(builds_url(release), {"pipeline": setup.ios_job.pk})
    again = member.post(builds_url(release), {"pipeline": setup.ios_job.pk}, follow=True)
    assert said(again).endswith("A build is already on the way.")
    assert Build.objects.count() == 1


def test_complete_release_has_nothing_left_to_trigger(member, release):
    release.pipelines.update(build_status="SUCCESS")
    assert "nothing is left" in said(member.post(builds_url(release), follow=True))
    assert not Build.objects.exists()


def test_cancelled_release_is_not_built(member, release):
    Release.objects.update(status=ReleaseStatus.CANCELLED)
    assert said(member.post(builds_url(release), follow=True)) == "This release was cancelled."
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


# --- Sent ---------------------------------------------------------------------------------------


def test_empty_ledger_tells_what_will_be_there(member):
    assert "Nothing was sent yet" in text_of(member.get(SENT))


def test_line_tells_what_for_which_release_and_how_it_stands(member, release):
    text = text_of(member.get(SENT))
    assert "Message “Release created” to C123 1.5.0 Waiting 0" in text
    assert text.count("Epic 1.5.0 Waiting") == 2


def test_trigger_is_told_with_its_build(member, release):
    trigger_builds(release=release, actor=None, platform="IOS")
    build = Build.objects.get()
    Build.objects.update(number=245)
    factories.EffectFactory(tenant=release.tenant, build_id=build.pk)
    text = text_of(member.get(SENT))
    assert "Trigger of iOS build #245 1.5.0" in text
    assert text.count("Message “") == 2


def test_failure_is_told_with_hint_and_next_try(member, setup):
    factories.EffectFactory(
        tenant=setup.tenant,
        attempts=3,
        last_error="Slack did not answer.",
        last_error_hint="It is tried again.",
        next_at=timezone.now() + timedelta(minutes=2),
    )
    text = text_of(member.get(SENT))
    assert "Slack did not answer. It is tried again." in text
    assert "3 attempts next try in 1 minute" in text


def test_state_filters_the_list_and_nonsense_does_not(member, setup):
    for state in EffectState:
        factories.EffectFactory(tenant=setup.tenant, state=state)
    shown = member.get(SENT, {"state": "DEAD"}).context["lines"]
    assert [line.state for line in shown] == ["DEAD"]
    assert len(member.get(SENT, {"state": "'"}).context["lines"]) == len(EffectState)


def test_empty_filter_says_so(member, release):
    assert "Nothing like this" in text_of(member.get(SENT, {"state": "DEAD"}))


def test_other_workspaces_effects_are_not_listed(outsider, release):
    assert outsider.get(SENT).context["lines"] == []


def test_a_thousand_effects_cost_as_many_queries_as_one(member, release):
    few = queries_of(member, SENT)
    effects = factories.EffectFactory.build_batch(
        1000, tenant=release.tenant, release_id=release.pk
    )
    Effect.objects.bulk_create(effects)
    assert queries_of(member, SENT) == few
    assert queries_of(member, f"{SENT}?page=30") == few
    assert few <= 8


def test_filter_survives_paging(member, setup):
    Effect.objects.bulk_create(
        factories.EffectFactory.build_batch(30, tenant=setup.tenant, state="DEAD")
    )
    page = member.get(SENT, {"state": "DEAD"}).context["page"]
    assert page.next_url == f"{SENT}?state=DEAD&page=2"


def test_list_refreshes_while_something_is_open_and_stops_at_rest(member, release):
    first = member.get(SENT)
    assert first.context["live_url"] in main_of(first).replace("&amp;", "&")
    live = first.context["live_url"]
    assert member.get(live).status_code == 204
    Effect.objects.filter(kind="message.post").update(attempts=1)
    assert member.get(live).status_code == 200
    Effect.objects.update(state=EffectState.DONE)
    last = member.get(live)
    assert last.status_code == 286
    assert "hx-trigger" not in last.content.decode()


def test_pages_of_the_refreshed_list_are_pages_not_fragments(member, setup):
    Effect.objects.bulk_create(factories.EffectFactory.build_batch(60, tenant=setup.tenant))
    page = member.get("/activity/live", {"page": "2", "seen": "x"}).context["page"]
    assert (page.previous_url, page.next_url) == (f"{SENT}?page=1", f"{SENT}?page=3")


def test_who_was_signed_out_gets_a_new_page(client, db):
    for path in ("/activity/live", "/activity/received/live"):
        response = client.get(path, headers={"HX-Request": "true"})
        assert response["HX-Refresh"] == "true"


def test_text_from_outside_is_escaped(member, setup):
    evil = "<script>alert(1)</script>"
    factories.EffectFactory(
        tenant=setup.tenant,
        last_error=evil,
        last_error_hint=evil,
        payload={"channel": evil, "notice": evil, "words": {}},
        result={"url": "javascript:alert(1)"},
    )
    html = main_of(member.get(SENT))
    assert evil not in html
    assert "javascript:" not in html


# --- Retry and cancel -----------------------------------------------------------------------------


@pytest.fixture
def dead(setup):
    return factories.EffectFactory(
        tenant=setup.tenant, state=EffectState.DEAD, attempts=8, integration_id=setup.slack.pk
    )


def test_admin_retries_what_gave_up(admin, dead):
    response = admin.post(f"/activity/effects/{dead.pk}/retry", follow=True)
    assert response.redirect_chain == [(SENT, 302)]
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == (EffectState.PENDING, 0)
    event = AuditEvent.objects.get(action="effect.retried")
    assert event.actor_id == response.wsgi_request.user.pk


def test_admin_gives_up_for_good(admin, dead):
    admin.post(f"/activity/effects/{dead.pk}/cancel")
    dead.refresh_from_db()
    assert dead.state == EffectState.CANCELLED


def test_what_is_on_its_way_is_left_alone_in_words(admin, setup):
    leased = factories.EffectFactory(tenant=setup.tenant, state=EffectState.LEASED)
    for verb in ("retry", "cancel"):
        response = admin.post(f"/activity/effects/{leased.pk}/{verb}", follow=True)
        assert said(response)
        leased.refresh_from_db()
        assert leased.state == EffectState.LEASED


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_lower_role_may_not(as_role, dead, role, verb):
    client = as_role(role)
    assert f"{dead.pk}/{verb}" not in client.get(SENT).content.decode()
    assert client.post(f"/activity/effects/{dead.pk}/{verb}").status_code == 403
    dead.refresh_from_db()
    assert dead.state == EffectState.DEAD


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_stranger_finds_no_effect(outsider, dead, verb):
    assert outsider.post(f"/activity/effects/{dead.pk}/{verb}").status_code == 404
    dead.refresh_from_db()
    assert dead.state == EffectState.DEAD


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("/releases/rel_1", "/releases/rel_1"),
        ("", SENT),
        ("//evil.test/x", SENT),
        ("https://evil.test/", SENT),
        ("http:///evil.test", SENT),
        ("/\\evil.test", SENT),
        ("javascript:alert(1)", SENT),
        ("releases", SENT),
    ],
)
def test_retry_returns_to_this_site_alone(admin, dead, wanted, got):
    response = admin.post(f"/activity/effects/{dead.pk}/retry", {"next": wanted})
    assert response["Location"] == got


# --- Received -------------------------------------------------------------------------------------


def test_without_deliveries_the_page_tells_where_the_address_is(member):
    assert "Nothing was received yet" in text_of(member.get(RECEIVED))


def test_line_tells_pipeline_state_reason_and_build(member, release, setup):
    [build] = trigger_builds(release=release, actor=None, platform="IOS")
    Build.objects.update(number=245)
    factories.DeliveryFactory(
        pipeline=setup.ios_job, state="IGNORED", reason="Late or repeated.", build=build
    )
    text = text_of(member.get(RECEIVED))
    assert "Ignored Late or repeated. iOS build #245 of release 1.5.0" in text


def test_deliveries_are_filtered_by_state(member, setup):
    for state in DeliveryState:
        factories.DeliveryFactory(pipeline=setup.ios_job, state=state)
    shown = member.get(RECEIVED, {"state": "ORPHAN"}).context["lines"]
    assert [line.state_label for line in shown] == ["Not our build"]


def test_a_thousand_deliveries_cost_as_many_queries_as_one(member, setup):
    factories.DeliveryFactory(pipeline=setup.ios_job, body=b"x" * 1000)
    few = queries_of(member, RECEIVED)
    WebhookDelivery.objects.bulk_create(
        factories.DeliveryFactory.build_batch(1000, pipeline=setup.ios_job)
    )
    with CaptureQueriesContext(connection) as queries:
        member.get(RECEIVED)
    assert len(queries) == few <= 7
    assert not any('"body"' in query["sql"] for query in queries)


def test_received_list_stops_refreshing_at_rest(member, setup):
    factories.DeliveryFactory(pipeline=setup.ios_job)
    live = member.get(RECEIVED).context["live_url"]
    assert member.get(live).status_code == 204
    WebhookDelivery.objects.update(state="APPLIED")
    response = member.get(live)
    assert response.status_code == 286
    assert "hx-trigger" not in response.content.decode()


def test_raw_body_is_shown_as_text(member, setup):
    body = '{"status": "<script>alert(1)</script>"}\xff'.encode("latin-1")
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, body=body, state="REJECTED")
    html = main_of(member.get(f"{RECEIVED}/{delivery.pk}"))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Unreadable" in html


def test_viewer_is_shown_what_was_read_and_not_the_body(as_role, setup):
    body = b'{"buildNumber": 245, "status": "SUCCESS", "buildId": "bld_x", "password": "canary"}'
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, body=body)
    shown = {
        role: main_of(as_role(role).get(f"{RECEIVED}/{delivery.pk}"))
        for role in (Role.VIEWER, Role.MEMBER)
    }
    assert "canary" not in shown[Role.VIEWER]
    assert "canary" in shown[Role.MEMBER]
    assert all("bld_x" in html and "245" in html for html in shown.values())


def test_dropped_body_is_told(member, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, body=b"", state="APPLIED")
    assert "was dropped" in text_of(member.get(f"{RECEIVED}/{delivery.pk}"))


def test_stranger_finds_no_delivery(outsider, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, body=b"canary")
    assert outsider.get(f"{RECEIVED}/{delivery.pk}").status_code == 404
    assert outsider.get(RECEIVED).context["lines"] == []


# --- Cancel -----------------------------------------------------------------------------------


@pytest.fixture
def build(release):
    return trigger_builds(release=release, actor=None, platform="IOS")[0]


def test_release_is_cancelled_with_its_builds(member, release, build):
    response = member.post(f"/releases/{release.pk}/cancel", follow=True)
    assert said(response) == "Release 1.5.0 is cancelled."
    build.refresh_from_db()
    release.refresh_from_db()
    assert (release.status, build.status) == ("CANCELLED", "CANCELLED")
    text = text_of(response)
    assert "This release is cancelled: nothing is built any more." in text
    assert "Release cancelled" in text
    assert "Trigger" not in text.replace("triggered", "")


def test_release_cancelled_twice_is_told(member, release):
    member.post(f"/releases/{release.pk}/cancel", follow=True)
    again = member.post(f"/releases/{release.pk}/cancel", follow=True)
    assert "was cancelled" in said(again)


def test_build_is_stopped_and_can_be_triggered_again(member, release, build):
    button = f"/builds/{build.pk}/cancel"
    assert button in main_of(member.get(f"/releases/{release.pk}"))
    response = member.post(button, follow=True)
    build.refresh_from_db()
    assert build.status == "CANCELLED"
    assert "Trigger again" in text_of(response)
    assert button not in main_of(response)
    again = member.post(button, follow=True)
    assert "already came to rest" in said(again)


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


def test_stop_is_told_with_its_build(member, setup, build):
    Build.objects.update(number=245)
    factories.EffectFactory(tenant=setup.tenant, kind="build.cancel", build_id=build.pk)
    assert "Stop of iOS build #245" in text_of(member.get(SENT))


# --- Adopt and replay ---------------------------------------------------------------------------


@pytest.fixture
def given_up(build):
    """The trigger of the build, after it gave up."""
    Effect.objects.filter(build_id=build.pk).update(
        state=EffectState.DEAD, last_error="No answer.", dispatched_at=timezone.now()
    )
    trigger_failed(build.pk, message="No answer.")
    return Effect.objects.get(kind="build.trigger", build_id=build.pk)


@pytest.mark.parametrize("number", ["", "0", "-1", "x", "9" * 30, "\x00"])
def test_senseless_number_is_told_and_adopts_nothing(admin, given_up, number):
    response = admin.post(f"/activity/effects/{given_up.pk}/adopt", {"number": number}, follow=True)
    assert said(response) == "Enter the number of the build."
    given_up.refresh_from_db()
    assert given_up.state == EffectState.DEAD


def test_adopting_asks_the_ci_server_and_tells_when_it_is_away(admin, given_up, release):
    path = f"/activity/effects/{given_up.pk}/adopt"
    assert path in main_of(admin.get(f"/releases/{release.pk}"))
    response = admin.post(path, {"number": "245", "next": f"/releases/{release.pk}"}, follow=True)
    assert response.redirect_chain == [(f"/releases/{release.pk}", 302)]
    assert said(response)
    given_up.refresh_from_db()
    assert given_up.state == EffectState.DEAD


def test_what_did_not_give_up_cannot_be_adopted(admin, dead):
    response = admin.post(f"/activity/effects/{dead.pk}/adopt", {"number": "1"}, follow=True)
    assert "can be adopted" in said(response)


def test_delivery_is_applied_again(admin, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, state="ORPHAN", body=b"{}")
    path = f"{RECEIVED}/{delivery.pk}"
    assert f"{path}/replay" in main_of(admin.get(path))
    assert said(admin.post(f"{path}/replay", follow=True)) == "It is applied again."
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.NEW
    assert AuditEvent.objects.filter(action="delivery.replayed").exists()


def test_dropped_delivery_cannot_be_applied_again(admin, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, state="ORPHAN", body=b"")
    path = f"{RECEIVED}/{delivery.pk}"
    assert f"{path}/replay" not in main_of(admin.get(path))
    assert "dropped" in said(admin.post(f"{path}/replay", follow=True))
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
