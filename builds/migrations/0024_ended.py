from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("builds", "0023_buttons")]

    operations = [
        AddIndexWithoutLock(
            "build",
            models.Index(
                fields=["finished_at"],
                condition=models.Q(finished_at__isnull=False),
                name="build_ended",
            ),
        ),
    ]
