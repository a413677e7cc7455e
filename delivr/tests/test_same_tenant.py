"""The database refuses a reference to another tenant's row."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from delivr.tenants.composite import constraint_name
from delivr.tenants.models import TenantOwned
from delivr.tests import factories

pytestmark = [pytest.mark.services, pytest.mark.django_db]

# The foreign keys of tables with a tenant that point at such tables.
REFERENCES = [
    (model, field)
    for model in apps.get_models()
    if issubclass(model, TenantOwned)
    for field in model._meta.get_fields()
    if isinstance(field, models.ForeignKey) and issubclass(field.related_model, TenantOwned)
]


@pytest.mark.parametrize(("model", "field"), REFERENCES, ids=lambda x: getattr(x, "name", ""))
def test_every_reference_between_tenant_tables_has_a_composite_key(model: Any, field: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT condeferrable, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conname = %s AND contype = 'f' AND conrelid = %s::regclass",
            [constraint_name(model, field), model._meta.db_table],
        )
        found = cursor.fetchone()
    assert found is not None
    deferrable, definition = found
    assert not deferrable
    assert f"FOREIGN KEY (tenant_id, {field.column})" in definition
    assert f"{field.related_model._meta.db_table}(tenant_id, id)" in definition


def test_another_tenants_row_is_refused_by_the_database() -> None:
    release = factories.ReleaseFactory()
    stranger = factories.ScmFactory()
    with pytest.raises(IntegrityError, match="same_tenant"), transaction.atomic():
        type(release).objects.filter(pk=release.pk).update(scm=stranger)
