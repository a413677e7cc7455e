from django.db import migrations, models


def unlogged(apps, schema_editor):
    """Counts live for minutes: on PostgreSQL they need not wait for the disk, nor outlive a crash."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE rate_counters SET UNLOGGED")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="RateCounter",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("hits", models.PositiveIntegerField()),
                ("ends_at", models.FloatField(db_index=True)),
            ],
            options={"db_table": "rate_counters"},
        ),
        migrations.RunPython(unlogged, migrations.RunPython.noop),
    ]
