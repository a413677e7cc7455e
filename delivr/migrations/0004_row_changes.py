import django.db.models.functions.datetime
from django.db import migrations, models


def unlogged(apps, schema_editor):
    """Rows live for minutes: on PostgreSQL they need not wait for the disk, nor outlive a crash."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE row_changes SET UNLOGGED")


class Migration(migrations.Migration):

    dependencies = [
        ('delivr', '0003_key_probes'),
    ]

    operations = [
        migrations.CreateModel(
            name='RowChange',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_key', 'transaction', 'release_key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('tenant_key', models.CharField(max_length=40)),
                ('transaction', models.BigIntegerField(db_index=True)),
                ('release_key', models.CharField(max_length=64)),
                ('noted_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'row_changes',
            },
        ),
        migrations.RunPython(unlogged, migrations.RunPython.noop),
    ]
