from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("releases", "0019_notices")]

    operations = [
        AddIndexWithoutLock(
            "releasenotice", models.Index(fields=["at"], name="release_notice_old")
        ),
    ]
