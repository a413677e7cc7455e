"""The dry run beside the form of a new release."""

from __future__ import annotations

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tests import factories
from releases.models import Release
from releases.tests.pages import text_of

PREVIEW = "/releases/new/preview"
LIVE = {"HTTP_HX_REQUEST": "true"}


def test_version_is_suggested_and_the_others_are_offered(member, setup):
    setup.release(version="1.5.0")
    page = member.get("/releases/new")
    assert page.context["form"]["version"].initial == "1.6.0"
    for version in ("1.6.0", "1.5.1", "2.0.0"):
        assert f'<option value="{version}">' in page.content.decode()


def test_dry_run_shows_jobs_messages_and_epics_and_touches_nothing(member, setup):
    before = AuditEvent.objects.count()
    page = member.post(PREVIEW, setup.form(version="1.5.0"), **LIVE)
    text = text_of(page)
    for words in (
        "Release 1.5.0 from release/1.5.0 can be created",
        "Release 1.5.0: iOS",
        "📦 Release 1.5.0 created",
        "DELIVR_BUILD_ID",
        setup.ios_job.job,
    ):
        assert words in text
    assert "<html" not in page.content.decode()
    assert not Release.objects.exists()
    assert not Effect.objects.exists()
    assert AuditEvent.objects.count() == before


def test_errors_are_shown_at_their_fields_before_anything_is_sent(member, setup):
    setup.release(version="1.5.0")
    page = member.post(PREVIEW, setup.form(version="1.5.0", branch="a..b"), **LIVE)
    html = page.content.decode()
    assert "Not possible yet" in html
    assert "Release 1.5.0 of com.dream11.app already exists." in html
    assert f'href="/releases/{Release.objects.get().pk}"' in html
    assert 'id="id_version_error"' in html
    assert 'id="id_branch_error"' in html
    assert html.count("hx-swap-oob") == len(page.context["form"].visible_fields()) + 2


def test_a_taken_version_that_is_released_is_shown_as_released(member, setup):
    release = setup.release(version="1.5.0")
    Release.objects.filter(pk=release.pk).update(
        status="BUILD_COMPLETE", released_at=release.created_at
    )
    html = member.post(PREVIEW, setup.form(version="1.5.0"), **LIVE).content.decode()
    assert "Released" in html
    assert "Ready for submission" not in html


def test_without_javascript_the_whole_page_comes_back_with_the_preview(member, setup):
    page = member.post(PREVIEW, setup.form(version="1.7.0"))
    html = page.content.decode()
    assert "<html" in html
    assert "can be created" in html
    assert 'value="1.7.0"' in html
    assert "hx-swap-oob" not in html


def test_foreign_connection_is_unknown(member, setup):
    theirs = factories.ScmFactory()
    page = member.post(PREVIEW, setup.form(scm=theirs.pk), **LIVE)
    assert "Not possible yet" in page.content.decode()
    assert str(theirs) not in page.content.decode()


def test_viewer_may_not(viewer, setup):
    assert viewer.post(PREVIEW, setup.form(), **LIVE).status_code == 403
