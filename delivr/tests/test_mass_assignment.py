"""Every writing endpoint and form, with a valid body and every field name of every model: the API
refuses each unknown field by its name, and a form only changes the fields that it declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import signing
from django.db import models, transaction
from django.http import HttpResponseBase
from django.test import Client
from rest_framework.test import APIClient

from builds.buttons import linking
from builds.buttons.models import ButtonPress
from delivr.api.problems import camel
from delivr.effects.models import Effect
from delivr.tenants.models import Tenant, User
from delivr.tests import test_api_fuzz
from delivr.tests.sample_workspace import (
    NOWHERE,
    OURS,
    THEIRS,
    SampleWorkspace,
    build_workspace,
    changed,
    everything,
    tenant_models,
)
from delivr.tests.test_walk import OWN, addresses, signed_in, with_token
from delivr.tests.walk_table import OWNER, SIGNED_IN, TABLE
from releases.tickets.forms import TicketStepsForm

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

MARK = "mass7mark"
MOST = 150  # fields at once: Django accepts 200 per form
Body = dict[str, Any]
Changes = dict[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _nowhere(settings: Any) -> None:
    for name in ("GITHUB_API_URL", "SLACK_API_URL", "APP_STORE_CONNECT_URL", "GOOGLE_PLAY_URL"):
        setattr(settings, name, NOWHERE)
    settings.GOOGLE_TOKEN_URL = f"{NOWHERE}/token"
    settings.API_PER_MINUTE = 100_000


@pytest.fixture
def ours(db: None) -> SampleWorkspace:
    return build_workspace(OURS)


@pytest.fixture
def theirs(db: None) -> SampleWorkspace:
    return build_workspace(THEIRS)


# --- Additional fields ----------------------------------------------------------------------------


def model_fields() -> Iterator[models.Field[Any, Any]]:
    for model in [*tenant_models(), Tenant, User]:
        yield from model._meta.concrete_fields


def foreign_values(theirs: SampleWorkspace) -> Body:
    """A foreign value for each field name, in the spellings of Python and of JSON."""
    found: Body = {}
    for part in model_fields():
        for name in (part.name, part.attname):
            for spelled in (name, camel(name)):
                found.setdefault(spelled, _value(part, theirs))
    return found


def _value(part: models.Field[Any, Any], theirs: SampleWorkspace) -> Any:
    if part.name == "tenant":
        return theirs.tenant.pk
    if part.name in ("role", "trust"):
        return {"role": "OWNER", "trust": "SIGNED"}[part.name]
    if isinstance(part, models.BooleanField):
        return True
    if isinstance(part, models.IntegerField):
        return 777777
    if isinstance(part, models.DateTimeField):
        return "2001-02-03T04:05:06Z"
    return MARK


def try_out(
    send: Callable[[], HttpResponseBase], before: Changes
) -> tuple[HttpResponseBase, Changes]:
    """The response and what it changed in the rows `before`; the changes are rolled back."""
    with transaction.atomic():
        answer = send()
        found = changed(before)
        transaction.set_rollback(True)
    return answer, found


def fixed(changes: Changes, again: Changes) -> dict[str, dict[str, list[str]]]:
    """The columns of `changes` that are the same `again`: no ids, moments or digests."""
    result, other = _columns(changes), _columns(again)
    return {
        table: {n: values for n, values in columns.items() if other[table][n] == values}
        for table, columns in result.items()
    }


def _columns(changes: Changes) -> dict[str, dict[str, list[str]]]:
    return {
        table: {name: sorted(repr(row[name]) for row in rows) for name in rows[0]} if rows else {}
        for table, rows in changes.items()
    }


# --- API ------------------------------------------------------------------------------------------


def api_bodies(workspace: SampleWorkspace) -> Iterator[tuple[str, str, Body]]:
    """(method, path, a body with every declared field) of each endpoint that takes one."""
    own = {"scmIntegrationId": "scm", "targetIntegrationId": "targets"}
    own |= {"communicationId": "communication", "ticketId": "tickets"}
    for name, fields in test_api_fuzz.FIELDS.items():
        path = name.partition("#")[0]
        body = fields | {"targets": ["x"], "pipelines": ["x"]} if path == "releases" else fields
        body = {n: workspace.connections[own[n]] if n in own else v for n, v in body.items()}
        yield "post", path, body
        if path != "releases" and not name.endswith("#play"):
            kind = next(n for n in body if n.endswith("Type"))
            family = path.partition("/")[2]
            edited = {n: v for n, v in body.items() if n != kind}
            yield "patch", f"{path}/{workspace.connections[family]}", edited
    ids = workspace.ids
    yield "post", f"releases/{ids['release_id']}/builds", {"pipelineId": ids["pipeline_id"]}
    trigger = Effect.objects.for_tenant(workspace.tenant).get(kind="build.trigger")
    yield "post", f"effects/{trigger.pk}/adopt", {"buildNumber": 7}
    offered = {"pipelineId": ids["pipeline_id"], "offerId": "7"}
    yield "post", f"releases/{ids['release_id']}/adopt", offered
    submitted = {
        "targetId": ids["target_id"],
        "storeBuild": {"buildNumber": "7"},
        "releaseType": "MANUAL",
        "phased": True,
        "usesEncryption": False,
        "notes": {"en-US": "Faster."},
        "testflightGroups": ["Friends"],
    }
    yield "post", f"releases/{ids['release_id']}/submissions", submitted
    yield "patch", "release-settings", {"repository": {"tag": True}}
    chat = f"integrations/communication/{workspace.connections['communication']}"
    rules = {"C123": {"build.started": "off"}}
    edited = {"preset": "quiet", "rules": rules, "mention": "nobody", "mentionGroup": ""}
    yield "patch", f"{chat}/rules", edited
    yield "post", f"{chat}/test-messages", {"channel": "C123"}
    yield (
        "patch",
        "me/notifications",
        {"needsMe": "off", "failures": "daily", "milestones": "off", "everything": "off"},
    )
    yield "patch", f"members/{ids['member_id']}", {"role": "MEMBER"}
    yield "post", "invitations", {"email": "new@example.com", "role": "VIEWER"}
    yield "post", "tokens", {"name": "x", "role": "VIEWER", "expiresInDays": 7}


DECLARED_TOO = {
    "builds": {"platform"},
    "releases": {"baseBranch", "repository"},
    "submissions": {"track", "steps", "releaseAt"},
}


def test_api_refuses_every_field_that_it_does_not_declare(
    ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ours.tokens['owner']}")
    foreign = foreign_values(theirs)
    assert len(foreign) > 150
    for method, path, body in api_bodies(ours):
        declared = {*body, *DECLARED_TOO.get(path.rpartition("/")[2], set())}
        declared |= {"displayName"} if "integrations" in path else set()
        extra = {name: value for name, value in foreign.items() if name not in declared}
        before = everything()
        answer = getattr(client, method)(f"/api/v1/{path}", {**body, **extra})
        assert answer.status_code == 400, (path, answer.content[:300])
        words = answer.json()["errors"]
        refused = {name for name, said in words.items() if said == ["There is no such field."]}
        assert refused == set(extra), (path, refused ^ set(extra))
        assert changed(before) == {}, path


# Actions that take no body: sending one has no effect.
ACTS = [
    route
    for route in OWN
    if route.startswith("api/v1/")
    and "webhooks/" not in route
    and route.endswith(
        ("verify", "send", "retry", "cancel", "replay", "mute", "rotate-webhook-secret")
    )
]


def test_body_has_no_effect_on_actions(ours: SampleWorkspace, theirs: SampleWorkspace) -> None:
    client = with_token(ours.tokens["owner"])
    for route in ACTS:
        ((address, _unknown),) = addresses(route, ours)

        def send(body: Body, address: str = address) -> HttpResponseBase:
            answer: HttpResponseBase = client.post(address, body, content_type="application/json")
            return answer

        compare(address, send, foreign_values(theirs), theirs)


# --- Pages ----------------------------------------------------------------------------------------


def link_token(workspace: SampleWorkspace) -> str:
    """What the link to an account in a chat contains."""
    press = ButtonPress.objects.for_tenant(workspace.tenant).get(state="REFUSED")
    return signing.dumps(press.pk, salt=linking.SALT)


def page_bodies(workspace: SampleWorkspace) -> dict[str, Body]:
    """A valid body for each form; `None` for an optional field that is left out."""
    ids, own = workspace.ids, workspace.connections
    release = {
        "version": "9.9.9",
        "branch": "main",
        "scm": own["scm"],
        "targets": [own["targets"]],
        "pipelines": [own["pipelines"]],
        "communications": [own["communication"]],
        "ticket": own["tickets"],
        "creates_branch": None,
        "base_branch": None,
        "makes_tag": None,
        "drafts_release": None,
        **dict.fromkeys(TicketStepsForm.base_fields),
    }
    github: Body = {
        "kind": "GITHUB",
        "display_name": "x",
        "repository_url": "https://github.com/a/b",
        "access_token": "t",
        "token": None,
        "connection": None,
        "next": None,
    }
    slack: Body = {
        "kind": "SLACK",
        "display_name": "x",
        "slack_bot_token": "xoxb-t",
        "slack_app_token": None,
        "slack_channels": "C123",
        "token": None,
        "connection": None,
    }
    one = "integrations/<family:family>/<str:connection_id>"
    return {
        "settings/members/<slug:member_id>/role": {"role": "MEMBER"},
        "settings/invitations": {"email": "new@example.com", "role": "VIEWER"},
        "settings/workspace": {"name": "Another name"},
        "settings/workspace/delete": {"confirmation": workspace.tenant.name},
        "settings/tokens": {"name": "x", "role": "VIEWER", "days": "30", "form_key": None},
        "settings/security": {"required": "1"},
        "settings/messages/<str:connection_id>": {
            "preset": "quiet",
            "whom": "nobody",
            "group": None,
            "reset": None,
        },
        "settings/messages/<str:connection_id>/rules": {
            "channel": "C123",
            "build.started": "off",
            "everywhere": None,
            "reset": None,
        },
        "settings/messages/<str:connection_id>/test": {"channel": "C123"},
        "settings/chat-accounts": {"token": link_token(workspace), "unlink": None},
        "settings/releases": {
            "creates_branch": "on",
            "makes_tag": None,
            "drafts_release": None,
            **dict.fromkeys(TicketStepsForm.base_fields),
        },
        "settings/notifications": {
            "needsMe": "off",
            "failures": "daily",
            "milestones": "off",
            "everything": "off",
        },
        "integrations/communication/<str:connection_id>/recipient": {"recipient": "a@example.com"},
        "unsubscribe/<str:token>": {},
        "unsubscribe/member/<str:token>": {},
        "settings/switch": {"tenant": workspace.tenant.pk},
        "settings/new-workspace": {"workspace": "Another"},
        "releases/new": release,
        "releases/new/preview": release,
        "integrations/pipelines/<str:connection_id>/test-build": {
            "version": "1",
            "branch": "main",
            "next": None,
        },
        "releases/<slug:release_id>/builds": {"pipeline": ids["pipeline_id"]},
        "releases/<slug:release_id>/adopt": {"pipeline": ids["pipeline_id"], "offer": "7"},
        "releases/<slug:release_id>/mark": {"mark": "submitted", "undo": None},
        "releases/<slug:release_id>/mute": {"undo": None},
        "releases/<slug:release_id>/submit/<slug:target_id>": {
            "store_build": "7",
            "is_phased": None,
            "release_type": "MANUAL",
            "release_at": None,
            "testflight_groups": None,
            "uses_encryption": None,
            "notes": "[en-US]\nFaster.",
        },
        "submissions/<slug:submission_id>": {"act": "withdraw"},
        "activity/effects/<slug:effect_id>/adopt": {"number": "7"},
        "setup/<family:family>": slack,
        "integrations/<family:family>/new": slack,
        "integrations/<family:family>/options": slack,
        "integrations/<family:family>/app": {"kind": "SLACK", "address": "nowhere"},
        one: github,
    }


# Forms without fields, only with buttons.
BUTTONS = (
    *("remove", "leave", "send", "revoke", "skip", "verify", "disconnect", "rotate-secret"),
    *("webhook-secret", "webhook-to-sandbox"),
    *("give-to-sandbox", "move", "groups"),
    *("resend", "test-event", "rotate-signing-secret", "turn-on"),
    *("cancel", "force-cancel", "retry", "replay", "try-now", "preflight"),
)
FORMS = [
    route
    for route in OWN
    if not route.startswith("api/") and SIGNED_IN <= TABLE[route].get("POST", -1) <= OWNER + 2
]


def test_every_form_is_known(ours: SampleWorkspace) -> None:
    known = page_bodies(ours)
    strange = [r for r in FORMS if r not in known and r.rpartition("/")[2] not in BUTTONS]
    assert strange == [], "Say what these forms declare: page_bodies()"


def test_page_ignores_every_field_that_it_does_not_declare(
    ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    for route in FORMS:
        client = signed_in(ours.users["OWNER"])
        body = page_bodies(ours).get(route, {})
        declared = {*body, "kind", "next"}
        valid = {name: value for name, value in body.items() if value is not None}
        extra = {n: v for n, v in foreign_values(theirs).items() if n not in declared}
        address = addresses(route, ours)[0][0]

        def send(
            more: Body, client: Client = client, address: str = address, valid: Body = valid
        ) -> HttpResponseBase:
            return client.post(address, {**valid, **more})

        compare(address, send, extra, theirs)


def parts(names: list[str], most: int) -> Iterator[list[str]]:
    for start in range(0, len(names), most):
        yield names[start : start + most]


def compare(
    address: str, send: Callable[[Body], HttpResponseBase], extra: Body, theirs: SampleWorkspace
) -> None:
    """The same happens with `extra` as without, and nobody else's workspace is touched."""
    rows = everything()
    plain, once = try_out(lambda: send({}), rows)
    _again, once_more = try_out(lambda: send({}), rows)
    for names in parts(list(extra), MOST):
        more = {name: extra[name] for name in names}
        answer, found = try_out(lambda more=more: send(more), rows)  # type: ignore[misc]
        assert answer.status_code == plain.status_code, (address, answer.status_code)
        assert fixed(found, once_more) == fixed(once, once_more), address
        result = repr(found)
        for word in (MARK, "777777", theirs.word, str(theirs.tenant.pk)):
            assert word not in result, (address, word)
