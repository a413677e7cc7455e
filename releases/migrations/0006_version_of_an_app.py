from django.db import migrations, models


def fill(apps, schema_editor):
    """The app of each target as it is now, and the version that a live release holds for it."""
    held = set()
    parts = apps.get_model("releases", "ReleaseTarget").objects.select_related("release", "target")
    for part in parts.order_by("id").iterator(chunk_size=500):
        part.store, part.app_identifier = part.target.target_type, part.target.app_identifier
        key = (part.tenant_id, part.release.version, part.store, part.app_identifier)
        if part.release.status != "CANCELLED" and key not in held:
            held.add(key)
            part.held_version = part.release.version
        part.save(update_fields=["store", "app_identifier", "held_version"])


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_known_channels"), ("releases", "0005_branch_index")]

    operations = [
        migrations.AddField(
            "ReleaseTarget",
            "store",
            models.CharField(
                blank=True,
                choices=[("APP_STORE", "App Store"), ("PLAY_STORE", "Play Store")],
                db_default="",
                default="",
                max_length=20,
            ),
        ),
        migrations.AddField(
            "ReleaseTarget",
            "app_identifier",
            models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
        migrations.AddField(
            "ReleaseTarget",
            "held_version",
            models.CharField(blank=True, max_length=64, null=True),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
