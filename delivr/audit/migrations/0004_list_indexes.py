import django.db.models.functions.text
from django.db import migrations, models

from delivr.indexes import AddIndexWithoutLock


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("audit", "0003_by_subject"),
        ("tenants", "0010_mail_choices"),
    ]

    operations = [
        AddIndexWithoutLock(
            "auditevent",
            models.Index(fields=["tenant", "action", "-at"], name="audit_by_action"),
        ),
        AddIndexWithoutLock(
            "auditevent",
            models.Index(
                models.F("tenant"),
                django.db.models.functions.text.Upper("actor_label"),
                models.OrderBy(models.F("at"), descending=True),
                name="audit_by_actor",
            ),
        ),
    ]
