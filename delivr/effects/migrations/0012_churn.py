from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock
from delivr.postgres import BUSY, HOT, Storage


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("effects", "0011_noted_changes")]

    operations = [
        AddIndexWithoutLock(
            "effect",
            models.Index(
                fields=["tenant"], name="effect_leased", condition=models.Q(("state", "LEASED"))
            ),
        ),
        Storage("effect", **BUSY),
        Storage("integrationhealth", **HOT),
        Storage("heartbeat", **HOT),
    ]
