import django.db.models.deletion
from django.db import migrations, models

from delivr.tenants.composite import CompositeForeignKeys


def copy_forwards(apps, schema_editor):
    releases = apps.get_model("releases", "Release").objects.exclude(communication=None)
    rows = apps.get_model("releases", "ReleaseCommunication")
    rows.objects.bulk_create(
        (
            rows(tenant_id=tenant, release_id=release, communication_id=communication)
            for release, tenant, communication in releases.values_list(
                "pk", "tenant_id", "communication_id"
            )
        ),
        batch_size=1000,
    )


def copy_backwards(apps, schema_editor):
    rows = apps.get_model("releases", "ReleaseCommunication").objects.order_by("-id")
    releases = apps.get_model("releases", "Release").objects
    for row in rows.iterator():  # the first of each release comes last
        releases.filter(pk=row.release_id).update(communication_id=row.communication_id)


class Migration(migrations.Migration):
    """A release gets several connections for its messages."""

    dependencies = [
        ("integrations", "0012_message_rules"),
        ("releases", "0013_offers_index"),
        ("tenants", "0009_plain_labels"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReleaseCommunication",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "communication",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="release_rows",
                        to="integrations.communicationintegration",
                    ),
                ),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="communication_rows",
                        to="releases.release",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "db_table": "release_communications",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "id"), name="release_communication_tenant_id_uniq"
                    ),
                    models.UniqueConstraint(
                        fields=("release", "communication"), name="release_communication_once"
                    ),
                ],
            },
        ),
        CompositeForeignKeys("ReleaseCommunication", ["release", "communication"]),
        migrations.RunPython(copy_forwards, copy_backwards),
    ]
