"""Workspaces with a row in every table, each marked by a word that the other must never see."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.utils import timezone

from builds.models import BuildEvent
from delivr.audit.operations import record
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.encryption.fields import secret_fields
from delivr.ids import webhook_secret
from delivr.tenants.inviting import invite
from delivr.tenants.models import ApiToken, IdempotentRequest, Membership, Role, Tenant, User
from delivr.tenants.operations import create_token, revoke_token
from delivr.tests import factories
from delivr.tests.wired import wire
from integrations.models import EarlierWebhookSecret, EndpointAttempt, StoreWebhookSecret
from releases.models import ReleaseNotice

NOWHERE = "http://127.0.0.1:1"
OURS, THEIRS = "canary7ours", "canary7theirs"
# Words that steer the program:
CODES = {
    "kind",
    "action",
    "digest",
    "fingerprint",
    "schema",
    "sender",
    "shares",
    "figures",
    "before",
}


@dataclass
class SampleWorkspace:
    """One workspace. `ids` holds the values of the routes' parameters."""

    tenant: Tenant
    word: str
    users: dict[str, User]
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)

    def names(self) -> set[str]:
        """What other workspaces may not see: the word, and the ids of the rows."""
        found = {self.word, str(self.tenant.pk), *map(str, self.connections.values())}
        return found | {pk for pk in self.ids.values() if isinstance(pk, str)}


def build_workspace(word: str) -> SampleWorkspace:
    tenant = factories.TenantFactory(name=f"Workspace {word}")
    users = {
        role.value: factories.MembershipFactory(
            tenant=tenant, role=role, user__email=f"{role.lower()}.{word}@example.com"
        ).user
        for role in Role
    }
    workspace = SampleWorkspace(tenant=tenant, word=word, users=users)
    _fill(workspace)
    _mark_all(workspace)
    _tokens(workspace)
    return workspace


def _digits(word: str) -> str:
    """A number that stands for the word, as CI servers number files."""
    return str(int.from_bytes(word.encode()))[:18]


