"""The page of the audit log, its files and its API."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from builds.triggering import trigger_builds
from delivr.audit.export import as_csv
from delivr.audit.models import AuditEvent
from delivr.audit.operations import record
from delivr.audit.sealing import seal
from delivr.audit.wording import ACTIONS, NOTICED
from delivr.pages.spreadsheet import cell
from delivr.tenants.models import Role
from delivr.tenants.operations import create_token, revoke_token
from delivr.tests import factories
from delivr.tests.tampering import tampering

pytestmark = pytest.mark.django_db
PAGE, CSV, JSON = "/settings/audit", "/settings/audit/export.csv", "/settings/audit/export.json"


@pytest.fixture
def as_role(tenant: Any, member_of: Any, client_for: Any) -> Any:
    return lambda role: client_for(member_of(tenant, role))


def main_of(response: Any) -> str:
    text: str = response.content.decode().partition("<main")[2]
    return text


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def test_page_says_who_did_what(as_role: Any, tenant: Any, owner: Any) -> None:
    release = factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    factories.ReleasePipelineFactory(release=release, platform="IOS")
    trigger_builds(release=release, actor=owner)
    html = main_of(as_role(Role.VIEWER).get(PAGE))
    assert f"<strong>{owner.email}</strong>" in html
    assert "triggered a build of iOS 1.5.0" in html
    assert "Release 1.5.0 changed its status" in html
    assert "delivr</strong>" not in html  # no person did it


def test_page_shows_values_before_and_after(as_role: Any, tenant: Any) -> None:
    changes = {
        "status": ["BUILDING", "BUILD_FAILED"],
        "access_token": "changed",
        "skipped_steps": [[], ["tickets", "communication"]],
        "note": ["", "word"],
        "detail": ["word", ""],
        "role": [None, "MEMBER"],
        "factor": ["totp", None],
    }
    record(tenant=tenant, actor=None, action="release.status", changes=changes)
    html = main_of(as_role(Role.VIEWER).get(PAGE))
    assert "<del>Building</del>" in html
    assert "<ins>Build failed</ins>" in html
    assert "<ins>tickets, communication</ins>" in html
    assert "<ins>word</ins>" in html
    assert "<ins>Member</ins>" in html
    assert "<del>authenticator app</del>" in html
    assert "<ins>–</ins>" in html
    assert "changed" in html
    assert AuditEvent.objects.get().at.strftime("%H:%M:%S") in html  # exact, on hover


def test_page_shows_the_parameters_of_a_pipeline(as_role: Any, tenant: Any) -> None:
    changes = {"parameters": [{}, {"LANE": "beta", "FAST": "1"}]}
    record(tenant=tenant, actor=None, action="integration.edited", changes=changes)
    assert "<ins>FAST=1, LANE=beta</ins>" in main_of(as_role(Role.VIEWER).get(PAGE))


@pytest.mark.parametrize(
    "name",
    ["00010101T000000+1400", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1:2"],
)
def test_a_name_that_looks_like_an_invalid_time_is_shown_unchanged(
    as_role: Any, tenant: Any, name: str
) -> None:
    """The first is a valid version of a release."""
    record(tenant=tenant, actor=None, action="release.status", changes={"version": ["", name]})
    assert f"<ins>{name}</ins>" in main_of(as_role(Role.VIEWER).get(PAGE))


def test_page_shows_names_of_connections_and_channels(as_role: Any, tenant: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    checks = [{"name": "channel:C123", "ok": True, "message": "#releases"}]
    chat = factories.SlackFactory(tenant=tenant, recipients=["C123"], checks=[])
    changes = {"scm": [None, scm.pk], "slack_channels": [["C9"], ["C123"]]}
    record(tenant=tenant, actor=None, action="integration.edited", subject=chat, changes=changes)
    chat.checks = checks
    chat.save()
    html = main_of(as_role(Role.VIEWER).get(PAGE))
    assert "edited Slack · #releases" in html
    assert f"<ins>{scm}</ins>" in html
    assert "<del>C9</del>" in html
    assert "<ins>#releases</ins>" in html


def test_page_shows_names_of_tokens_and_readable_times(
    as_role: Any, tenant: Any, owner: Any
) -> None:
    token, _text = create_token(tenant=tenant, user=owner, role="MEMBER", name="CI of the app")
    revoke_token(token=token, actor=owner)
    html = main_of(as_role(Role.VIEWER).get(PAGE))
    assert "created the API token CI of the app" in html
    assert "revoked the API token CI of the app" in html
    assert f"{date_format(timezone.localtime(token.expires_at), 'j M Y, H:i')} UTC" in html
    assert not re.search(r"\d{4}-\d\d-\d\d[T ]\d\d", re.sub("<[^>]*>", " ", html))


def test_page_shows_nothing_of_other_workspaces(
    client_for: Any, stranger: Any, tenant: Any, owner: Any
) -> None:
    record(tenant=tenant, actor=owner, action="secret.action", subject=tenant)
    client = client_for(stranger)
    assert "secret.action" not in client.get(PAGE).content.decode()
    for path in (CSV, JSON):
        assert "secret.action" not in text_of(client.get(path))


def test_filters_are_unfolded_on_a_phone_if_they_are_used(
    as_role: Any,
) -> None:
    client = as_role(Role.VIEWER)
    folded = re.compile(r'<details class="folded"\s*>')
    assert folded.search(main_of(client.get(PAGE)))
    for query in ("?subject=1.5", "?since=2026-01-01", "?until=nonsense"):
        assert not folded.search(main_of(client.get(PAGE + query)))


def test_page_names_effects_and_deliveries_by_their_subject(
    as_role: Any, tenant: Any, owner: Any
) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant, display_name="Nightly")
    release = factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    dead = factories.EffectFactory(
        tenant=tenant, state="DEAD", kind="ticket.create_epic", release_id=release.pk
    )
    delivery = factories.DeliveryFactory(pipeline=pipeline)
    record(tenant=tenant, actor=owner, action="effect.retried", subject=dead)
    record(tenant=tenant, actor=owner, action="delivery.replayed", subject=delivery)
    html = main_of(as_role(Role.VIEWER).get(PAGE))
    assert "retried: Epic (1.5.0)" in html
    assert "applied a delivery again: Nightly" in html
    assert str(dead) not in html


@pytest.mark.parametrize("action", NOTICED)
def test_events_without_an_actor_are_whole_sentences(
    as_role: Any, tenant: Any, action: str
) -> None:
    record(tenant=tenant, actor=None, action=action)
    html = main_of(as_role(Role.VIEWER).get(PAGE))
    assert str(NOTICED[action]) % {"what": "–"} in html
    assert "<strong>" not in html


def test_page_escapes_names(as_role: Any, tenant: Any) -> None:
    markup = "<script>alert(1)</script>"
    subject = factories.ReleaseFactory(tenant=tenant, version=markup)
    changes = {"name": [markup, markup], markup: markup}
    record(tenant=tenant, actor=None, action="release.created", subject=subject, changes=changes)
    assert markup not in main_of(as_role(Role.VIEWER).get(PAGE))


@pytest.fixture
def three(tenant: Any, owner: Any) -> list[AuditEvent]:
    """Rows of the day before yesterday, yesterday and today."""
    release = factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    rows = [
        record(tenant=tenant, actor=owner, action="tenant.created", subject=tenant),
        record(tenant=tenant, actor=None, action="release.status", subject=release),
        record(tenant=tenant, actor=owner, action="release.created", subject=release),
    ]
    with tampering():
        for days, row in zip((2, 1, 0), rows, strict=True):
            at = timezone.now() - timedelta(days=days)
            AuditEvent.objects.filter(pk=row.pk).update(at=at)
    return rows


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("who=delivr", [1]),
        ("who=EXAMPLE.com", [2, 0]),
        ("action=release.created", [2]),
        ("action=nonsense", [2, 1, 0]),
        ("subject=1.5", [2, 1]),
        ("subject={release}", [2, 1]),
        ("since={yesterday}", [2, 1]),
        ("until={yesterday}", [1, 0]),
        ("since={yesterday}&until={yesterday}", [1]),
        ("since=nonsense", [2, 1, 0]),
        ("who=%00", [2, 1, 0]),
        ("who=delivr&action=release.created", []),
    ],
)
def test_filters(as_role: Any, three: Any, query: str, expected: list[int]) -> None:
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    query = query.format(yesterday=yesterday, release=three[1].subject_id)
    client = as_role(Role.ADMIN)
    wanted = [three[n].pk for n in expected]
    assert [event.pk for event in client.get(f"{PAGE}?{query}").context["page"].items] == wanted
    assert [row["id"] for row in json.loads(text_of(client.get(f"{JSON}?{query}")))] == wanted


def test_filters_are_kept_in_the_links(as_role: Any, tenant: Any) -> None:
    for _n in range(30):
        record(tenant=tenant, actor=None, action="release.status")
    response = as_role(Role.ADMIN).get(f"{PAGE}?who=delivr")
    assert response.context["page"].next_url == f"{PAGE}?who=delivr&page=2"
    assert f"{CSV}?who=delivr" in main_of(response)


def test_files_are_for_admins(as_role: Any, tenant: Any) -> None:
    for role in (Role.VIEWER, Role.MEMBER):
        client = as_role(role)
        assert client.get(CSV).status_code == client.get(JSON).status_code == 403
        assert CSV not in main_of(client.get(PAGE))
    assert as_role(Role.ADMIN).get("/settings/audit/export.xml").status_code == 404


def test_files_hold_everything_with_its_place_in_the_chain(
    as_role: Any, tenant: Any, owner: Any
) -> None:
    changes = {"name": [None, "=1+1"]}
    event = record(
        tenant=tenant, actor=owner, action="tenant.created", subject=tenant, changes=changes
    )
    seal()
    admin = as_role(Role.ADMIN)
    response = admin.get(CSV)
    assert response["Content-Disposition"].startswith(f'attachment; filename="audit-{tenant.pk}')
    assert "no-store" in response["Cache-Control"]
    [row] = csv.DictReader(io.StringIO(text_of(response)))
    assert row["at"] == event.at.isoformat()
    assert (row["actor"], row["subject"], row["seq"]) == (owner.email, tenant.name, "1")
    assert json.loads(row["changes"]) == changes
    [row] = json.loads(text_of(admin.get(JSON)))
    assert (row["hash"], row["changes"]) == (event.seal.hash, changes)


def test_an_empty_file_is_well_formed(as_role: Any) -> None:
    admin = as_role(Role.ADMIN)
    assert json.loads(text_of(admin.get(f"{JSON}?who=nobody"))) == []
    assert text_of(admin.get(f"{CSV}?who=nobody")).count("\n") == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(tenant: Any, text: str) -> None:
    assert cell(text) == f"'{text}"
    event = AuditEvent(tenant=tenant, actor_label=text, subject_label=text, action="x")
    event.at = timezone.now()
    _header, line = csv.reader(io.StringIO("".join(as_csv([event])), newline=""))
    assert not [one for one in line if one.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


@pytest.fixture
def many(tenant: Any) -> None:
    rows = (
        AuditEvent(
            tenant=tenant,
            actor_label="delivr",
            action="release.status",
            subject_id=f"rel_{n}",
            subject_label="1.5.0",
            changes={"status": ["BUILDING", "x" * 500]},
        )
        for n in range(10_000)
    )
    AuditEvent.objects.bulk_create(rows, batch_size=1000)


@pytest.mark.slow
def test_ten_thousand_rows_cost_as_many_queries_as_few(
    as_role: Any, many: Any, django_assert_max_num_queries: Any
) -> None:
    client = as_role(Role.ADMIN)
    for query in ("", "?who=delivr&action=release.status&subject=1.5&since=2026-01-01"):
        with django_assert_max_num_queries(11):  # six of them for names
            page = client.get(PAGE + query).context["page"]
        assert (len(page.items), page.text) == (25, "1–25")


@pytest.mark.slow
def test_a_file_of_ten_thousand_rows_is_streamed(as_role: Any, many: Any) -> None:
    response = as_role(Role.ADMIN).get(JSON)
    tracemalloc.start()
    size = sum(len(part) for part in response.streaming_content)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 7_000_000
    assert peak < size / 3


# --- API ------------------------------------------------------------------------------------------

API = "/api/v1/audit-events"


def ids_of(response: Any) -> list[int]:
    """The ids of the rows, without those about the API token that reads them."""
    rows = response.json()["results"]
    return [row["id"] for row in rows if not row["action"].startswith("token.")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"action": "release.created"}, [2]),
        ({"actor": "delivr"}, [1]),
        ({"actor": "del"}, []),
        ({"subjectId": "{release}"}, [2, 1]),
        ({"since": "{yesterday}"}, [2]),
    ],
)
def test_api_filters(
    api_for: Any, tenant: Any, three: Any, query: dict[str, str], expected: list[int]
) -> None:
    api = api_for(tenant, Role.VIEWER)
    now = {
        "yesterday": (timezone.now() - timedelta(hours=23)).isoformat(),
        "release": three[1].subject_id,
    }
    answer = api.get(API, {name: text.format(**now) for name, text in query.items()})
    assert answer.status_code == 200
    assert ids_of(answer) == [three[n].pk for n in expected]


def test_api_pages_by_cursor(api_for: Any, tenant: Any, three: Any) -> None:
    api = api_for(tenant, Role.VIEWER)
    first = api.get(API, {"limit": 4}).json()
    second = api.get(first["next"]).json()
    assert len(first["results"]) == 4
    assert [row["id"] for row in second["results"]] == [three[0].pk]
    assert second["next"] is None


def test_api_row_is_complete(api_for: Any, tenant: Any, owner: Any) -> None:
    api = api_for(tenant, Role.VIEWER)
    event = record(
        tenant=tenant, actor=owner, action="tenant.created", subject=tenant, changes={"a": [1, 2]}
    )
    assert api.get(API, {"action": "tenant.created"}).json()["results"][0] == {
        "id": event.pk,
        "at": event.at.isoformat().replace("+00:00", "Z"),
        "actorId": owner.pk,
        "actor": owner.email,
        "action": "tenant.created",
        "words": f"created the workspace {tenant.name}",
        "subjectId": tenant.pk,
        "subject": tenant.name,
        "changes": {"a": [1, 2]},
    }


@pytest.mark.parametrize("since", ["nonsense", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T1"])
def test_api_refuses_invalid_times(api_for: Any, tenant: Any, since: str) -> None:
    answer = api_for(tenant, Role.VIEWER).get(API, {"since": since})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["since"]


def test_api_shows_nothing_of_other_workspaces(api_for: Any, tenant: Any, three: Any) -> None:
    other = api_for(factories.TenantFactory(), Role.OWNER)
    assert not {row.pk for row in three} & set(ids_of(other.get(API)))


@pytest.mark.parametrize("words", ACTIONS.values(), ids=ACTIONS)
def test_every_action_has_a_sentence_and_a_name(words: Any) -> None:
    sentence, short = words
    assert str(sentence) % {"what": "it", "mark": "released"}
    assert str(short)[0].isupper()
