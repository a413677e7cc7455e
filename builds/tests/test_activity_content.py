"""What the page of an effect shows of what was sent: text, parameters, a link, and no secret."""

import pytest

from builds.models import Build, TestBuild
from builds.testbuilds.operations import start_test
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.tests import factories
from releases.tests.pages import text_of

pytestmark = pytest.mark.on_sqlite


def page_of(effect):
    return f"/activity/effects/{effect.pk}"


@pytest.fixture
def trigger(release):
    trigger_builds(release=release, actor=None, platform="IOS")
    return Effect.objects.get(kind="build.trigger")


def test_message_shows_its_text_and_leads_to_it(member, release):
    effect = Effect.objects.filter(kind="message.post").first()
    text = text_of(member.get(page_of(effect)))
    assert "What will be sent" in text
    assert f"📦 Release {release.version} created" in text
    assert f"Branch `{release.branch}`" in text
    Effect.objects.update(
        state=EffectState.DONE, result={"ts": "1", "url": "https://slack.example/archives/C1/p1"}
    )
    page = member.get(page_of(effect))
    assert "What was sent" in text_of(page)
    assert "Open in Slack" in text_of(page)
    assert 'href="https://slack.example/archives/C1/p1"' in page.content.decode()


def test_words_of_a_message_are_no_markup(member, release):
    effect = Effect.objects.filter(kind="message.post").first()
    effect.payload |= {"notice": "build_failed", "words": {"platform": "<b>iOS</b>", "number": 1}}
    effect.save()
    html = member.get(page_of(effect)).content.decode()
    assert "&lt;b&gt;iOS&lt;/b&gt; build #1" in html
    assert "<b>iOS</b>" not in html


def test_epic_shows_its_title_and_text(member, release):
    effect = Effect.objects.filter(kind="ticket.create_epic").first()
    text = text_of(member.get(page_of(effect)))
    assert f"Release {release.version}: " in text
    assert f"built from {release.branch}." in text


def test_trigger_shows_the_job_and_every_parameter(member, trigger):
    build = Build.objects.get()
    build.parameters |= {"NOTES": "one\ntwo"}
    build.url = "https://jenkins.example/job/ios/7/"
    build.save()
    page = member.get(page_of(trigger))
    text = text_of(page)
    for part in (build.job_path, "VERSION", "BRANCH", build.parameters["BRANCH"], build.pk):
        assert part in text
    assert "one<br>two" in page.content.decode()
    assert 'href="https://jenkins.example/job/ios/7/"' in page.content.decode()


def test_secret_among_the_parameters_is_masked(member, trigger):
    build = Build.objects.get()
    token = "11example00token00that00is00stored"
    pipeline = build.pipeline
    pipeline.api_token = token
    pipeline.save()
    build.parameters |= {"COPIED": f"x{token}y", "DEPLOY_TOKEN": "hunter2hunter2", "FLAVOR": "prod"}
    build.save()
    html = member.get(page_of(trigger)).content.decode()
    assert "prod" in html
    assert token not in html
    assert "hunter2" not in html


def test_test_build_shows_its_parameters(member, setup):
    test = start_test(pipeline=setup.ios_job, actor=None, version="0.0.1", branch="main")
    text = text_of(member.get(page_of(Effect.objects.get(kind="build.test"))))
    assert TestBuild.objects.get().job_path in text
    assert test.pk in text


def test_mail_shows_no_content(member, setup):
    effect = factories.EffectFactory(tenant=setup.tenant, kind="mail.send")
    assert 'id="content"' not in member.get(page_of(effect)).content.decode()
