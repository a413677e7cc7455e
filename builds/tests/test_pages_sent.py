"""The page of sent effects, and the buttons that retry and cancel them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from builds.models import Build
from builds.tests.pages import SENT, main_of, queries_of
from builds.triggering import trigger_builds
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.tests.pages import message_of, text_of

pytestmark = pytest.mark.on_sqlite

# --- Sent ----------------------------------------------------------------------------------------


def test_empty_list_says_what_will_be_there(member):
    assert "Nothing sent yet" in text_of(member.get(SENT))


def test_line_shows_effect_release_and_state(member, release):
    text = text_of(member.get(SENT))
    assert "Message “Release created” to C123 1.5.0 Waiting 0" in text
    assert text.count("Epic 1.5.0 Waiting") == 2


def test_trigger_is_shown_with_its_build(member, release):
    trigger_builds(release=release, actor=None, platform="IOS")
    build = Build.objects.get()
    Build.objects.update(number=245)
    factories.EffectFactory(tenant=release.tenant, build_id=build.pk)
    text = text_of(member.get(SENT))
    assert "Trigger iOS build #245 1.5.0" in text
    assert text.count("Message “") == 2


def test_failure_is_shown_with_hint_and_next_attempt(member, setup):
    factories.EffectFactory(
        tenant=setup.tenant,
        attempts=3,
        last_error="Slack did not answer.",
        last_error_hint="It is retried.",
        next_at=timezone.now() + timedelta(minutes=2),
    )
    text = text_of(member.get(SENT))
    assert "Slack did not answer. It is retried." in text
    assert "3 attempts next attempt in 1 minute" in text


def test_state_filters_the_list_and_nonsense_does_not(member, setup):
    for state in EffectState:
        factories.EffectFactory(tenant=setup.tenant, state=state)
    shown = member.get(SENT, {"state": "DEAD"}).context["lines"]
    assert [line.state for line in shown] == ["DEAD"]
    assert len(member.get(SENT, {"state": "'"}).context["lines"]) == len(EffectState)


def test_empty_filter_says_so(member, release):
    assert "No matches" in text_of(member.get(SENT, {"state": "DEAD"}))


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


def test_list_refreshes_only_while_something_is_open(member, release):
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
    hostile = "<script>alert(1)</script>"
    factories.EffectFactory(
        tenant=setup.tenant,
        last_error=hostile,
        last_error_hint=hostile,
        payload={"channel": hostile, "notice": hostile, "words": {}},
        result={"url": "javascript:alert(1)"},
    )
    html = main_of(member.get(SENT))
    assert hostile not in html
    assert "javascript:" not in html


# --- Retry and cancel ----------------------------------------------------------------------------


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


def test_an_effect_in_progress_is_refused_in_words(admin, setup):
    leased = factories.EffectFactory(tenant=setup.tenant, state=EffectState.LEASED)
    for verb in ("retry", "cancel"):
        response = admin.post(f"/activity/effects/{leased.pk}/{verb}", follow=True)
        assert message_of(response)
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
        ("//hostile.test/x", SENT),
        ("https://hostile.test/", SENT),
        ("http:///hostile.test", SENT),
        ("/\\hostile.test", SENT),
        ("javascript:alert(1)", SENT),
        ("releases", SENT),
    ],
)
def test_retry_returns_to_this_site_alone(admin, dead, wanted, got):
    response = admin.post(f"/activity/effects/{dead.pk}/retry", {"next": wanted})
    assert response["Location"] == got
