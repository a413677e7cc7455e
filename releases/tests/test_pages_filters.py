"""The filters of the list of releases, on the page and in the API."""

import re

import pytest
from rest_framework.test import APIClient

from delivr.tenants.models import Role
from delivr.tenants.operations import create_token
from delivr.tests import factories
from releases.models import ReleasePipeline
from releases.tests.pages import text_of
from releases.tests.test_pages_list import queries_of

pytestmark = pytest.mark.on_both

LIST = "/releases"


@pytest.fixture
def three(setup, owner, member_of):
    """1.0: iOS failed, Android succeeded. 2.0: both run. 3.0: iOS alone, waits, by another."""
    bob = member_of(setup.tenant, Role.MEMBER)
    states = {
        "1.0": {"IOS": "FAILURE", "ANDROID": "SUCCESS"},
        "2.0": {"IOS": "RUNNING", "ANDROID": "QUEUED"},
        "3.0": {"IOS": "PENDING"},
    }
    for version, builds in states.items():
        release = factories.ReleaseFactory(
            tenant=setup.tenant,
            scm=setup.scm,
            version=version,
            created_by=bob if version == "3.0" else owner,
        )
        for platform, status in builds.items():
            job = setup.ios_job if platform == "IOS" else setup.android_job
            ReleasePipeline.objects.create(
                tenant=setup.tenant,
                release=release,
                pipeline=job,
                platform=platform,
                job_path="/job/x",
                build_status=status,
            )
    return {"owner": owner.email, "bob": bob.email}


@pytest.fixture
def api(tenant, owner):
    client = APIClient()
    _token, text = create_token(tenant=tenant, user=owner, role=Role.VIEWER)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def shown(response):
    return {release.version for release in response.context["page"].items}


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ({"platform": "ANDROID"}, {"1.0", "2.0"}),
        ({"build": "failed"}, {"1.0"}),
        ({"build": "moving"}, {"2.0"}),
        ({"build": "missing"}, {"3.0"}),
        ({"build": "failed", "platform": "ANDROID"}, set()),
        ({"build": "succeeded", "platform": "ANDROID"}, {"1.0"}),
        ({"by": "bob"}, {"3.0"}),
        ({"by": "owner", "q": "2"}, {"2.0"}),
        ({"by": "nobody@example.com"}, set()),
        ({"platform": "SYMBIAN", "build": "x"}, {"1.0", "2.0", "3.0"}),
        ({"by": "\0", "platform": "\0", "build": "\0"}, {"1.0", "2.0", "3.0"}),
    ],
)
def test_list_is_filtered(viewer, three, query, versions):
    query = {name: three.get(text, text) for name, text in query.items()}
    assert shown(viewer.get(LIST, query)) == versions


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ({"platform": "ANDROID"}, {"1.0", "2.0"}),
        ({"buildStatus": "FAILURE", "platform": "IOS"}, {"1.0"}),
        ({"buildStatus": "FAILURE", "platform": "ANDROID"}, set()),
        ({"createdBy": "bob"}, {"3.0"}),
        ({"version": "2"}, {"2.0"}),
        ({"status": "CANCELLED"}, set()),
        ({"status": "KICKOFF_PENDING"}, {"1.0", "2.0", "3.0"}),
    ],
)
def test_api_has_the_same_filters(api, three, query, versions):
    query = {name: three.get(text, text) for name, text in query.items()}
    answer = api.get("/api/v1/releases", query).json()
    assert {release["version"] for release in answer["results"]} == versions


def test_api_names_every_unknown_choice(api, three):
    answer = api.get("/api/v1/releases", {"platform": "SYMBIAN", "status": "X", "buildStatus": "Y"})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"platform", "status", "buildStatus"}
    assert answer.json()["errors"]["platform"] == ["Choose one of: IOS, ANDROID."]


def test_each_chip_links_the_list_without_it(viewer, three):
    response = viewer.get(LIST, {"platform": "IOS", "build": "missing", "by": three["bob"]})
    chips = {chip.label: chip.href for chip in response.context["chips"]}
    assert set(chips) == {"iOS", "Builds: Not started", f"Created by {three['bob']}"}
    without = viewer.get(LIST + chips["Builds: Not started"])
    assert [chip.label for chip in without.context["chips"]] == [
        "iOS",
        f"Created by {three['bob']}",
    ]
    assert re.search(r'href="\?tab=needs-you">\s*Clear filters', response.content.decode())


def test_folded_filters_say_how_many_are_active(viewer, three):
    assert "Filters Platform" in text_of(viewer.get(LIST))
    query = {"q": "1", "platform": "IOS", "build": "missing"}
    assert "Filters 2 Platform" in text_of(viewer.get(LIST, query))


def test_pages_and_tabs_keep_the_filters(viewer, three, setup):
    response = viewer.get(LIST, {"platform": "IOS", "tab": "ready"})
    assert response.context["tabs"][0]["href"] == "?platform=IOS&tab=needs-you"
    assert [tab["count"] for tab in response.context["tabs"]] == [3, 0, 0, 0]


def test_empty_list_says_what_to_drop(viewer, three):
    response = viewer.get(LIST, {"platform": "ANDROID", "build": "missing", "tab": "needs-you"})
    text = text_of(response)
    assert "No release matches these filters" in text
    assert "Without “Android”: 1 release " in text
    assert "Without “Builds: Not started”: 2 releases" in text
    for chip in response.context["drops"]:
        assert len(shown(viewer.get(LIST + chip.href))) == chip.found


def test_former_member_can_still_be_chosen(viewer, three, setup):
    setup.tenant.members.through.objects.filter(user__email=three["bob"]).delete()
    response = viewer.get(LIST, {"by": three["bob"]})
    assert shown(response) == {"3.0"}
    assert f'value="{three["bob"]}"' in response.content.decode()


def test_members_of_another_workspace_are_not_offered(outsider, three):
    assert three["bob"] not in outsider.get(LIST, {"q": "1"}).content.decode()


def test_filters_take_no_more_queries(viewer, three):
    few = queries_of(viewer, LIST)
    filtered = f"{LIST}?platform=IOS&build=failed&by={three['owner']}"
    assert queries_of(viewer, filtered) == few
    assert queries_of(viewer, f"{filtered}&q=1") == few + 1  # which versions contain it
