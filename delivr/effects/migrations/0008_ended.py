from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("effects", "0007_turns")]

    operations = [
        AddIndexWithoutLock(
            "effect",
            models.Index(
                fields=["state", "done_at"],
                condition=models.Q(done_at__isnull=False),
                name="effect_ended",
            ),
        ),
    ]
