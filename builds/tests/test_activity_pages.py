"""The pages of one effect and of corrections by polling, and the filters of the lists."""

from datetime import timedelta

import pytest
from django.utils import timezone

from builds.models import Build, BuildEvent
from builds.tests.pages import RECEIVED, SENT, main_of, queries_of
from builds.tests.sending import MALFORMED
from builds.triggering import trigger_builds
from delivr.effects.models import Effect
from delivr.tenants.models import Role
from delivr.tests import factories
from integrations.operations import disconnect
from releases.models import Release
from releases.tests.pages import text_of

pytestmark = [pytest.mark.on_sqlite, pytest.mark.slow]

FOUND_BY_POLLING = "/activity/polled"


@pytest.fixture
def build(release):
    trigger_builds(release=release, actor=None, platform="IOS")
    Build.objects.update(number=245)
    return Build.objects.get()


def ids(response):
    return {line.id for line in response.context["lines"]}


def page_of(effect):
    return f"{SENT}/effects/{effect.pk}"


# --- A pipeline's page ---------------------------------------------------------------------------


def test_pipeline_page_shows_and_links_the_build_that_a_delivery_changed(member, build):
    pipeline = build.pipeline
    delivery = factories.DeliveryFactory(pipeline=pipeline, build=build, state="APPLIED")
    BuildEvent.objects.create(
        tenant=build.tenant,
        build=build,
        delivery=delivery,
        source="WEBHOOK",
        from_status="QUEUED",
        to_status="RUNNING",
        applied=True,
    )
    page = f"/integrations/pipelines/{pipeline.pk}"
    html = main_of(member.get(page))
    assert f'href="/activity/received/{delivery.pk}"' in html
    assert f"{build.audit_label}</a>" in html
    assert html.index("Queued") < html.index("Running")
    before = queries_of(member, page)
    for _n in range(3):
        factories.DeliveryFactory(pipeline=pipeline, build=build, state="APPLIED")
    assert queries_of(member, page) == before


# --- One effect ----------------------------------------------------------------------------------


def test_effect_page_shows_state_and_next_attempt(member, build):
    effect = Effect.objects.get(kind="build.trigger")
    effect.last_error, effect.last_error_hint = "Jenkins did not answer.", "It is retried."
    effect.attempts, effect.reconciles = 3, 2
    effect.next_at = timezone.now() + timedelta(minutes=2)
    effect.save()
    text = text_of(member.get(page_of(effect)))
    assert "Trigger iOS build #245" in text
    assert "Jenkins did not answer. It is retried." in text
    assert "Attempts 3" in text
    assert "Checks for an earlier attempt 2" in text
    assert "What happens next It will be retried. ( in 1 minute )" in text
    assert "Expires in" in text


def test_effect_page_links_cause_and_consequence(member, build):
    trigger = Effect.objects.get(kind="build.trigger")
    delivery = factories.DeliveryFactory(
        pipeline=build.release_pipeline.pipeline, build=build, state="APPLIED"
    )
    html = main_of(member.get(page_of(trigger)))
    assert f'href="{RECEIVED}/{delivery.pk}"' in html
    assert "iOS build #245 triggered" in html


def test_the_list_links_the_effect_and_the_effect_its_result(member, setup):
    effect = factories.EffectFactory(
        tenant=setup.tenant, state="DONE", result={"url": "https://slack.example/p1"}
    )
    assert f'href="{page_of(effect)}"' in main_of(member.get(SENT))
    assert 'href="https://slack.example/p1"' in main_of(member.get(page_of(effect)))


@pytest.mark.parametrize(("role", "buttons"), [(Role.VIEWER, 0), (Role.MEMBER, 0), (Role.ADMIN, 3)])
def test_buttons_are_for_admins(as_role, build, role, buttons):
    effect = Effect.objects.get(kind="build.trigger")
    Effect.objects.filter(pk=effect.pk).update(state="DEAD")
    html = main_of(as_role(role).get(page_of(effect)))
    verbs = [f"{page_of(effect)}/{verb}" for verb in ("retry", "cancel", "adopt")]
    assert sum(verb in html for verb in verbs) == buttons


def test_a_button_leads_back_to_the_effect_page(as_role, setup):
    effect = factories.EffectFactory(tenant=setup.tenant, state="DEAD")
    answer = as_role(Role.ADMIN).post(f"{page_of(effect)}/retry", {"next": page_of(effect)})
    assert answer["Location"] == page_of(effect)


def test_effect_page_of_a_disconnected_pipeline_still_works(member, build):
    Release.objects.update(status="CANCELLED")
    disconnect(build.release_pipeline.pipeline, actor=None)
    assert "iOS build #245" in main_of(member.get(page_of(Effect.objects.first())))


def test_stranger_finds_no_effect_page(outsider, build):
    assert outsider.get(page_of(Effect.objects.first())).status_code == 404


def test_hostile_words_are_escaped_on_the_effects_page(member, setup):
    hostile = "<script>alert(1)</script>"
    effect = factories.EffectFactory(
        tenant=setup.tenant,
        kind=hostile[:40],
        last_error=hostile,
        last_error_hint=hostile,
        result={"url": "javascript:alert(1)"},
        payload={"channel": hostile, "notice": hostile, "words": {}},
    )
    html = main_of(member.get(page_of(effect)))
    assert "<script>alert" not in html
    assert "javascript:" not in html


