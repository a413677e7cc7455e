from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("builds", "0016_test_build_logs")]

    operations = [
        AddIndexWithoutLock(
            "testbuild",
            models.Index(
                fields=["log_at"],
                condition=models.Q(log_at__isnull=False),
                name="test_build_log_due",
            ),
        ),
    ]
