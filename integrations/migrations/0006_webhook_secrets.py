import django.db.models.deletion
from django.db import migrations, models

import delivr.ids
import delivr.encryption.fields
from delivr.tenants.composite import CompositeForeignKeys


class Migration(migrations.Migration):
    dependencies = [("integrations", "0005_revisions"), ("tenants", "0007_time_zone")]

    operations = [
        migrations.CreateModel(
            name="EarlierWebhookSecret",
            fields=[
                (
                    "id",
                    delivr.ids.PrefixedIdField(
                        editable=False,
                        max_length=40,
                        prefix="whs",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("secret", delivr.encryption.fields.SecretTextField(blank=True, editable=False, null=True)),
                ("until", models.DateTimeField()),
                (
                    "pipeline",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="earlier_secrets",
                        to="integrations.pipelineintegration",
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
                "db_table": "webhook_secrets",
                "ordering": ["-until", "id"],
                "indexes": [models.Index(fields=["until"], name="webhook_secret_ends")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "id"), name="webhook_secret_tenant_id_uniq"
                    )
                ],
            },
        ),
        CompositeForeignKeys("EarlierWebhookSecret", ["pipeline"]),
    ]