def test_effect_page_takes_the_same_queries_for_many_consequences(member, build):
    trigger = Effect.objects.get(kind="build.trigger")
    pipeline = build.release_pipeline.pipeline

    def follow(count):
        factories.DeliveryFactory.create_batch(count, pipeline=pipeline, build=build)
        factories.EffectFactory.create_batch(
            count,
            tenant=build.tenant,
            build_id=build.pk,
            release_id=trigger.release_id,
        )

    follow(1)
    few = queries_of(member, page_of(trigger))
    follow(40)
    assert queries_of(member, page_of(trigger)) == few <= 14


# --- Filters --------------------------------------------------------------------------------------


def test_effects_are_found_by_every_id_and_by_version(member, build, setup):
    trigger = Effect.objects.get(kind="build.trigger")
    other = factories.EffectFactory(tenant=setup.tenant)
    for word in (trigger.pk, build.pk, trigger.integration_id):
        assert ids(member.get(SENT, {"q": f" {word} "})) == {trigger.pk}
    for word in (trigger.release_id, build.release_pipeline.release.version):
        found = ids(member.get(SENT, {"q": word}))
        assert trigger.pk in found
        assert other.pk not in found


def test_kind_state_and_word_are_combined(member, build, setup):
    factories.EffectFactory(tenant=setup.tenant, kind="build.trigger", state="DEAD")
    trigger = Effect.objects.get(kind="build.trigger", state="PENDING")
    asked = {"kind": "build.trigger", "state": "PENDING"}
    page = member.get(SENT, asked)
    assert ids(page) == {trigger.pk}
    assert f"{SENT}?kind=build.trigger&amp;state=DEAD" in main_of(page)
    assert ids(member.get(SENT, {**asked, "q": "eff_nobody"})) == set()


def test_deliveries_are_found_by_every_id_and_by_pipeline(member, build, setup):
    pipeline = build.release_pipeline.pipeline
    mine = factories.DeliveryFactory(pipeline=pipeline, build=build, dedupe_key="id:msg_7")
    other = factories.DeliveryFactory(pipeline=setup.android_job, dedupe_key="github:guid")
    words = (mine.pk, build.pk, "msg_7", build.release_pipeline.release_id, "1.5.0", pipeline.pk)
    for word in words:
        assert ids(member.get(RECEIVED, {"q": word})) == {mine.pk}
    assert ids(member.get(RECEIVED, {"q": "guid"})) == {other.pk}
    assert ids(member.get(RECEIVED, {"pipeline": setup.android_job.pk})) == {other.pk}


@pytest.mark.parametrize("path", [SENT, RECEIVED])
@pytest.mark.parametrize("word", ["a\x00b", "'; --", "\ud83d\ude80", "%", "x" * 5000, "\u202e"])
def test_an_odd_word_finds_nothing_and_breaks_nothing(member, build, path, word):
    word = word.encode("utf-16", "surrogatepass").decode("utf-16")
    page = member.get(path, {"q": word, "kind": word, "pipeline": word, "state": word})
    assert page.status_code == 200
    assert page.context["lines"] == []


def test_a_strangers_id_finds_nothing(outsider, build):
    trigger = Effect.objects.get(kind="build.trigger")
    for word in (trigger.pk, build.pk, trigger.release_id, "1.5.0"):
        assert ids(outsider.get(SENT, {"q": word})) == set()


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("trust", ["SIGNED", "GITHUB"])
def test_a_malformed_body_is_shown_and_breaks_no_page(member, setup, name, trust):
    delivery = factories.DeliveryFactory(
        pipeline=setup.ios_job, body=MALFORMED[name], trust=trust, event="workflow_run"
    )
    html = main_of(member.get(f"{RECEIVED}/{delivery.pk}"))
    assert "<html>login" not in html


# --- Corrections by polling -----------------------------------------------------------------------


def correct(build, detail="Jenkins says “Succeeded”, we had “Running”.", **values):
    return BuildEvent.objects.create(
        tenant=build.tenant,
        build=build,
        detail=detail,
        **{
            "source": "POLL",
            "applied": True,
            "from_status": "RUNNING",
            "to_status": "SUCCESS",
            **values,
        },
    )


def test_a_correction_by_polling_is_listed(member, build):
    correct(build)
    text = text_of(member.get(FOUND_BY_POLLING))
    assert "iOS #245 1.5.0 Jenkins says “Succeeded”, we had “Running”." in text


def test_other_events_are_not_listed(member, build):
    correct(build, detail="")
    correct(build, source="WEBHOOK")
    correct(build, applied=False)
    correct(build, from_status="QUEUED", to_status="RUNNING", detail="Waiting for an executor")
    assert "Nothing detected by polling" in text_of(member.get(FOUND_BY_POLLING))


def test_many_corrections_take_as_many_queries_as_one(member, outsider, build):
    correct(build)
    few = queries_of(member, FOUND_BY_POLLING)
    for _n in range(60):
        correct(build)
    assert queries_of(member, FOUND_BY_POLLING) == few
    assert "Jenkins says" not in main_of(outsider.get(FOUND_BY_POLLING))
