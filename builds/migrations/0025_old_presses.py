from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("builds", "0024_ended")]

    operations = [
        AddIndexWithoutLock(
            "buttonpress", models.Index(fields=["pressed_at"], name="button_press_old")
        ),
    ]
