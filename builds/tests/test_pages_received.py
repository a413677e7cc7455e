"""The page of received deliveries."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from builds.models import Build, DeliveryState, WebhookDelivery
from builds.tests.pages import RECEIVED, main_of, queries_of
from builds.triggering import trigger_builds
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.tests.pages import text_of

pytestmark = pytest.mark.on_sqlite


def test_without_deliveries_the_page_says_where_the_address_is(member):
    assert "Nothing received yet" in text_of(member.get(RECEIVED))


def test_line_shows_pipeline_state_reason_and_build(member, release, setup):
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


def test_received_list_stops_refreshing_when_nothing_is_open(member, setup):
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


def test_dropped_body_is_mentioned(member, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, body=b"", state="APPLIED")
    assert "was deleted" in text_of(member.get(f"{RECEIVED}/{delivery.pk}"))


def test_stranger_finds_no_delivery(outsider, setup):
    delivery = factories.DeliveryFactory(pipeline=setup.ios_job, body=b"canary")
    assert outsider.get(f"{RECEIVED}/{delivery.pk}").status_code == 404
    assert outsider.get(RECEIVED).context["lines"] == []
