"""The page of one release."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import Source
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update, trigger_failed
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Role
from delivr.tests import factories
from integrations.providers.ci import BuildStatus
from releases.models import Release, ReleaseStatus, ReleaseTarget
from releases.tests.pages import text_of

pytestmark = pytest.mark.on_sqlite

JENKINS = "http://127.0.0.1:1/jenkins"


def page(release):
    return f"/releases/{release.pk}"


def live(release, seen=""):
    return f"/releases/{release.pk}/live?seen={seen}"


@pytest.fixture
def release(setup, owner):
    return setup.release(actor=owner)


@pytest.fixture
def admin(tenant, member_of, client_for):
    return client_for(member_of(tenant, Role.ADMIN))


def run(build, status=BuildStatus.RUNNING, **changes):
    """Apply an update to a build, as if it was polled."""
    values = {"number": 245, "url": f"{JENKINS}/job/ios-prod/245/", **changes}
    apply_update(build.pk, BuildUpdate(status=status, source=Source.POLL, **values))
    build.refresh_from_db()


def build_of(release, setup, number=0):
    """The iOS build, just triggered."""
    [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    return build


def settle(release, state=EffectState.DONE):
    Effect.objects.filter(release_id=release.pk).update(state=state, done_at=timezone.now())


def rest(release):
    """Settle everything, and make the release old enough to refresh rarely."""
    settle(release)
    Release.objects.filter(pk=release.pk).update(created_at=timezone.now() - timedelta(hours=1))


# --- What it shows ------------------------------------------------------------------------------


def test_new_release_says_what_to_do_next(member, release):
    text = text_of(member.get(page(release)))
    assert "Ready to build Trigger the builds when the branch is ready. 0 of 2" in text
    assert "Trigger all builds" in text
    assert text.count("Trigger build (") == 2
    assert "release/1.5.0" in text
    assert "Release 1.5.0 created" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ReleaseStatus.BUILDING, "Trigger the remaining builds."),
        (ReleaseStatus.BUILD_COMPLETE, "Ready for submission All builds are ready"),
        (ReleaseStatus.BUILD_FAILED, "Build failed Check what failed"),
        (ReleaseStatus.CANCELLED, "Cancelled This release was cancelled"),
    ],
)
def test_every_status_has_its_words(viewer, release, status, words):
    Release.objects.filter(pk=release.pk).update(status=status)
    assert words in text_of(viewer.get(page(release)))


def test_cancelled_release_has_no_trigger(member, release):
    Release.objects.filter(pk=release.pk).update(status=ReleaseStatus.CANCELLED)
    assert "/builds" not in member.get(page(release)).content.decode()


def test_viewer_reads_who_can_trigger(viewer, member, release):
    words = "A member of the workspace can trigger builds."
    assert words in text_of(viewer.get(page(release)))
    assert words not in text_of(member.get(page(release)))
    Release.objects.filter(pk=release.pk).update(status=ReleaseStatus.CANCELLED)
    assert words not in text_of(viewer.get(page(release)))


def test_viewer_sees_no_button_and_reads_who_can_retry(viewer, release):
    settle(release, EffectState.DEAD)
    Effect.objects.update(last_error="No right.")
    response = viewer.get(page(release))
    assert "<form" not in response.content.decode().partition("<main")[2]
    assert "A workspace admin can retry this." in text_of(response)


def test_running_build_shows_number_link_and_time_left(viewer, release, setup):
    build = build_of(release, setup)
    started = timezone.now() - timedelta(minutes=4)
    run(build, started_at=started, estimated_ms=600_000)
    response = viewer.get(page(release))
    html, text = response.content.decode(), text_of(response)
    assert f'href="{JENKINS}/job/ios-prod/245/"' in html
    assert "#245" in text
    assert "about 6 min left" in text
    assert 'value="40"' in html or 'value="39"' in html
    assert "Builds are in progress. Not triggered yet: Android." in text
    trigger_builds(release=release, actor=None, pipeline_id=setup.android_job.pk)
    assert "Nothing to do: builds are in progress." in text_of(viewer.get(page(release)))


def test_failed_build_beside_a_running_one_is_not_nothing_to_do(viewer, release, setup):
    run(build_of(release, setup), started_at=timezone.now())
    [failed] = trigger_builds(release=release, actor=None, pipeline_id=setup.android_job.pk)
    run(failed)
    run(failed, BuildStatus.FAILURE)
    text = text_of(viewer.get(page(release)))
    assert "Android did not succeed. Check the reason, then trigger it again." in text
    assert "Nothing to do" not in text


def test_build_beyond_its_estimate_is_not_called_done(viewer, release, setup):
    run(
        build_of(release, setup),
        started_at=timezone.now() - timedelta(hours=1),
        estimated_ms=600_000,
    )
    response = viewer.get(page(release))
    assert "longer than usual" in text_of(response)
    assert 'value="99"' in response.content.decode()


def test_queued_build_says_why_it_waits(viewer, release, setup):
    build = build_of(release, setup)
    run(build, BuildStatus.QUEUED, number=None, queue_id=7, queue_reason="No executor <mac>")
    html = viewer.get(page(release)).content.decode()
    assert "No executor &lt;mac&gt;" in html


def test_web_artifact_is_a_link_and_a_bucket_is_text(viewer, release, setup):
    release.pipelines.filter(platform="IOS").update(artifact_url="https://x.test/a.ipa")
    release.pipelines.filter(platform="ANDROID").update(artifact_url="s3://builds/a.aab")
    html = viewer.get(page(release)).content.decode()
    assert 'href="https://x.test/a.ipa"' in html
    assert "s3://builds/a.aab</code>" in html
    assert 'href="s3:' not in html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//hostile.test"])
def test_address_that_no_browser_should_follow_is_never_a_link(viewer, release, url):
    release.pipelines.update(artifact_url=url, build_url=url, build_number=1)
    ReleaseTarget.objects.update(epic_key="MOBILE-1", epic_url=url)
    assert f'href="{url}"' not in viewer.get(page(release)).content.decode()


def test_every_attempt_stays_on_the_page(viewer, release, setup):
    first = build_of(release, setup)
    run(first)
    run(first, BuildStatus.FAILURE)
    second = build_of(release, setup)
    run(second, number=246, url=f"{JENKINS}/job/ios-prod/246/")
    card = viewer.get(page(release)).context["shown"].pipelines[0]
    assert [(a.number, a.status) for a in card.attempts] == [(246, "RUNNING"), (245, "FAILURE")]
    assert card.number == 246


def test_failed_trigger_says_why_and_what_to_do(member, release, setup):
    build = build_of(release, setup)
    Effect.objects.filter(build_id=build.pk).update(
        state=EffectState.DEAD,
        last_error="Jenkins refused the token.",
        last_error_hint="Create a new one under User > Security.",
    )
    trigger_failed(build.pk, message="Jenkins refused the token.")
    text = text_of(member.get(page(release)))
    assert "Not triggered" in text
    assert "Jenkins refused the token. Create a new one under User &gt; Security." in text
    assert "Trigger again" in text


def test_trigger_in_doubt_is_better_retried_than_made_again(admin, release, setup):
    build = build_of(release, setup)
    Effect.objects.filter(build_id=build.pk).update(
        state=EffectState.DEAD, last_error="No answer.", dispatched_at=timezone.now()
    )
    trigger_failed(build.pk, message="No answer.")
    text = text_of(admin.get(page(release)))
    assert (
        "It may have been received already. Retry checks first, and sends it only if it "
        "is missing. Retry" in text
    )


def test_epic_is_a_link_once_it_is_there(viewer, release, setup):
    ReleaseTarget.objects.filter(target=setup.ios).update(
        epic_key="MOBILE-7", epic_url="https://jira.test/browse/MOBILE-7"
    )
    html = viewer.get(page(release)).content.decode()
    assert 'href="https://jira.test/browse/MOBILE-7"' in html
    assert [epic.key for epic in viewer.get(page(release)).context["shown"].epics] == [
        "MOBILE-7",
        "",
    ]


def test_epic_that_failed_says_why_and_an_admin_can_retry(admin, member, release):
    epic = Effect.objects.filter(kind="ticket.create_epic").first()
    epic.state, epic.last_error, epic.last_error_hint = EffectState.DEAD, "No right.", "Ask Jira."
    epic.save()
    response = admin.get(page(release))
    assert "No right. Ask Jira. Retry" in text_of(response)
    assert f"/activity/effects/{epic.pk}/retry" in response.content.decode()
    assert f"/activity/effects/{epic.pk}/retry" not in member.get(page(release)).content.decode()


def test_message_shows_words_channel_and_state(viewer, release):
    [message] = viewer.get(page(release)).context["shown"].messages
    [sent] = message.sent
    assert (message.text, sent.channel, message.state) == ("Release created", "C123", "PENDING")


def test_same_words_in_several_channels_are_one_entry(viewer, setup):
    slack = setup.slack
    slack.recipients = ["C1", "C2", "C3"]
    slack.checks = [
        {"name": f"channel:C{n}", "ok": ok, "message": text, "level": "ERROR"}
        for n, ok, text in ((1, True, "#mobile"), (2, True, "#qa"), (3, False, "It is archived."))
    ]
    slack.save()
    release = setup.release()
    messages = viewer.get(page(release)).context["shown"].messages
    assert [[sent.channel for sent in one.sent] for one in messages] == [["#mobile", "#qa", "C3"]]
    assert messages[0].state == "PENDING"
    of_channel = Effect.objects.filter(kind="message.post", payload__channel="C2")
    of_channel.update(state=EffectState.DEAD, last_error="Slack said no.")
    response = viewer.get(page(release))
    [message] = response.context["shown"].messages
    assert [sent.state for sent in message.sent] == ["PENDING", "DEAD", "PENDING"]
    words = text_of(response)
    assert "#mobile Waiting #qa Failed C3 Waiting" in words
    assert "#qa Slack said no." in words


def test_same_words_about_another_build_are_another_entry(viewer, release):
    first = Effect.objects.get(kind="message.post")
    first.pk, first.build_id, first.dedupe_key = "eff_another", "bld_another", "another"
    first.save(force_insert=True)
    assert len(viewer.get(page(release)).context["shown"].messages) == 2


def test_release_without_chat_and_tickets_has_no_such_cards(viewer, setup):
    release = factories.ReleaseFactory(tenant=setup.tenant, scm=setup.scm)
    text = text_of(viewer.get(page(release)))
    assert "Messages" not in text
    assert "Epics" not in text


def test_names_from_outside_are_escaped(viewer, release, setup):
    hostile = "<script>alert(1)</script>"
    setup.ios_job.display_name = setup.ios.display_name = hostile
    setup.ios_job.save()
    setup.ios.save()
    Effect.objects.update(last_error=hostile, last_error_hint=hostile, state=EffectState.DEAD)
    html = viewer.get(page(release)).content.decode()
    assert hostile not in html
    assert "&lt;script&gt;alert(1)" in html


# --- Who may see it -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", "/live"])
def test_stranger_finds_nothing(outsider, release, suffix):
    assert outsider.get(page(release) + suffix).status_code == 404
    assert outsider.get(f"/releases/rel_unknown{suffix}").status_code == 404


@pytest.mark.parametrize("path", ["/releases/%00", "/releases/%00/live", "/releases/a'b"])
def test_strange_id_finds_nothing(viewer, setup, path):
    assert viewer.get(path).status_code == 404


# --- Refreshes ----------------------------------------------------------------------------------


def test_page_refreshes_every_second_while_moving_and_rarely_else(viewer, release, setup):
    run(build_of(release, setup))
    settle(release)
    assert 'hx-trigger="every 1s, wake' in viewer.get(page(release)).content.decode()
    run(release.pipelines.get(platform="IOS").builds.get(), BuildStatus.SUCCESS)
    rest(release)
    assert 'hx-trigger="every 30s, wake' in viewer.get(page(release)).content.decode()


def test_nothing_new_leaves_the_page_alone(viewer, release):
    seen = viewer.get(page(release)).context["seen"]
    response = viewer.get(live(release, seen))
    assert (response.status_code, response.content) == (204, b"")


def test_changes_come_as_a_fragment_that_refreshes_again(viewer, release, setup):
    seen = viewer.get(page(release)).context["seen"]
    run(build_of(release, setup))
    response = viewer.get(live(release, seen))
    html = response.content.decode()
    assert response.status_code == 200
    assert "<html" not in html
    assert "#245" in html
    assert f"seen={response.context['seen']}" in html
    assert response.context["seen"] != seen


def test_fragment_ends_the_frequent_refreshes(viewer, release):
    seen = viewer.get(page(release)).context["seen"]
    rest(release)
    response = viewer.get(live(release, seen))
    assert response.status_code == 286
    assert 'hx-trigger="every 30s, wake' in response.content.decode()
    again = viewer.get(live(release, response.context["seen"]))
    assert (again.status_code, again.content) == (204, b"")


def test_steps_show_where_the_release_is(viewer, release, setup):
    def states():
        return [step.state for step in viewer.get(page(release)).context["shown"].steps]

    assert states() == ["CURRENT", "TODO", "TODO", "TODO"]
    build = build_of(release, setup)
    assert states() == ["DONE", "CURRENT", "TODO", "TODO"]
    run(build, BuildStatus.FAILURE)
    assert states() == ["DONE", "CURRENT", "TODO", "TODO"]
    Release.objects.filter(pk=release.pk).update(status="BUILD_COMPLETE")
    assert states() == ["DONE", "DONE", "CURRENT", "TODO"]
    Release.objects.filter(pk=release.pk).update(submitted_at=timezone.now())
    assert states() == ["DONE", "DONE", "DONE", "CURRENT"]
    Release.objects.filter(pk=release.pk).update(released_at=timezone.now())
    assert states() == ["DONE", "DONE", "DONE", "DONE"]
    Release.objects.filter(pk=release.pk).update(
        status="CANCELLED", submitted_at=None, released_at=None
    )
    assert states() == []


def test_log_of_a_build_is_one_click_away(viewer, release, setup):
    build = build_of(release, setup)
    run(build)
    html = viewer.get(page(release)).content.decode()
    assert f'href="{JENKINS}/job/ios-prod/245/console"' in html


def test_page_refreshes_rarely_for_an_effect_that_waits_long(viewer, release):
    rest(release)
    epic = Effect.objects.filter(kind="ticket.create_epic").first()
    Effect.objects.filter(pk=epic.pk).update(
        state=EffectState.PENDING, next_at=timezone.now() + timedelta(minutes=30)
    )
    assert 'hx-trigger="every 15s, wake' in viewer.get(page(release)).content.decode()


def test_status_is_announced_only_when_it_changed(viewer, release, setup):
    seen = viewer.get(page(release)).context["seen"]
    build = build_of(release, setup)
    changed = viewer.get(live(release, seen))
    assert 'role="status" hx-swap-oob' in " ".join(changed.content.decode().split())
    run(build)
    same = viewer.get(live(release, changed.context["seen"]))
    assert same.status_code == 200
    assert "hx-swap-oob" not in same.content.decode()


def test_who_was_signed_out_gets_a_new_page_not_a_form_inside_the_old_one(client, release):
    response = client.get(live(release), headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert client.get(live(release))["Location"].startswith("/accounts/login/")


# --- Numbers of queries -------------------------------------------------------------------------


def queries_of(client, path):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code in (200, 286)
    return len(queries)


def test_history_costs_no_more_queries(viewer, release, setup):
    run(build_of(release, setup))
    few = queries_of(viewer, page(release))
    pipeline = release.pipelines.get(platform="ANDROID")
    for number in range(10):
        build = factories.BuildFactory(release_pipeline=pipeline, status="FAILURE", number=number)
        run(build, BuildStatus.FAILURE, number=None, url="", artifact_url=f"s3://a/{number}")
    for _ in range(20):
        factories.EffectFactory(tenant=setup.tenant, release_id=release.pk)
    assert queries_of(viewer, page(release)) == few
    assert queries_of(viewer, live(release)) <= few
    assert few <= 17
