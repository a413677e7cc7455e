from django.conf import settings
from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("builds", "0025_old_presses"),
        ("integrations", "0014_endpoints"),
        ("releases", "0020_old_notices"),
        ("tenants", "0010_mail_choices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexWithoutLock(
            "build",
            models.Index(fields=["tenant", "-created_at"], name="build_by_time"),
        ),
        AddIndexWithoutLock(
            "build",
            models.Index(fields=["-created_at", "-id"], name="build_newest"),
        ),
        AddIndexWithoutLock(
            "webhookdelivery",
            models.Index(fields=["pipeline", "-received_at"], name="delivery_by_pipeline"),
        ),
        AddIndexWithoutLock(
            "webhookdelivery",
            models.Index(
                condition=models.Q(("state__in", ["IGNORED", "UNMATCHED", "ORPHAN", "REJECTED"])),
                fields=["tenant", "state", "-received_at"],
                name="delivery_by_state",
            ),
        ),
        AddIndexWithoutLock(
            "webhookdelivery",
            models.Index(fields=["-received_at", "-id"], name="delivery_newest"),
        ),
        AddIndexWithoutLock(
            "webhookdelivery",
            models.Index(
                condition=models.Q(("body", b""), _negated=True),
                fields=["received_at"],
                name="delivery_with_body",
            ),
        ),
        AddIndexWithoutLock(
            "buildevent",
            models.Index(
                condition=models.Q(
                    ("applied", True),
                    ("to_status__in", ["SUCCESS", "FAILURE", "UNSTABLE", "ABORTED"]),
                ),
                fields=["tenant", "-at"],
                name="event_of_ends",
            ),
        ),
        AddIndexWithoutLock(
            "testbuild",
            models.Index(fields=["-created_at", "-id"], name="test_build_newest"),
        ),
    ]
