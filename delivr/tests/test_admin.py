"""Django's admin: every row can be viewed, no change bypasses the operations, no secret shows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import Build, BuildEvent, DeliveryState, InsightsNote, WebhookDelivery
from delivr.audit.models import AuditEvent
from delivr.audit.operations import record
from delivr.audit.sealing import seal
from delivr.effects.models import Effect, EffectState, Heartbeat, IntegrationHealth
from delivr.encryption.fields import secret_fields
from delivr.tenants.inviting import invite
from delivr.tenants.models import (
    ApiToken,
    IdempotentRequest,
    Invitation,
    Membership,
    Role,
    Tenant,
    User,
)
from delivr.tenants.operations import create_token
from delivr.tests import factories
from delivr.tests.admin_pages import detail, listing
from integrations.models import EarlierWebhookSecret, EndpointAttempt, StoreWebhookSecret
from releases.models import ReleaseCommunication, ReleaseNotice
from submissions.models import StoreLock

pytestmark = [pytest.mark.on_sqlite, pytest.mark.slow]

OURS = ("tenants", "effects", "audit", "integrations", "releases", "builds", "submissions")
MODELS = [model for label in OURS for model in apps.get_app_config(label).get_models()]
CHANGEABLE = {User}
CANARY = "canary-0123456789"


@pytest.fixture
def root(db) -> Client:
    user, client = User.objects.create_superuser("root@example.com"), Client()
    factories.give_second_factor(user)
    return factories.sign_in(client, user)


@pytest.fixture
def rows(tenant, owner) -> list[str]:
    """A row of every model, with a marker in place of each secret and body."""
    release = factories.ReleaseFactory(tenant=tenant, created_by=owner)
    part = factories.ReleaseTargetFactory(release=release)
    submission = factories.fill_stores(part, owner)
    factories.fill_health(submission, factories.SentryFactory(tenant=tenant))
    factories.fill_insights(tenant)
    InsightsNote.objects.create(tenant_key=tenant.pk, day=timezone.now().date())
    target = factories.AppStoreFactory(tenant=tenant)
    StoreWebhookSecret.objects.create(tenant=tenant, target=target, secret=CANARY)
    StoreLock.objects.create(key="a")
    factories.fill_repository(release)
    ReleaseNotice.objects.create(tenant=tenant, release_id=release.pk, notice="x", dedupe_key="x")
    pipeline = factories.ReleasePipelineFactory(release=release)
    build = factories.BuildFactory(release_pipeline=pipeline, started_by=owner)
    delivery = factories.DeliveryFactory(
        pipeline=pipeline.pipeline, body=CANARY.encode(), build=build
    )
    BuildEvent.objects.create(
        tenant=tenant,
        build=build,
        source="WEBHOOK",
        from_status="QUEUED",
        to_status="RUNNING",
        applied=True,
        delivery=delivery,
    )
    EarlierWebhookSecret.objects.create(
        tenant=tenant, pipeline=pipeline.pipeline, secret=CANARY, until=timezone.now()
    )
    EndpointAttempt.objects.create(tenant=tenant, body=CANARY, answer=CANARY, event="test")
    factories.TestBuildFactory(pipeline=pipeline.pipeline, started_by=owner)
    slack = factories.SlackFactory(tenant=tenant)
    ReleaseCommunication.objects.create(tenant=tenant, release=release, communication=slack)
    factories.fill_buttons(slack, build, owner)
    factories.JiraFactory(tenant=tenant)
    factories.EffectFactory(tenant=tenant, release_id=release.pk)
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_slack_x")
    Heartbeat.objects.create(name="sweeper", at=timezone.now())
    token, text = create_token(tenant=tenant, user=owner, role="OWNER")
    invite(tenant=tenant, email="invited@example.com", role="VIEWER", actor=owner)
    Invitation.objects.update(digest="d" * 64)
    seal()
    IdempotentRequest.objects.create(tenant=tenant, key="k", fingerprint="f", answer=CANARY)
    for model in apps.get_app_config("integrations").get_models():
        for row in model.objects.all():
            for field in secret_fields(model):
                setattr(row, field.name, CANARY)
            row.save()
    return [CANARY, text, token.digest, "d" * 64, owner.password]


def test_every_model_has_an_admin():
    assert {model for model in MODELS if model not in admin.site._registry} == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_list_and_row_are_shown_without_a_secret(root, rows, model):
    row = model._default_manager.first()
    assert row is not None, "the fixture has no such row"
    for path in (listing(model), f"{listing(model)}?q=x", detail(row)):
        response = root.get(path)
        assert response.status_code == 200
        assert not [secret for secret in rows if secret in response.content.decode()]


def values_of(model) -> list[str]:
    shown = [f.attname for f in model._meta.concrete_fields if f not in secret_fields(model)]
    return list(model._default_manager.values(*shown).order_by("pk"))


@pytest.mark.parametrize(
    "model", [m for m in MODELS if m not in CHANGEABLE], ids=lambda model: model.__name__
)
def test_rows_cannot_be_changed_added_or_deleted(root, rows, model):
    row = model._default_manager.first()
    before = values_of(model)
    for path in (listing(model, "add"), detail(row), detail(row, "delete")):
        assert root.post(path, {"post": "yes", "name": "changed"}).status_code == 403
    assert values_of(model) == before


def test_staff_without_permissions_see_and_do_nothing(rows, tenant, client_for, owner):
    factories.give_second_factor(owner)
    owner.is_staff = True
    owner.save()
    client = client_for(owner)
    dead = factories.EffectFactory(tenant=tenant, state=EffectState.DEAD)
    act = {"action": "retry", "_selected_action": [dead.pk]}
    assert client.get(listing(Effect)).status_code == 403
    assert client.post(listing(Effect), act).status_code == 403
    dead.refresh_from_db()
    assert dead.state == EffectState.DEAD


def test_members_cannot_open_the_admin(rows, client_for, owner):
    assert client_for(owner).get(listing(Effect)).status_code == 302


# --- Actions ---------------------------------------------------------------------------------


def act(client, action, *chosen):
    data = {"action": action, "_selected_action": [row.pk for row in chosen]}
    return client.post(listing(type(chosen[0])), data, follow=True).content.decode()


def test_effects_are_retried_where_they_can_be(root, tenant):
    slack = factories.SlackFactory(tenant=tenant)
    dead = factories.EffectFactory(tenant=tenant, state=EffectState.DEAD, integration_id=slack.pk)
    done = factories.EffectFactory(tenant=tenant, state=EffectState.DONE)
    html = act(root, "retry", dead, done)
    assert "Done for 1." in html
    assert "Only a failed effect can be retried." in html
    states = {e.pk: e.state for e in Effect.objects.all()}
    assert states == {dead.pk: EffectState.PENDING, done.pk: EffectState.DONE}
    assert AuditEvent.objects.get().actor_label == "root@example.com"


def test_effects_are_cancelled(root, tenant):
    dead = factories.EffectFactory(tenant=tenant, state=EffectState.DEAD)
    act(root, "cancel", dead)
    dead.refresh_from_db()
    assert dead.state == EffectState.CANCELLED


def test_deliveries_are_replayed_while_their_body_is_kept(root, tenant):
    pipeline = factories.PipelineFactory(tenant=tenant)
    kept = factories.DeliveryFactory(pipeline=pipeline, state=DeliveryState.REJECTED)
    gone = factories.DeliveryFactory(pipeline=pipeline, state=DeliveryState.REJECTED, body=b"")
    html = act(root, "replay", kept, gone)
    assert "Done for 1." in html
    assert "Its body was deleted" in html
    states = {d.pk: d.state for d in WebhookDelivery.objects.all()}
    assert states == {kept.pk: DeliveryState.NEW, gone.pk: DeliveryState.REJECTED}
    assert AuditEvent.objects.get().actor_label == "root@example.com"


def test_running_builds_are_cancelled(root, tenant):
    release = factories.ReleaseFactory(tenant=tenant)
    moving, resting = (
        factories.BuildFactory(
            release_pipeline=factories.ReleasePipelineFactory(release=release), status=status
        )
        for status in ("RUNNING", "SUCCESS")
    )
    html = act(root, "cancel", moving, resting)
    assert "Done for 1." in html
    assert "already finished" in html
    states = {build.pk: build.status for build in Build.objects.all()}
    assert states == {moving.pk: "CANCELLED", resting.pk: "SUCCESS"}


@pytest.mark.parametrize("model", [WebhookDelivery, Build], ids=lambda model: model.__name__)
def test_actions_require_the_change_permission(rows, tenant, client_for, owner, model):
    """Users who may only view rows are offered no action and can run none."""
    label = f"view_{model._meta.model_name}"
    factories.give_second_factor(owner)
    owner.user_permissions.set(Permission.objects.filter(codename=label))
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    owner.refresh_from_db()
    client, before = client_for(owner), values_of(model)
    action = {"action": "replay" if model is WebhookDelivery else "cancel"}
    page = client.post(listing(model), {**action, "_selected_action": [before[0]["id"]]})
    assert page.status_code in (200, 302)
    assert values_of(model) == before


def test_effect_is_shown_in_words_with_links(root, tenant):
    release = factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    slack = factories.SlackFactory(tenant=tenant, display_name="Chat")
    effect = factories.EffectFactory(
        tenant=tenant, release_id=release.pk, integration_id=slack.pk, state=EffectState.DEAD
    )
    assert "Message “Release created” to C123" in root.get(listing(Effect)).content.decode()
    page = root.get(detail(effect)).content.decode()
    assert f'<a href="{detail(release)}">1.5.0</a>' in page
    assert f'<a href="{detail(slack)}">Chat</a>' in page


def test_effects_are_filtered_by_kind(root, tenant):
    message = factories.EffectFactory(tenant=tenant)
    epic = factories.EffectFactory(tenant=tenant, kind="ticket.create_epic")
    page = root.get(f"{listing(Effect)}?kind__exact=ticket.create_epic").content.decode()
    assert epic.pk in page
    assert message.pk not in page


def test_tokens_are_revoked(root, tenant, owner):
    token, text = create_token(tenant=tenant, user=owner, role="MEMBER")
    act(root, "revoke", token)
    assert ApiToken.objects.find(text) is None
    assert AuditEvent.objects.filter(action="token.revoked").exists()


# --- Users and members -----------------------------------------------------------------------


def new_user(**changes):
    password = {"password1": "correct-horse-battery", "password2": "correct-horse-battery"}
    return {"email": "Ada@Example.com", "usable_password": "true", **password, **changes}


def test_user_is_created_with_address_and_password(root):
    assert root.post("/admin/tenants/user/add/", new_user()).status_code == 302
    user = User.objects.get(email="ada@example.com")
    assert user.check_password("correct-horse-battery")
    assert not user.is_staff


def test_address_is_unique_regardless_of_case(root):
    factories.UserFactory(email="ada@example.com")
    response = root.post("/admin/tenants/user/add/", new_user(email="ADA@example.com"))
    assert "already has an account" in response.content.decode()
    assert User.objects.filter(email__iexact="ada@example.com").count() == 1


def test_user_page_has_no_user_name(root):
    user = factories.UserFactory()
    html = root.get(detail(user)).content.decode()
    assert "id_email" in html
    assert "id_username" not in html


def test_role_changes_and_removals_are_audited(root, tenant, owner):
    member = factories.MembershipFactory(tenant=tenant, role=Role.VIEWER)
    act(root, "make_admin", member)
    member.refresh_from_db()
    assert member.role == Role.ADMIN
    event = AuditEvent.objects.get(action="member.changed")
    assert event.actor_label == "root@example.com"
    assert event.changes == {"role": ["VIEWER", "ADMIN"]}
    act(root, "remove", member)
    assert not Membership.objects.filter(pk=member.pk).exists()
    assert AuditEvent.objects.filter(action="member.removed").exists()


@pytest.mark.parametrize("action", ["make_viewer", "remove"])
def test_operator_cannot_remove_the_last_owner(root, tenant, owner, action):
    membership = Membership.objects.get(tenant=tenant, user=owner)
    html = act(root, action, membership)
    assert "A workspace needs an owner" in html
    membership.refresh_from_db()
    assert membership.role == Role.OWNER


def test_invitations_are_revoked(root, tenant, owner):
    invitation = invite(tenant=tenant, email="x@example.com", role="OWNER", actor=owner)
    act(root, "revoke", invitation)
    invitation.refresh_from_db()
    assert invitation.revoked_at is not None


# --- Long lists ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Effect, AuditEvent], ids=lambda model: model.__name__)
def test_long_list_costs_few_queries(root, tenant, model, django_assert_max_num_queries):
    for number in range(60):
        factories.EffectFactory(tenant=tenant)
        record(tenant=Tenant.objects.create(name=f"t{number}"), actor=None, action="x")
    with django_assert_max_num_queries(14):
        root.get(listing(model))


def test_start_page_shows_the_state_of_all_work(root: Client, tenant) -> None:
    dead = factories.EffectFactory(tenant=tenant, state=EffectState.DEAD, done_at=timezone.now())
    late = factories.EffectFactory(tenant=tenant)
    Effect.objects.filter(pk=late.pk).update(next_at=timezone.now() - timedelta(hours=2))
    page = root.get("/admin/")
    text = " ".join(page.content.decode().split())
    assert "2 hours ago" in text
    assert f'<a href="{detail(late)}">' in text
    assert f'<a href="{detail(dead)}">{tenant.name}: Message' in text
    [kind] = [
        n for p in page.context["panels"] for n in p.lines if n.label == "Message" and not n.at
    ]
    assert dead.pk in root.get(kind.url).content.decode()
    assert late.pk not in root.get(kind.url).content.decode()
    assert 'class="panel__bad"' in text
    [line] = [n for p in page.context["panels"] for n in p.lines if n.label == "Failed"]
    assert line.count == 1
    assert dead.pk in root.get(line.url).content.decode()


def test_overview_costs_constant_queries(root: Client, tenant) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            root.get("/admin/")
        return len(found)

    few = queries()
    factories.EffectFactory.create_batch(20, tenant=tenant)
    assert queries() == few


@pytest.mark.parametrize("by", ["page", "action"])
def test_member_is_removed_before_the_user_is_deleted(root, tenant, owner, by):
    """Memberships end only by their own operation, which keeps an owner in each workspace."""
    chosen = {"action": "delete_selected", "_selected_action": [owner.pk], "post": "yes"}
    path = listing(type(owner)) if by == "action" else detail(owner, "delete")
    answer = root.post(path, chosen if by == "action" else {"post": "yes"})
    assert answer.status_code in (200, 403)  # a page that explains why
    assert Membership.objects.filter(user=owner, tenant=tenant).exists()
    factories.MembershipFactory(tenant=tenant, role=Role.OWNER)
    owner.memberships.get().delete()
    root.post(path, chosen if by == "action" else {"post": "yes"})
    assert not User.objects.filter(pk=owner.pk).exists()


def test_last_owner_is_not_deactivated(root, tenant, owner) -> None:
    unticked = {"email": owner.email}
    page = root.post(detail(owner), unticked).content.decode()
    assert f"The only owner of {tenant.name}. Make someone else an owner first." in page
    owner.refresh_from_db()
    assert owner.is_active
    factories.MembershipFactory(tenant=tenant, role=Role.OWNER)
    assert root.post(detail(owner), unticked).status_code == 302
    owner.refresh_from_db()
    assert not owner.is_active


# --- Staff who are not superusers -----------------------------------------------------------------


@pytest.fixture
def staff(db) -> User:
    """May manage users, and has no other permission."""
    user = factories.UserFactory(is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="tenants", codename__endswith="user")
    user.user_permissions.set(rights)
    factories.give_second_factor(user)
    return user


def test_nobody_grants_permissions_that_they_lack(staff: User) -> None:
    client = factories.sign_in(Client(), staff)
    sent = {"email": staff.email, "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    every = [str(right.pk) for right in Permission.objects.all()]
    assert client.post(detail(staff), {**sent, "user_permissions": every}).status_code == 302
    staff.refresh_from_db()
    assert not staff.is_superuser
    assert staff.user_permissions.count() < len(every)


@pytest.mark.parametrize("by", ["page", "password", "deletion", "action"])
def test_only_superusers_change_superusers(staff: User, by: str) -> None:
    boss = User.objects.create_superuser("boss@example.com", password="correct-horse-battery")
    client, new = factories.sign_in(Client(), staff), "another-horse-battery"
    path, sent = {
        "page": (detail(boss), {"email": "staff@example.com", "is_active": "on"}),
        "password": (
            f"{listing(User)}{boss.pk}/password/",
            {"password1": new, "password2": new, "usable_password": "true"},
        ),
        "deletion": (detail(boss, "delete"), {"post": "yes"}),
        "action": (
            listing(User),
            {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"},
        ),
    }[by]
    client.post(path, sent)
    boss.refresh_from_db()
    assert boss.email == "boss@example.com"
    assert boss.check_password("correct-horse-battery")
