import django.db.models.functions.datetime
from django.db import migrations, models

from delivr.postgres import BUSY, HOT, Storage


def unlogged(apps, schema_editor):
    """Rows live for minutes: on PostgreSQL they need not wait for the disk, nor outlive a crash."""
    if schema_editor.connection.vendor == "postgresql":
        for table in ("rate_counters", "row_changes"):
            schema_editor.execute(f"ALTER TABLE {table} SET UNLOGGED")


class Migration(migrations.Migration):

    replaces = [('delivr', '0001_initial'), ('delivr', '0002_cache'), ('delivr', '0003_key_probes'), ('delivr', '0004_row_changes'), ('delivr', '0005_churn')]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='RateCounter',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('hits', models.PositiveIntegerField()),
                ('ends_at', models.FloatField(db_index=True)),
            ],
            options={
                'db_table': 'rate_counters',
            },
        ),
        migrations.CreateModel(
            name='KeyProbe',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ciphertext', models.TextField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'key_probes',
            },
        ),
        migrations.CreateModel(
            name='CacheEntry',
            fields=[
                ('cache_key', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('value', models.TextField()),
                ('expires', models.DateTimeField(db_index=True)),
            ],
            options={
                'db_table': 'cache_entries',
            },
        ),
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
        Storage("ratecounter", **HOT),
        Storage("rowchange", **BUSY),
    ]