def _fill(workspace: SampleWorkspace) -> None:
    tenant, owner = workspace.tenant, workspace.users["OWNER"]
    wired = wire(tenant, NOWHERE)
    release = factories.ReleaseFactory(
        tenant=tenant,
        scm=wired.scm,
        communication=wired.slack,
        ticket=wired.jira,
        created_by=owner,
        version=f"7.0.0-{workspace.word}",
    )
    target = factories.ReleaseTargetFactory(release=release, target=wired.targets["ios"])
    submission = factories.fill_stores(target, owner)
    factories.fill_repository(release)
    factories.fill_insights(tenant)
    ReleaseNotice.objects.create(
        tenant=tenant, release_id=release.pk, notice="release_created", dedupe_key="notice"
    )
    part = factories.ReleasePipelineFactory(
        release=release, pipeline=wired.pipelines["ios"], build_status="RUNNING"
    )
    build = factories.BuildFactory(
        release_pipeline=part,
        status="RUNNING",
        number=7,
        started_by=owner,
        artifacts=[{"name": "app", "url": f"{NOWHERE}/app", "key": _digits(workspace.word)}],
    )
    delivery = factories.DeliveryFactory(pipeline=wired.pipelines["ios"], build=build)
    test = factories.TestBuildFactory(pipeline=wired.pipelines["ios"], started_by=owner)
    BuildEvent.objects.create(
        tenant=tenant,
        build=build,
        source="WEBHOOK",
        from_status="QUEUED",
        to_status="RUNNING",
        applied=True,
        delivery=delivery,
    )
    dead = {"state": EffectState.DEAD, "last_error": "It failed."}
    effect = factories.EffectFactory(
        tenant=tenant, integration_id=wired.slack.pk, release_id=release.pk, **dead
    )
    factories.EffectFactory(
        tenant=tenant,
        kind="build.trigger",
        integration_id=wired.pipelines["ios"].pk,
        release_id=release.pk,
        build_id=build.pk,
        **dead,
    )
    factories.fill_buttons(wired.slack, build, owner)
    IntegrationHealth.objects.create(tenant=tenant, integration_id=wired.slack.pk)
    EarlierWebhookSecret.objects.create(
        tenant=tenant,
        pipeline=wired.pipelines["ios"],
        secret=webhook_secret(),
        until=timezone.now() + timedelta(hours=1),
    )
    StoreWebhookSecret.objects.create(
        tenant=tenant, target=wired.targets["ios"], secret=webhook_secret()
    )
    endpoint = factories.EndpointFactory(tenant=tenant)
    source = factories.SentryFactory(tenant=tenant)
    factories.fill_health(submission, source)
    attempt = EndpointAttempt.objects.create(
        tenant=tenant,
        integration_id=endpoint.pk,
        effect_id=effect.pk,
        message_id=effect.pk,
        event="release.created",
        body="{}",
        status=200,
    )
    kept = IdempotentRequest.objects.create(tenant=tenant, key="k", fingerprint="f")
    kept.answer = "{}"
    kept.save()
    token, _text = create_token(tenant=tenant, user=owner, role="OWNER", name="of a row")
    invitation = invite(tenant=tenant, email="invited@example.com", role="VIEWER", actor=owner)
    Effect.objects.filter(pk=invitation.mail_id).update(**dead)
    workspace.ids = {
        "release_id": release.pk,
        "target_id": wired.targets["ios"].pk,
        "submission_id": submission.pk,
        "build_id": build.pk,
        "test_build_id": test.pk,
        "effect_id": effect.pk,
        "delivery_id": delivery.pk,
        "endpoint_id": endpoint.pk,
        "attempt_id": attempt.pk,
        "pipeline_id": wired.pipelines["ios"].pk,
        "artifact_key": _digits(workspace.word),
        "token_id": token.pk,
        "token_key": token.public_id,
        "member_id": Membership.objects.get(tenant=tenant, role=Role.VIEWER).public_id,
        "invitation_id": invitation.pk,
    }
    workspace.connections = {
        "scm": wired.scm.pk,
        "targets": wired.targets["ios"].pk,
        "pipelines": wired.pipelines["ios"].pk,
        "communication": wired.slack.pk,
        "tickets": wired.jira.pk,
        "health": source.pk,
    }
    for subject in (release, wired.scm, effect):
        subject.refresh_from_db()
        record(tenant=tenant, actor=owner, action="release.created", subject=subject)


# --- The word in every text -----------------------------------------------------------------------


def tenant_models() -> list[type[models.Model]]:
    """The models whose rows belong to a workspace."""
    found = [m for m in apps.get_models() if any(f.name == "tenant" for f in m._meta.fields)]
    return sorted(found, key=lambda model: model._meta.label)


def _mark_all(workspace: SampleWorkspace) -> None:
    """Put the word into every text of every row of the workspace (the audit log, which cannot be
    changed, contains it in its labels)."""
    for model in tenant_models():
        if model._meta.app_label == "audit":
            continue
        for row in model._default_manager.filter(tenant=workspace.tenant):
            for part in model._meta.concrete_fields:
                _mark(row, part, workspace.word)
            row.save()


def _mark(row: models.Model, part: models.Field[Any, Any], word: str) -> None:
    if part.primary_key or part.is_relation or part.choices or part.name in CODES:
        return
    value = getattr(row, part.attname)
    is_signing = getattr(row, "communication_type", "") == "WEBHOOK" and part.name == "token"
    if is_signing or part.name in ("webhook_secret", "previous_webhook_secret", "secret"):
        return  # base64, which the word would make invalid
    if part in secret_fields(type(row)):
        setattr(row, part.attname, f"{value.reveal()}{word}" if value else None)
    elif isinstance(part, models.JSONField):
        marked = [*value, word] if isinstance(value, list) else {**value, "word": word}
        if part.name == "artifacts":
            marked = [*value, {"name": word, "url": f"https://files.example.com/{word}"}]
        if part.name == "offers":
            marked = [*value, an_offer(word)]
        if part.name != "checks":
            setattr(row, part.attname, marked)
    elif isinstance(part, models.BinaryField):
        setattr(row, part.attname, f'{{"word": "{word}"}}'.encode())
    elif isinstance(part, models.CharField | models.TextField) and not part.name.endswith("_id"):
        marked = f"{value}{word}"
        setattr(row, part.attname, marked if len(marked) <= (part.max_length or 9999) else value)


