"""A source of health figures that uses another connection's credentials."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from integrations.models import HealthIntegration
from integrations.setup import is_complete

pytestmark = pytest.mark.django_db
PATH = "/api/v1/integrations/health"


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> Any:
    return api_for(tenant, Role.ADMIN)


def body(target: Any) -> dict[str, str]:
    return {"healthType": "PLAY_VITALS", "targetIntegrationId": target.pk}


def test_it_is_connected_with_the_app_alone(
    api: Any, sandbox: Any, sandbox_values: dict[str, Any], tenant: Tenant
) -> None:
    app = api.post("/api/v1/integrations/targets", sandbox_values["targets"][1]).json()
    made = api.post(PATH, {"healthType": "PLAY_VITALS", "targetIntegrationId": app["id"]})
    assert made.status_code == 201, made.json()
    assert made.json()["targetIntegrationId"] == app["id"]
    assert made.json()["displayName"].endswith("com.dream11.app")
    verified = api.post(f"{PATH}/{made.json()['id']}/verify").json()
    assert verified["verificationStatus"] == "VALID", verified["checks"]
    used = api.delete(f"/api/v1/integrations/targets/{app['id']}")
    assert (used.status_code, used.json()["code"]) == (409, "in_use")
    assert api.delete(f"{PATH}/{made.json()['id']}").status_code == 204
    assert api.delete(f"/api/v1/integrations/targets/{app['id']}").status_code == 204


def test_the_app_must_be_of_this_workspace_and_of_its_store(api: Any, tenant: Tenant) -> None:
    theirs, ios = factories.PlayStoreFactory(), factories.AppStoreFactory(tenant=tenant)
    for target in (theirs, ios):
        answer = api.post(PATH, body(target))
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["targetIntegrationId"])
    missing = api.post(PATH, {"healthType": "PLAY_VITALS"})
    assert list(missing.json()["errors"]) == ["targetIntegrationId"]
    assert not HealthIntegration.objects.exists()


def test_the_form_offers_only_such_apps(tenant: Tenant, member_of: Any, client_for: Any) -> None:
    android = factories.PlayStoreFactory(tenant=tenant)
    factories.AppStoreFactory(tenant=tenant)
    client = client_for(member_of(tenant, Role.ADMIN))
    address = reverse("integration_new", args=["health"]) + "?kind=PLAY_VITALS"
    form = client.get(address).context["form"]
    assert [pk for pk, _name in form.fields["target"].choices] == [android.pk]
    assert str(form.fields["target"].label) == "App"
    made = client.post(address, {"kind": "PLAY_VITALS", "target": android.pk})
    assert made.status_code == 302
    assert HealthIntegration.objects.get().target == android


def test_setup_is_complete_without_it(tenant: Tenant, member_of: Any, client_for: Any) -> None:
    factories.SentryFactory(tenant=tenant)
    assert not is_complete(tenant)
    client = client_for(member_of(tenant, Role.ADMIN))
    assert client.get("/setup/health").status_code == 404
    assert client.post("/setup/health/skip").status_code == 404
