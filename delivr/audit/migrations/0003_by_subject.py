from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_sealed")]

    operations = [
        migrations.AddIndex(
            "auditevent",
            models.Index(fields=["tenant", "subject_id"], name="audit_by_subject"),
        ),
    ]
