from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("releases", "0004_branch_heads")]

    operations = [
        AddIndexWithoutLock(
            "release",
            models.Index(
                fields=["branch_look_at"],
                condition=models.Q(branch_look_at__isnull=False),
                name="release_branch_due",
            ),
        ),
    ]
