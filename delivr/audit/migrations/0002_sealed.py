"""The actor becomes a plain number: a user who is deleted changes no row any more. Seals get their
table; the sweeper seals the rows that are there already, oldest first."""

import django.db.models.deletion
from django.db import migrations, models

from delivr.audit.protection import AppendOnly
from delivr.tenants.composite import CompositeForeignKeys

TENANT = {
    "db_constraint": False,
    "editable": False,
    "on_delete": django.db.models.deletion.DO_NOTHING,
    "related_name": "+",
    "to": "tenants.tenant",
}


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial"), ("tenants", "0001_initial")]

    operations = [
        migrations.AlterField(
            "auditevent", "actor", models.BigIntegerField(null=True, db_column="actor_id")
        ),
        migrations.RenameField("auditevent", "actor", "actor_id"),
        migrations.AlterField("auditevent", "actor_id", models.BigIntegerField(null=True)),
        migrations.AlterField("auditevent", "tenant", models.ForeignKey(**TENANT)),
        migrations.CreateModel(
            "AuditSeal",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seq", models.BigIntegerField()),
                ("sealed_at", models.DateTimeField()),
                ("previous", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
                ("event", models.OneToOneField(on_delete=django.db.models.deletion.DO_NOTHING, related_name="seal", to="audit.auditevent")),
                ("tenant", models.ForeignKey(**TENANT)),
            ],
            options={
                "db_table": "audit_seals",
                "ordering": ["tenant_id", "seq"],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "id"), name="audit_seal_tenant_id_uniq"),
                    models.UniqueConstraint(fields=("tenant", "seq"), name="audit_seal_place_once"),
                ],
            },
        ),
        CompositeForeignKeys("AuditSeal", ["event"]),
        AppendOnly("AuditEvent"),
        AppendOnly("AuditSeal"),
    ]
