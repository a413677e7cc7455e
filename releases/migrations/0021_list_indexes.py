from django.conf import settings
from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("integrations", "0014_endpoints"),
        ("releases", "0020_old_notices"),
        ("tenants", "0010_mail_choices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexWithoutLock(
            "release",
            models.Index(fields=["tenant", "version"], name="release_by_version"),
        ),
        AddIndexWithoutLock(
            "release",
            models.Index(fields=["tenant", "created_by", "-created_at"], name="release_by_person"),
        ),
        AddIndexWithoutLock(
            "release",
            models.Index(
                condition=models.Q(("released_at", None), ("status", "BUILD_COMPLETE")),
                fields=["tenant", "-created_at"],
                name="release_ready",
            ),
        ),
        AddIndexWithoutLock(
            "release",
            models.Index(fields=["-created_at", "-id"], name="release_newest"),
        ),
    ]
