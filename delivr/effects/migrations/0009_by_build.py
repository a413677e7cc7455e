from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("effects", "0008_ended")]

    operations = [
        AddIndexWithoutLock(
            "effect",
            models.Index(fields=["tenant", "build_id"], name="effect_by_build"),
        ),
    ]
