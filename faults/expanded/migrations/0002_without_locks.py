from django.db import migrations


class Migration(migrations.Migration):
    """Long steps that lock nobody out, each in a transaction of its own."""

    atomic = False
    dependencies = [("expanded", "0001_expand")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE builds VALIDATE CONSTRAINT next_version_known", migrations.RunSQL.noop
        ),
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY effects_next_version ON effects (next_version)",
            "DROP INDEX CONCURRENTLY effects_next_version",
        ),
    ]
