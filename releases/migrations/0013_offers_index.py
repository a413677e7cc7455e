from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("releases", "0012_offers")]

    operations = [
        AddIndexWithoutLock(
            "releasepipeline",
            models.Index(
                fields=["look_at"],
                condition=models.Q(look_at__isnull=False),
                name="pipeline_look_due",
            ),
        ),
    ]
