from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("audit", "0002_sealed")]

    operations = [
        AddIndexWithoutLock(
            "auditevent",
            models.Index(fields=["tenant", "subject_id"], name="audit_by_subject"),
        ),
    ]
