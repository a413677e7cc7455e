"""Adds problems to the demo's workspace: a failed release, a broken connection, and people, tokens
and reports in every state. Run by `delivr.tests.every_page.fill` in the product."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from builds.demo import workspace as demo
from builds.models import Build, DeliveryState, Source, WebhookDelivery
from builds.triggering import trigger_builds
from delivr import outbound
from delivr.effects.models import Effect
from delivr.tenants.inviting import invite, make_link_secret, revoke
from delivr.tenants.models import ApiToken, Tenant, User
from delivr.tenants.operations import create_token, revoke_token
from delivr.tests import factories
from integrations.choices import Verification
from integrations.demo import sandbox_values
from integrations.models import FAMILIES, PipelineIntegration
from integrations.operations import connect
from integrations.verification import verify
from releases.models import Release
from releases.operations import create_release


def add_problems() -> dict[str, str]:
    """Returns ids and URLs of pages that nothing links to. The product must be running."""
    tenant, owner = demo.find_demo(), User.objects.get(email=demo.OWNER)
    assert tenant is not None
    _people(tenant, owner)
    _tokens(tenant, owner)
    broken = _broken_connection(tenant, owner)
    release = _release(tenant, owner)
    _reports(tenant)
    return {
        "release-in-trouble": f"/releases/{release.pk}",
        "integration-broken": f"/integrations/pipelines/{broken.pk}",
        "invitation": _invitation(tenant, owner),
    }


def _people(tenant: Tenant, owner: User) -> None:
    for name, role in (("ada.lovelace", "ADMIN"), ("grace.hopper", "MEMBER"), ("al", "VIEWER")):
        factories.MembershipFactory(tenant=tenant, user__email=f"{name}@example.com", role=role)


def _invitation(tenant: Tenant, owner: User) -> str:
    for email in ("mary.shelley@example.com", "somebody@example.com"):
        found = invite(tenant=tenant, email=email, role="MEMBER", actor=owner)
    revoke(invitation=found, actor=owner)
    kept = invite(
        tenant=tenant, email="a.rather.long.address@mobile.example.com", role="VIEWER", actor=owner
    )
    # The mail would create a new link, which invalidates this one.
    _until(Effect.objects.filter(pk=kept.mail_id, state="DONE").exists)
    return f"/accounts/invitations/{make_link_secret(kept)}"


def _tokens(tenant: Tenant, owner: User) -> None:
    names = ("CI of the app", "Dashboard in the corridor", "An old script")
    used, gone, old = (
        create_token(tenant=tenant, user=owner, role="MEMBER", name=name)[0] for name in names
    )
    now = timezone.now()
    ApiToken.objects.filter(pk=used.pk).update(last_used_at=now - timedelta(hours=3))
    ApiToken.objects.filter(pk=old.pk).update(expires_at=now - timedelta(days=2))
    revoke_token(token=gone, actor=owner)


def _broken_connection(tenant: Tenant, owner: User) -> PipelineIntegration:
    """A pipeline whose API token Jenkins refuses."""
    known = PipelineIntegration.objects.for_tenant(tenant).first()
    values = sandbox_values(("pipelines", "JENKINS"), platform="IOS") | {
        "scm": known.scm_id,
        "target": known.target_id,
        "display_name": "Nightly",
        "jenkins_api_token": "mistyped",
    }
    made = connect(PipelineIntegration, tenant=tenant, actor=owner, kind="JENKINS", values=values)
    return verify(made)


def _release(tenant: Tenant, owner: User) -> Release:
    """A release whose iOS job is disabled in Jenkins: the trigger is dead, and the build failed."""
    _fault("/job/ios-prod/buildWithParameters")
    release = _created(tenant, owner, "1.4.5")
    trigger_builds(release=release, actor=owner)
    rows = Effect.objects.filter(release_id=release.pk)
    _until(rows.filter(kind="build.trigger", state="DEAD").exists)
    return release


def _created(tenant: Tenant, owner: User, version: str) -> Release:
    """Like the demo's releases, without the broken connection."""
    ids = {
        model.family: list(
            model.objects.for_tenant(tenant)
            .filter(verification_status=Verification.VALID)
            .values_list("pk", flat=True)
        )
        for model in FAMILIES.values()
    }
    return create_release(
        tenant=tenant,
        actor=owner,
        version=version,
        scm_id=ids["scm"][0],
        target_ids=ids["targets"],
        pipeline_ids=ids["pipelines"],
        communication_ids=ids["communication"][:1],
        ticket_id=ids["tickets"][0],
    )


def _fault(path: str) -> None:

    fault = {
        "kind": "status",
        "provider": "jenkins",
        "method": "POST",
        "path": path,
        "status": 409,
        "count": 1,
    }
    with outbound.session() as session:
        session.post(f"{settings.SANDBOX_URL}/sandbox/api/faults", json=fault).raise_for_status()


def _reports(tenant: Tenant) -> None:
    """An unreadable delivery, and the end of a build that no webhook reported."""
    build = Build.objects.for_tenant(tenant).filter(status="SUCCESS").first()
    assert build is not None
    garbled = factories.DeliveryFactory(
        pipeline=build.release_pipeline.pipeline, body=b"{", next_at=timezone.now()
    )
    _until(WebhookDelivery.objects.filter(pk=garbled.pk, state=DeliveryState.REJECTED).exists)
    found = {"source": Source.POLL, "delivery": None}
    words = "Jenkins says “Succeeded”, we had “Running”."
    build.events.filter(to_status="SUCCESS").update(**found, detail=words)


def _until(is_so: Callable[[], bool]) -> None:
    """Wait for what the product's other processes do."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def main() -> None:
    sys.stdout.write(json.dumps(add_problems()))
