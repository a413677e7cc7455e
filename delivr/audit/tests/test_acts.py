"""Exactly one audit row per action: every writing route, of pages and API, against one table.

The row is written in the transaction of the change: if it cannot be written, nothing changes, and
if the change is rolled back, no row remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponseBase
from django.utils import timezone

from builds.models import Build
from delivr.audit.models import AuditEvent
from delivr.tests import factories
from delivr.tests.sample_workspace import (
    NOWHERE,
    OURS,
    SampleWorkspace,
    build_workspace,
    changed,
    everything,
)
from delivr.tests.test_mass_assignment import api_bodies, page_bodies
from delivr.tests.test_walk import OWN, addresses, signed_in, with_token
from delivr.tests.walk_table import ADMIN, FAMILIES, MEMBER, OWNER, SIGNED_IN, TABLE, VIEWER
from integrations.models import PipelineIntegration
from releases.models import Release, ReleasePipeline
from submissions.models import Submission

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

_ONE = "integrations/<family:family>/<str:connection_id>"
_API = "api/v1/"
_ENDPOINT = "integrations/communication/<str:endpoint_id>"
CONNECTED = ["integration.connected"]
# The actions that a route records. An action that causes others has a row for each of them.
PAGES = {
    "settings/members/<slug:member_id>/role": ["member.changed"],
    "settings/members/<slug:member_id>/remove": ["member.removed"],
    "settings/leave": ["member.left"],
    "settings/invitations": ["invitation.created"],
    "settings/invitations/<slug:invitation_id>/send": ["effect.retried", "invitation.sent_again"],
    "settings/invitations/<slug:invitation_id>/revoke": ["effect.cancelled", "invitation.revoked"],
    "settings/workspace": ["tenant.renamed"],
    "settings/workspace/delete": [
        "effect.cancelled",
        "integration.disconnected",
        "invitation.revoked",
        "tenant.deleted",
        "token.revoked",
    ],
    "settings/tokens": ["token.created"],
    "settings/tokens/<int:token_id>/revoke": ["token.revoked"],
    "settings/security": ["tenant.second_factor"],
    "settings/chat-accounts": ["chat_account.linked"],
    "settings/notifications": ["member.mails"],
    "settings/messages/<str:connection_id>": ["integration.rules_changed"],
    "settings/messages/<str:connection_id>/rules": ["integration.rules_changed"],
    "settings/messages/<str:connection_id>/test": ["message.tested"],
    "releases/<slug:release_id>/mute": ["release.muted"],
    "settings/releases": ["tenant.release_settings"],
    "settings/new-workspace": ["tenant.created"],
    "setup/<family:family>": ["integration.connected", "integration.verified"],
    "setup/<family:family>/skip": ["setup.skipped"],
    "integrations/<family:family>/new": ["integration.connected", "integration.verified"],
    _ONE: ["integration.edited", "integration.verified"],
    f"{_ONE}/verify": ["integration.verified"],
    f"{_ONE}/disconnect": ["integration.disconnected"],
    "integrations/pipelines/<str:connection_id>/rotate-secret": ["webhook_secret.rotated"],
    "integrations/targets/<str:connection_id>/webhook-secret": ["webhook_secret.rotated"],
    "integrations/pipelines/<str:connection_id>/test-build": ["test_build.started"],
    "integrations/pipelines/<str:connection_id>/test-build/cancel": ["test_build.cancelled"],
    f"{_ENDPOINT}/test-event": ["endpoint.tested"],
    f"{_ENDPOINT}/log/<str:attempt_id>/resend": ["endpoint.resent"],
    f"{_ENDPOINT}/rotate-signing-secret": ["signing_secret.rotated"],
    f"{_ENDPOINT}/turn-on": ["integration.verified"],
    "releases/new": ["release.created"],
    "releases/<slug:release_id>/builds": ["build.triggered", "release.status"],
    "releases/<slug:release_id>/cancel": ["build.cancelled", "release.cancelled"],
    "releases/<slug:release_id>/mark": ["release.marked"],
    "releases/<slug:release_id>/submit/<slug:target_id>": ["submission.created"],
    "submissions/<slug:submission_id>": ["release.status", "submission.acted"],
    "releases/<slug:release_id>/try-now": ["release.tried_now"],
    "builds/<slug:build_id>/cancel": ["build.cancelled", "release.status"],
    "builds/<slug:build_id>/force-cancel": ["build.force_cancelled"],
    "activity/effects/<slug:effect_id>/retry": ["effect.retried"],
    "activity/effects/<slug:effect_id>/cancel": ["effect.cancelled"],
    "activity/received/<slug:delivery_id>/replay": ["delivery.replayed"],
}
API = {
    ("PATCH", f"{_API}members/<str:member_id>"): ["member.changed"],
    ("DELETE", f"{_API}members/<str:member_id>"): ["member.removed"],
    ("POST", f"{_API}invitations"): PAGES["settings/invitations"],
    ("DELETE", f"{_API}invitations/<str:invitation_id>"): [
        "effect.cancelled",
        "invitation.revoked",
    ],
    ("POST", f"{_API}invitations/<str:invitation_id>/send"): [
        "effect.retried",
        "invitation.sent_again",
    ],
    ("POST", f"{_API}tokens"): ["token.created"],
    ("DELETE", f"{_API}tokens/<str:token_key>"): ["token.revoked"],
    ("POST", f"{_API}integrations/pipelines/<str:connection_id>/rotate-webhook-secret"): [
        "webhook_secret.rotated"
    ],
    ("POST", f"{_API}integrations/targets/<str:connection_id>/rotate-webhook-secret"): [
        "webhook_secret.rotated"
    ],
    ("POST", f"{_API}integrations/pipelines/<str:connection_id>/test-builds"): [
        "test_build.started"
    ],
    ("POST", f"{_API}{_ENDPOINT}/test-event"): ["endpoint.tested"],
    ("POST", f"{_API}{_ENDPOINT}/attempts/<str:attempt_id>/resend"): ["endpoint.resent"],
    ("POST", f"{_API}{_ENDPOINT}/rotate-signing-secret"): ["signing_secret.rotated"],
    ("POST", f"{_API}{_ENDPOINT}/turn-on"): ["integration.verified"],
    ("POST", f"{_API}test-builds/<str:test_build_id>/cancel"): ["test_build.cancelled"],
    ("POST", f"{_API}releases"): ["release.created"],
    ("POST", f"{_API}releases/<str:release_id>/builds"): ["build.triggered", "release.status"],
    ("POST", f"{_API}releases/<str:release_id>/cancel"): ["build.cancelled", "release.cancelled"],
    ("POST", f"{_API}releases/<str:release_id>/marks/<str:mark>"): ["release.marked"],
    ("DELETE", f"{_API}releases/<str:release_id>/marks/<str:mark>"): ["release.unmarked"],
    ("POST", f"{_API}releases/<str:release_id>/try-now"): ["release.tried_now"],
    ("POST", f"{_API}releases/<str:release_id>/submissions"): ["submission.created"],
    ("POST", f"{_API}submissions/<str:submission_id>/<str:act>"): [
        "release.status",
        "submission.acted",
    ],
    ("POST", f"{_API}builds/<str:build_id>/cancel"): ["build.cancelled", "release.status"],
    ("POST", f"{_API}builds/<str:build_id>/force-cancel"): ["build.force_cancelled"],
    ("PATCH", f"{_API}me/notifications"): ["member.mails"],
    ("PATCH", f"{_API}integrations/communication/<str:connection_id>/rules"): [
        "integration.rules_changed"
    ],
    ("POST", f"{_API}integrations/communication/<str:connection_id>/test-messages"): [
        "message.tested"
    ],
    ("POST", f"{_API}releases/<str:release_id>/mute"): ["release.muted"],
    ("DELETE", f"{_API}releases/<str:release_id>/mute"): ["release.unmuted"],
    ("PATCH", f"{_API}release-settings"): ["tenant.release_settings"],
    ("POST", f"{_API}effects/<str:effect_id>/retry"): ["effect.retried"],
    ("POST", f"{_API}effects/<str:effect_id>/cancel"): ["effect.cancelled"],
    ("POST", f"{_API}webhook-deliveries/<str:delivery_id>/replay"): ["delivery.replayed"],
}
for _family in FAMILIES:
    _where = f"{_API}integrations/{_family}"
    API |= {
        ("POST", _where): CONNECTED,
        ("PATCH", f"{_where}/<str:connection_id>"): ["integration.edited"],
        ("DELETE", f"{_where}/<str:connection_id>"): ["integration.disconnected"],
        ("POST", f"{_where}/<str:connection_id>/verify"): ["integration.verified"],
    }
WRITES = {**{("POST", route): rows for route, rows in PAGES.items()}, **API}
ADOPTED = "the CI server is asked first: builds/tests/test_adopting.py, test_offers.py"
LEFT_OUT = {
    ("POST", "integrations/<family:family>/options"): "asks a provider, keeps nothing",
    ("POST", "settings/messages/<str:connection_id>/groups"): "asks a provider, keeps nothing",
    ("POST", "integrations/<family:family>/app"): "begins what test_registering.py follows",
    ("POST", f"{_ONE}/move"): "the provider is asked first: integrations/tests/test_moving.py",
    (
        "POST",
        "integrations/pipelines/<str:connection_id>/give-to-sandbox",
    ): "tells the sandbox alone",
    (
        "POST",
        "integrations/targets/<str:connection_id>/webhook-to-sandbox",
    ): "rotates the secret as the row above, where there is a sandbox",
    (
        "POST",
        "integrations/communication/<str:connection_id>/recipient",
    ): "a mail server refuses first: releases/tests/test_email_messages.py",
    ("POST", "releases/new/preview"): "shows what would be",
    ("POST", "releases/<slug:release_id>/preflight"): "asks the stores, changes nothing there",
    (
        "POST",
        f"{_API}releases/<str:release_id>/preflight",
    ): "asks the stores, changes nothing there",
    ("POST", "activity/effects/<slug:effect_id>/adopt"): ADOPTED,
    ("POST", f"{_API}effects/<str:effect_id>/adopt"): ADOPTED,
    ("POST", "releases/<slug:release_id>/adopt"): ADOPTED,
    ("POST", f"{_API}releases/<str:release_id>/adopt"): ADOPTED,
}
ACTING = {
    (method, route)
    for route in OWN
    for method in ("POST", "PATCH", "DELETE")
    if TABLE.get(route, {}).get(method) in (SIGNED_IN, VIEWER, MEMBER, ADMIN, OWNER)
}
NOTES = {"token.used", "user.signed_in"}  # about the user's session, not the action


def test_every_writing_route_is_in_the_table() -> None:
    assert set(WRITES) | set(LEFT_OUT) == ACTING
    assert set(WRITES) & set(LEFT_OUT) == set()


# --- A workspace in which every action is possible ------------------------------------------------


@pytest.fixture
def ours(db: None, settings: Any) -> SampleWorkspace:
    for name in ("GITHUB_API_URL", "SLACK_API_URL", "APP_STORE_CONNECT_URL", "GOOGLE_PLAY_URL"):
        setattr(settings, name, NOWHERE)
    settings.API_PER_MINUTE = 100_000
    workspace = build_workspace(OURS)
    factories.give_second_factor(workspace.users["OWNER"])
    return workspace


def spare_connections(workspace: SampleWorkspace) -> dict[str, str]:
    """One unused connection of each family, which can be edited and removed."""
    own = {"tenant": workspace.tenant}
    scm, target = factories.ScmFactory(**own), factories.AppStoreFactory(**own)
    used = {"scm": factories.ScmFactory(**own), "target": factories.AppStoreFactory(**own)}
    return {
        "scm": scm.pk,
        "targets": target.pk,
        "pipelines": factories.PipelineFactory(**own, **used).pk,
        "communication": factories.SlackFactory(**own).pk,
        "tickets": factories.JiraFactory(**own).pk,
        "health": factories.SentryFactory(**own).pk,
    }


@dataclass(frozen=True)
class Act:
    method: str
    route: str
    address: str
    send: Callable[[], HttpResponseBase]


def acts(workspace: SampleWorkspace, values: dict[str, Any]) -> Iterator[Act]:
    used, workspace.connections = workspace.connections, spare_connections(workspace)
    forms, bodies = page_bodies(workspace), api_bodies_by_address(workspace, used, values)
    forms["releases/new"] |= {"scm": used["scm"], "targets": [used["targets"]]}
    forms["releases/new"] |= {"pipelines": [used["pipelines"]], "ticket": ""}
    forms["releases/<slug:release_id>/mark"] = {"mark": "submitted"}
    forms[_ONE] |= {"repository_url": "https://github.com/dream11/app", "access_token": ""}
    api, owner = with_token(workspace.tokens["owner"]), signed_in(workspace.users["OWNER"])
    for method, route in sorted(WRITES):
        address = addresses(route, workspace)[0][0]
        if route.startswith(_API):
            body = bodies.get((method, address), {})
            yield Act(method, route, address, sender(api, method, address, body, as_json=True))
            continue
        client = signed_in(workspace.users["VIEWER"]) if route == "settings/leave" else owner
        form = {n: v for n, v in forms.get(route, {}).items() if v is not None}
        if route == "settings/tokens":
            form["form_key"] = owner.get(address).context["form_key"]
        yield Act(method, route, address, sender(client, method, address, form))


def api_bodies_by_address(
    workspace: SampleWorkspace, used: dict[str, str], values: dict[str, Any]
) -> dict[tuple[str, str], Any]:
    found = {(m.upper(), f"/api/v1/{path}"): body for m, path, body in api_bodies(workspace)}
    for family, pk in workspace.connections.items():
        found["PATCH", f"/api/v1/integrations/{family}/{pk}"] = {"displayName": "Another"}
    found["POST", "/api/v1/integrations/targets"] = values["targets"][0]
    found["POST", "/api/v1/releases"] = {
        "version": "9.9.9",
        "scmIntegrationId": used["scm"],
        "targets": [used["targets"]],
        "pipelines": [used["pipelines"]],
    }
    return found


def sender(
    client: Any, method: str, address: str, body: Any, *, as_json: bool = False
) -> Callable[[], HttpResponseBase]:
    kind = {"content_type": "application/json"} if as_json else {}
    return lambda: getattr(client, method.lower())(address, body, **kind)


def end_the_build(workspace: SampleWorkspace) -> None:
    """Let the build fail, so that it can be triggered again."""
    parts = ReleasePipeline.objects.filter(release_id=workspace.ids["release_id"])
    parts.update(build_status="FAILURE")
    Build.objects.filter(pk=workspace.ids["build_id"]).update(status="FAILURE")


def let_it_go_on(workspace: SampleWorkspace) -> None:
    """The CI server goes on with the cancelled build."""
    build = Build.objects.filter(pk=workspace.ids["build_id"])
    build.update(status="CANCELLED", still_running_at=timezone.now())


def complete_the_release(workspace: SampleWorkspace) -> None:
    """All of its builds succeeded, so that it can be marked."""
    release = Release.objects.filter(pk=workspace.ids["release_id"])
    release.update(status="BUILD_COMPLETE", completed_at=timezone.now())


def submit_the_release(workspace: SampleWorkspace) -> None:
    complete_the_release(workspace)
    Release.objects.filter(pk=workspace.ids["release_id"]).update(submitted_at=timezone.now())


def make_it_ready_for_the_store(workspace: SampleWorkspace) -> None:
    complete_the_release(workspace)
    parts = ReleasePipeline.objects.filter(release_id=workspace.ids["release_id"])
    parts.update(build_status="SUCCESS")
    Submission.objects.filter(pk=workspace.ids["submission_id"]).update(is_current=False)


def mute_the_release(workspace: SampleWorkspace) -> None:
    Release.objects.filter(pk=workspace.ids["release_id"]).update(muted_at=timezone.now())


def let_it_wait(workspace: SampleWorkspace) -> None:
    release = Release.objects.filter(pk=workspace.ids["release_id"])
    release.update(branch_look_at=timezone.now())


def end_the_release(workspace: SampleWorkspace) -> None:
    end_the_build(workspace)
    Release.objects.filter(pk=workspace.ids["release_id"]).update(status="CANCELLED")


def start_test_builds(workspace: SampleWorkspace) -> None:
    """Each pipeline has a running one."""
    for pipeline in PipelineIntegration.objects.for_tenant(workspace.tenant).filter(
        test_builds=None
    ):
        factories.TestBuildFactory(pipeline=pipeline)


PREPARED: dict[Any, Callable[[SampleWorkspace], None]] = {
    "integrations/pipelines/<str:connection_id>/test-build/cancel": start_test_builds,
    "releases/<slug:release_id>/builds": end_the_build,
    f"{_API}releases/<str:release_id>/builds": end_the_build,
    "builds/<slug:build_id>/force-cancel": let_it_go_on,
    f"{_API}builds/<str:build_id>/force-cancel": let_it_go_on,
    "releases/<slug:release_id>/mark": complete_the_release,
    "releases/<slug:release_id>/try-now": let_it_wait,
    f"{_API}releases/<str:release_id>/try-now": let_it_wait,
    ("POST", f"{_API}releases/<str:release_id>/marks/<str:mark>"): complete_the_release,
    ("DELETE", f"{_API}releases/<str:release_id>/marks/<str:mark>"): submit_the_release,
    ("DELETE", f"{_API}releases/<str:release_id>/mute"): mute_the_release,
    "settings/workspace/delete": end_the_release,
    "releases/<slug:release_id>/submit/<slug:target_id>": make_it_ready_for_the_store,
    f"{_API}releases/<str:release_id>/submissions": make_it_ready_for_the_store,
}


# --- Watching the database ------------------------------------------------------------------------


@contextmanager
def audit_rows(seen: list[int], *, refused: bool = False) -> Iterator[None]:
    """Counts the open transactions at each insert of an audit row; `refused`: the insert fails."""

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "audit_events"'):
            seen.append(len(connection.savepoint_ids))
            if refused:
                raise DatabaseError("no audit row today")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield


def test_each_act_writes_its_row_in_its_own_transaction(
    ours: SampleWorkspace, sandbox_values: dict[str, Any]
) -> None:
    whole_table = list(acts(ours, sandbox_values))
    before = everything()
    for act in whole_table:
        with transaction.atomic():
            if prepare := PREPARED.get(act.route) or PREPARED.get((act.method, act.route)):
                prepare(ours)
            check(act, everything() if prepare else before)
            transaction.set_rollback(True)


def check(act: Act, before: dict[str, list[dict[str, Any]]]) -> None:
    description, depth = f"{act.method} {act.address}", len(connection.savepoint_ids)
    open_ones: list[int] = []
    with audit_rows([], refused=True):
        assert act.send().status_code == 500, f"{description} went on without its audit row"
    assert changed(before) == {}, f"{description} happened without its audit row"

    known = set(AuditEvent.objects.values_list("pk", flat=True))
    with audit_rows(open_ones):
        answer = act.send()
    assert answer.status_code < 400, f"{description}: {answer.content[:300]!r}"  # type: ignore[attr-defined]
    rows = AuditEvent.objects.exclude(pk__in=known).exclude(action__in=NOTES)
    written = list(rows.values_list("action", "subject_id"))
    assert sorted({action for action, _subject in written}) == WRITES[act.method, act.route], (
        description
    )
    assert len(written) == len(set(written)), f"{description} wrote a row twice"
    assert min(open_ones) > depth, f"{description}: its audit row is in no transaction"
