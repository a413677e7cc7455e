"""What follows a release in its ticket system: the workspace's defaults, a release's own steps, and
what the preview and the page of a release tell of its version."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.tenants.models import Role
from delivr.tests.wired import Wired, wired_to
from releases.models import ReleaseSettings, TicketPart
from releases.repository.steps import change_settings
from releases.tests.pages import text_of
from releases.tickets import acts
from releases.tickets.readiness import look_up
from releases.tickets.steps import ticket_steps_of

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

API, PAGE = "/api/v1/release-settings", "/settings/releases"
DEFAULT = {"link": True, "comments": False, "moveAt": None, "version": False}
EVERYTHING = {
    "links_epics": True,
    "comments_epics": True,
    "moves_epics": "SUBMITTED",
    "makes_version": True,
}


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def everything_on(tenant: Any, owner: Any) -> None:
    change_settings(tenant=tenant, actor=owner, steps=EVERYTHING)


def body(wired: Wired, **changes: Any) -> dict[str, Any]:
    return {
        "version": "1.5.0",
        "scmIntegrationId": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
        "ticketId": wired.jira.pk,
        **changes,
    }


def form(wired: Wired, **changes: Any) -> dict[str, Any]:
    return {
        "version": "1.5.0",
        "branch": "",
        "scm": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
        "communication": "",
        "ticket": wired.jira.pk,
        **changes,
    }


# --- Settings -------------------------------------------------------------------------------------


def test_an_admin_changes_the_defaults_and_it_is_audited(api_for: Any, tenant: Any) -> None:
    api = api_for(tenant, Role.ADMIN)
    assert api.get(API).json()["ticketSteps"] == DEFAULT
    answer = api.patch(API, {"ticketSteps": {"moveAt": "RELEASED", "version": True}})
    assert answer.json()["ticketSteps"] == {**DEFAULT, "moveAt": "RELEASED", "version": True}
    event = AuditEvent.objects.get(action="tenant.release_settings")
    assert event.changes == {"moves_epics": ["", "RELEASED"], "makes_version": [False, True]}
    assert api.patch(API, {"ticketSteps": {"moveAt": None}}).json()["ticketSteps"]["moveAt"] is None


@pytest.mark.parametrize(
    "wrong", [{"moveAt": "LATER"}, {"moveAt": ""}, {"fixVersion": True}, {"link": "perhaps"}]
)
def test_what_is_no_step_is_refused(api_for: Any, tenant: Any, wrong: Any) -> None:
    assert api_for(tenant, Role.ADMIN).patch(API, {"ticketSteps": wrong}).status_code == 400
    assert not ReleaseSettings.objects.exists()


def test_the_page_of_the_settings_changes_them(
    member_of: Any, client_for: Any, tenant: Any
) -> None:
    admin = client_for(member_of(tenant, Role.ADMIN))
    assert "In the ticket system" in text_of(admin.get(PAGE))
    admin.post(PAGE, {"comments_epics": "on", "moves_epics": "RELEASED"})
    assert ticket_steps_of(ReleaseSettings.objects.get()) == {
        "links_epics": False,
        "comments_epics": True,
        "moves_epics": "RELEASED",
        "makes_version": False,
    }
    page = admin.post(PAGE, {"moves_epics": "LATER"})
    assert "Select a valid choice" in text_of(page)


@pytest.mark.usefixtures("everything_on")
def test_a_release_takes_the_defaults_and_overrides_them(
    api_for: Any, tenant: Any, wired: Wired
) -> None:
    api = api_for(tenant, Role.MEMBER)
    made = api.post("/api/v1/releases", body(wired)).json()
    assert made["ticketSteps"] == {**dict.fromkeys(DEFAULT, True), "moveAt": "SUBMITTED"}
    assert made["ticketVersion"]["name"] == "1.5.0"
    wish = {"version": False, "moveAt": None}
    made = api.post("/api/v1/releases", body(wired, version="2", ticketSteps=wish)).json()
    assert (made["ticketSteps"]["moveAt"], made["ticketVersion"]) == (None, None)
    made = api.post("/api/v1/releases", body(wired, version="3", ticketId=None)).json()
    assert made["ticketSteps"] is None
    assert Effect.objects.filter(kind=acts.VERSION).count() == 1


@pytest.mark.usefixtures("everything_on")
def test_the_form_starts_with_the_defaults_and_may_switch_them_off(
    member_of: Any, client_for: Any, tenant: Any, wired: Wired
) -> None:
    member = client_for(member_of(tenant, Role.MEMBER))
    page = member.get("/releases/new")
    for name, value in EVERYTHING.items():
        assert page.context["form"][name].value() == value
    member.post("/releases/new", form(wired, links_epics="on"))
    assert ticket_steps_of(TicketPart.objects.get())["makes_version"] is False


def test_without_a_ticket_system_nothing_is_asked(
    member_of: Any, client_for: Any, tenant: Any, wired: Wired
) -> None:
    wired.jira.delete()
    page = client_for(member_of(tenant, Role.MEMBER)).get("/releases/new")
    assert "makes_version" not in page.context["form"].fields


# --- The version before and after the release is created ------------------------------------------


def test_the_dry_run_tells_which_tickets_of_the_version_are_not_done(
    api_for: Any, tenant: Any, wired: Wired, sandbox: Any
) -> None:
    def preview() -> Any:
        wish = {"version": True}
        answer = api_for(tenant, Role.MEMBER).post(
            "/api/v1/releases?dryRun=true", body(wired, ticketSteps=wish)
        )
        return answer.json()["ticketSystem"]

    found = preview()
    assert (found["version"]["exists"], found["version"]["notDone"]) == (False, 0)
    assert "Immediately: the version 1.5.0 is created." in found["steps"]
    jira = sandbox.state.jira
    version = jira.create_version(jira.project("MOBILE"), name="1.5.0")
    for key in ("MOBILE-101", "MOBILE-121"):
        jira.plan(jira.issue(key), [version.id])
    found = preview()["version"]
    assert (found["exists"], found["tickets"], found["notDone"]) == (True, 2, 1)
    assert found["notDoneTickets"][0]["key"] == "MOBILE-121"
    sandbox.state.faults.add("status", status=500, provider="jira")
    found = preview()["version"]
    assert found["exists"] is None
    assert "was not looked up" in found["message"]
    assert not Effect.objects.exists()


def test_the_pages_show_the_tickets_that_are_not_done_and_what_was_left_out(
    member_of: Any, client_for: Any, tenant: Any, wired: Wired, sandbox: Any
) -> None:
    member = client_for(member_of(tenant, Role.MEMBER))
    jira = sandbox.state.jira
    version = jira.create_version(jira.project("MOBILE"), name="1.5.0")
    jira.plan(jira.issue("MOBILE-121"), [version.id])
    page = member.post("/releases/new/preview", form(wired, makes_version="on"))
    assert "1 of 1 ticket is not done" in text_of(page)
    member.post("/releases/new", form(wired, makes_version="on", links_epics="on"))
    part = TicketPart.objects.get()
    (effect,) = Effect.objects.filter(kind=acts.VERSION)
    run_effect(effect.pk)
    look_up(str(part.pk))
    Effect.objects.create(
        tenant=tenant,
        kind=acts.PLAN,
        integration_id=wired.jira.pk,
        release_id=part.release_id,
        dedupe_key="plan",
        payload={"keys": ["WEB-12", "MOBILE-9"]},
        result={"added": [], "elsewhere": ["WEB-12"], "unknown": ["MOBILE-9"], "refused": {}},
        state=EffectState.DONE,
        next_at=effect.next_at,
        expires_at=effect.expires_at,
    )
    text = text_of(member.get(f"/releases/{part.release_id}"))
    for words in (
        "Not everything in this version is done",
        "1 of 1 ticket is not done",
        "MOBILE-121",
        "this connection is for MOBILE: WEB-12",
        "account: MOBILE-9",
    ):
        assert words in text
