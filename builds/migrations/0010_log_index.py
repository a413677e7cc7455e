from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    """0008 made this index in the transaction of its columns, so that nobody could write meanwhile.
    Where it did so already, nothing is left to do."""

    atomic = False
    dependencies = [("builds", "0009_names_for_people")]

    operations = [
        AddIndexWithoutLock(
            "build",
            models.Index(
                fields=["log_at"],
                condition=models.Q(log_at__isnull=False),
                name="build_log_due",
            ),
        ),
    ]
