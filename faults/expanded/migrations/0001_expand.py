from django.db import migrations

# The tables that every click and every worker writes to.
TABLES = ("releases", "release_pipelines", "builds", "effects", "webhook_deliveries")


class Migration(migrations.Migration):
    """Expand: nullable columns, and a constraint that is not validated for old rows yet."""

    operations = [
        *[
            migrations.RunSQL(
                f"ALTER TABLE {table} ADD COLUMN next_version varchar(40)",
                f"ALTER TABLE {table} DROP COLUMN next_version",
            )
            for table in TABLES
        ],
        migrations.RunSQL(
            "ALTER TABLE builds ADD CONSTRAINT next_version_known"
            " CHECK (next_version IS NULL OR next_version <> '') NOT VALID",
            "ALTER TABLE builds DROP CONSTRAINT next_version_known",
        ),
    ]
