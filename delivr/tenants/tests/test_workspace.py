"""Renaming and deleting a workspace."""

import pytest

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.tenants.inviting import invite
from delivr.tenants.models import ApiToken, Invitation, Membership, Role, Tenant
from delivr.tenants.operations import create_token
from delivr.tests import factories
from integrations.models import PipelineIntegration, ScmIntegration, TargetIntegration
from releases.models import Release, ReleaseStatus

pytestmark = pytest.mark.django_db

PAGE, DELETE = "/settings/workspace", "/settings/workspace/delete"


@pytest.fixture
def boss(owner, client_for):
    return client_for(owner)


@pytest.fixture
def full(tenant, owner):
    """A workspace with a finished release, connections, a token, an invitation, a dead effect."""
    release = factories.ReleaseFactory(tenant=tenant, status=ReleaseStatus.BUILD_COMPLETE)
    factories.ReleasePipelineFactory(release=release)
    factories.MembershipFactory(tenant=tenant)
    factories.EffectFactory(tenant=tenant, state=EffectState.DEAD)
    create_token(tenant=tenant, user=owner, role="VIEWER")
    invite(tenant=tenant, email="x@example.com", role="VIEWER", actor=owner)
    return release


def test_workspace_is_renamed(boss, tenant):
    boss.post(PAGE, {"name": " Acme "})
    tenant.refresh_from_db()
    assert tenant.name == "Acme"
    event = AuditEvent.objects.get(action="tenant.renamed")
    assert event.changes["name"][1] == "Acme"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "\x00"])
def test_invalid_name_is_refused(boss, tenant, name):
    before = tenant.name
    assert boss.post(PAGE, {"name": name}).context["rename"].errors
    tenant.refresh_from_db()
    assert tenant.name == before


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_only_owners_see_rename_and_delete(tenant, owner, member_of, client_for, role):
    client = client_for(member_of(tenant, role))
    assert PAGE not in client.get("/settings/").content.decode()
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"name": "x"}).status_code == 403
    assert client.post(DELETE, {"confirmation": tenant.name}).status_code == 403
    before = tenant.name
    tenant.refresh_from_db()
    assert (tenant.name, tenant.closed_at) == (before, None)


def test_deletion_ends_access_and_deletes_credentials(boss, tenant, owner, full):
    answer = boss.post(DELETE, {"confirmation": tenant.name}, follow=True)
    assert f"The workspace {tenant.name} is deleted." in answer.content.decode()
    tenant.refresh_from_db()
    assert tenant.closed_at is not None
    assert not Membership.objects.filter(tenant=tenant).exists()
    assert not ApiToken.objects.filter(tenant=tenant, revoked_at=None).exists()
    assert not Invitation.objects.for_tenant(tenant).unsettled().exists()
    for model in (ScmIntegration, TargetIntegration, PipelineIntegration):
        assert not model.objects.for_tenant(tenant).exists()
    assert set(ScmIntegration.objects.values_list("access_token", flat=True)) == {None}
    assert not Effect.objects.for_tenant(tenant).exclude(state=EffectState.CANCELLED).exists()
    assert Release.objects.filter(pk=full.pk).exists()
    last = AuditEvent.objects.for_tenant(tenant).order_by("pk").last()
    assert (last.action, last.actor_label) == ("tenant.deleted", owner.email)


def test_other_workspaces_stay_as_they_are(boss, tenant, full, stranger):
    other = factories.ScmFactory(tenant=stranger.memberships.get().tenant)
    boss.post(DELETE, {"confirmation": tenant.name})
    other.refresh_from_db()
    assert (other.disconnected_at, stranger.memberships.count()) == (None, 1)


@pytest.mark.parametrize("typed", ["", "x", "ACME"])
def test_deletion_requires_the_typed_name(boss, tenant, full, typed):
    Tenant.objects.filter(pk=tenant.pk).update(name="Acme")
    assert boss.post(DELETE, {"confirmation": typed}).context["close"].errors
    assert Membership.objects.filter(tenant=tenant).count() == 2


def test_deletion_waits_for_unfinished_releases(boss, tenant, full):
    release = factories.ReleaseFactory(tenant=tenant, status=ReleaseStatus.BUILDING)
    html = boss.post(DELETE, {"confirmation": tenant.name}).content.decode()
    assert f"release {release.version}" in html
    assert Membership.objects.filter(tenant=tenant).count() == 2
    assert ScmIntegration.objects.for_tenant(tenant).exists()


def test_deletion_waits_for_what_is_being_sent(boss, tenant, full):
    Effect.objects.filter(kind="mail.send").update(state=EffectState.LEASED)
    html = boss.post(DELETE, {"confirmation": tenant.name}).content.decode()
    assert "being sent right now" in html
    assert Membership.objects.filter(tenant=tenant).count() == 2


def test_nobody_can_join_a_deleted_workspace(boss, tenant, full):
    from django.core.exceptions import ValidationError

    from delivr.tenants.operations import add_member

    boss.post(DELETE, {"confirmation": tenant.name})
    tenant.refresh_from_db()
    with pytest.raises(ValidationError):
        add_member(tenant=tenant, user=factories.UserFactory(), role="OWNER", actor=None)
