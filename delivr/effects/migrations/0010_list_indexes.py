from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("effects", "0009_by_build"),
        ("tenants", "0010_mail_choices"),
    ]

    operations = [
        AddIndexWithoutLock(
            "effect",
            models.Index(fields=["tenant", "kind", "-created_at"], name="effect_by_kind"),
        ),
        AddIndexWithoutLock(
            "effect",
            models.Index(
                fields=["tenant", "integration_id", "-created_at"], name="effect_by_connection"
            ),
        ),
        AddIndexWithoutLock(
            "effect",
            models.Index(
                condition=models.Q(("state__in", ["DEAD", "CANCELLED"])),
                fields=["tenant", "state", "-created_at"],
                name="effect_by_state",
            ),
        ),
        AddIndexWithoutLock(
            "effect",
            models.Index(fields=["-created_at", "-id"], name="effect_newest"),
        ),
    ]
