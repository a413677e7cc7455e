"""The list of releases."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivr.tests import factories
from releases.models import ReleasePipeline, ReleaseStatus
from releases.tests.pages import text_of

LIST = "/releases"


def test_unfinished_setup_without_releases_leads_to_the_setup(viewer):
    response = viewer.get(LIST)
    assert (response.status_code, response["Location"]) == (302, "/setup")


def test_releases_stay_reachable_when_a_connection_breaks(viewer, tenant):
    factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    assert "1.5.0" in text_of(viewer.get(LIST))


def test_empty_list_shows_a_member_the_next_step(member, setup):
    text = text_of(member.get(LIST))
    assert "No releases yet" in text
    assert "Create a release" in text


def test_viewer_sees_no_button(viewer, setup):
    setup.release()
    assert "/releases/new" not in viewer.get(LIST).content.decode()


def test_line_shows_version_status_and_each_pipelines_build(viewer, setup, owner):
    release = setup.release(actor=owner)
    release.pipelines.filter(platform="IOS").update(build_status="RUNNING", build_number=245)
    release.status = ReleaseStatus.BUILDING
    release.save()
    text = text_of(viewer.get(LIST))
    assert "1.5.0" in text
    assert "Building iOS #245 Running Android Not started" in text
    assert owner.email in text


def test_two_pipelines_of_one_platform_are_told_apart_by_name(viewer, setup, owner):
    release = setup.release(actor=owner)
    android = release.pipelines.get(platform="ANDROID")
    other = factories.PipelineFactory(tenant=release.tenant, display_name="Nightly")
    twin = factories.ReleasePipelineFactory(
        release=release, platform="ANDROID", pipeline=other, build_number=7
    )
    text = text_of(viewer.get(LIST))
    assert f"{android.pipeline} Not started" in text
    assert f"{twin.pipeline} #7" in text
    assert "Android Not started" not in text
    assert "iOS Not started" in text  # which has no twin


@pytest.mark.parametrize(
    ("tab", "shown"),
    [
        ("needs-you", {"new", "failed", "one-failed", "half", "approval"}),
        ("building", {"building", "on-its-way"}),
        ("ready", {"ready", "submitted"}),
        ("done", {"released", "cancelled"}),
        ("nonsense", {"new", "failed", "one-failed", "half", "approval"}),
    ],
)
def test_tab_shows_its_releases(viewer, setup, tab, shown):
    now = timezone.now()
    for version, status, builds, marks in (
        ("new", "KICKOFF_PENDING", ["PENDING", "PENDING"], {}),
        ("failed", "BUILD_FAILED", ["FAILURE", "SUCCESS"], {}),
        ("one-failed", "BUILDING", ["FAILURE", "RUNNING"], {}),
        ("half", "BUILDING", ["SUCCESS", "PENDING"], {}),
        ("approval", "BUILDING", ["WAITING", "RUNNING"], {}),
        ("building", "BUILDING", ["RUNNING", "SUCCESS"], {}),
        ("on-its-way", "BUILDING", ["QUEUED", "PENDING"], {}),
        ("ready", "BUILD_COMPLETE", ["SUCCESS", "SUCCESS"], {}),
        ("submitted", "BUILD_COMPLETE", ["SUCCESS", "SUCCESS"], {"submitted_at": now}),
        ("released", "BUILD_COMPLETE", ["SUCCESS", "SUCCESS"], {"released_at": now}),
        ("cancelled", "CANCELLED", ["SUCCESS", "CANCELLED"], {}),
    ):
        release = factories.ReleaseFactory(
            tenant=setup.tenant, scm=setup.scm, version=version, status=status, **marks
        )
        for job, build in zip((setup.ios_job, setup.android_job), builds, strict=True):
            factories.ReleasePipelineFactory(release=release, pipeline=job, build_status=build)
    response = viewer.get(LIST, {"tab": tab})
    assert {release.version for release in response.context["page"].items} == shown
    assert [item["count"] for item in response.context["tabs"]] == [5, 2, 2, 2]


def test_search_finds_a_part_of_the_version_and_keeps_the_tab(viewer, setup):
    for version in ("1.5.0", "2.5.0", "3.0.0"):
        factories.ReleaseFactory(tenant=setup.tenant, scm=setup.scm, version=version)
    response = viewer.get(LIST, {"q": "5.0", "tab": "needs-you"})
    assert {release.version for release in response.context["page"].items} == {"1.5.0", "2.5.0"}
    assert response.context["tabs"][1]["href"] == "?q=5.0&tab=building"


def test_search_without_a_match_says_so(viewer, setup):
    setup.release()
    assert "No release has" in text_of(viewer.get(LIST, {"q": "9.9"}))


@pytest.mark.parametrize("query", ["\x00", "%", "'", "<script>", "x" * 500])
def test_strange_search_is_answered(viewer, setup, query):
    response = viewer.get(LIST, {"q": query})
    assert response.status_code == 200
    assert "<script>" not in response.content.decode().partition("<main")[2]


def test_other_workspaces_releases_are_not_listed(outsider, setup):
    setup.release("7.7.7")
    factories.ReleaseFactory(tenant=outsider.get("/settings/").wsgi_request.tenant, version="1.0")
    assert "7.7.7" not in text_of(outsider.get(LIST))


def test_anonymous_is_asked_to_sign_in(client, db):
    assert client.get(LIST)["Location"].startswith("/accounts/login/")


def fill(setup, count):
    releases = factories.ReleaseFactory.build_batch(count, tenant=setup.tenant, scm=setup.scm)
    type(releases[0]).objects.bulk_create(releases)
    ReleasePipeline.objects.bulk_create(
        ReleasePipeline(
            tenant=setup.tenant, release=release, pipeline=job, platform="IOS", job_path="/job/x"
        )
        for release in releases
        for job in (setup.ios_job, setup.android_job)
    )


def queries_of(client, path):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_a_thousand_releases_cost_as_many_queries_as_one(viewer, setup):
    fill(setup, 1)
    few = queries_of(viewer, LIST)
    fill(setup, 999)
    assert queries_of(viewer, LIST) == few
    assert queries_of(viewer, f"{LIST}?page=40") <= few
    assert few <= 10


def test_pages_are_walked_through_in_both_directions(viewer, setup):
    fill(setup, 60)
    seen, url = [], LIST
    while url:
        page = viewer.get(url).context["page"]
        seen += [release.pk for release in page.items]
        previous, url = page.previous_url, page.next_url
    assert len(seen) == len(set(seen)) == 60
    assert previous == "/releases?page=2"


@pytest.mark.parametrize("page", ["0", "-1", "x", "²", "99999999999", "1000"])
def test_senseless_page_is_answered(viewer, setup, page):
    setup.release()
    assert viewer.get(LIST, {"page": page}).status_code == 200


def test_a_long_tab_says_that_there_are_more(viewer, setup, monkeypatch):
    fill(setup, 4)
    monkeypatch.setattr("releases.tabs.MOST", 3)
    assert [tab["count"] for tab in viewer.get(LIST).context["tabs"]] == ["3+", 0, 0, 0]
    monkeypatch.setattr("releases.tabs.MOST", 4)
    assert [tab["count"] for tab in viewer.get(LIST).context["tabs"]] == [4, 0, 0, 0]


@pytest.mark.parametrize("few", [0, 2, 200])
def test_search_finds_the_same_however_many_versions_fit(viewer, setup, monkeypatch, few):
    monkeypatch.setattr("releases.models.FEW_VERSIONS", few)
    for version in ("1.5.0", "1.50.0", "2.1.5-RC", "3.0"):
        factories.ReleaseFactory(tenant=setup.tenant, scm=setup.scm, version=version)
    for part, found in (("1.5", 3), ("-rc", 1), ("%", 0), ("", 4)):
        page = viewer.get(LIST, {"q": part}).context["page"]
        assert len(page.items) == found, part