def an_offer(word: str) -> dict[str, Any]:
    return {
        "id": word,
        "foundBy": "RETRY",
        "externalId": word,
        "number": 9,
        "url": "",
        "status": "SUCCESS",
        "startedBy": word,
        "branch": word,
        "commit": word,
        "startedAt": None,
    }


# --- Tokens ---------------------------------------------------------------------------------------


def _tokens(workspace: SampleWorkspace) -> None:
    """`low` is a viewer's token of the owner; the others are no longer valid."""
    owner = workspace.users["OWNER"]

    def make(role: Role, user: User = owner) -> tuple[ApiToken, str]:
        return create_token(tenant=workspace.tenant, user=user, role=role)

    workspace.tokens["owner"] = make(Role.OWNER)[1]
    workspace.tokens["low"] = make(Role.VIEWER)[1]
    expired, workspace.tokens["expired"] = make(Role.OWNER)
    ApiToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked, workspace.tokens["revoked"] = make(Role.OWNER)
    revoke_token(token=revoked, actor=owner)
    gone = factories.MembershipFactory(tenant=workspace.tenant, role=Role.OWNER)
    workspace.tokens["left"] = make(Role.OWNER, gone.user)[1]
    gone.delete()
    locked = factories.MembershipFactory(tenant=workspace.tenant, role=Role.OWNER)
    workspace.tokens["locked"] = make(Role.OWNER, locked.user)[1]
    User.objects.filter(pk=locked.user_id).update(is_active=False)


# --- What is in the database ----------------------------------------------------------------------

# Signing in and using a token change these, refused or not.
TRACES = {
    "sessions.Session",
    "usersessions.UserSession",
    "delivr.RateCounter",
    "delivr.CacheEntry",
    "delivr.RowChange",
    "axes.AccessAttempt",
    "axes.AccessLog",
}
TRACE_FIELDS = {"last_used_at", "last_login"}
TRACE_ACTIONS = {"token.used"}  # of the audit log


def everything() -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, without these traces."""
    return {
        model._meta.label: [
            {name: value for name, value in row.items() if name not in TRACE_FIELDS}
            for row in _raw_rows(model)
            if row.get("action") not in TRACE_ACTIONS
        ]
        for model in apps.get_models()
        if model._meta.label not in TRACES
    }


def _raw_rows(model: type[models.Model]) -> list[dict[str, Any]]:
    """As the database has them: converting them to Python's types would take ten times as long."""
    names, statement = _select(model)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@functools.cache
def _select(model: type[models.Model]) -> tuple[list[str], str]:
    """The plain columns of a table and the statement that reads them."""
    secret = {part.name for part in secret_fields(model)}
    plain = [part for part in model._meta.concrete_fields if part.name not in secret]
    columns = ", ".join(connection.ops.quote_name(part.column) for part in plain)
    table, key = map(connection.ops.quote_name, (model._meta.db_table, model._meta.pk.column))
    statement = f"SELECT {columns} FROM {table} ORDER BY {key}"  # noqa: S608 # the names are our own
    return [part.attname for part in plain], statement


def changed(before: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The rows that are new or differ from `before`; for deleted rows only the table."""
    now = everything()
    return {
        table: [row for row in rows if row not in before[table]]
        for table, rows in now.items()
        if rows != before[table]
    }
