from django.db import migrations, models

CONNECTIONS = ("Scm", "Target", "Pipeline", "Communication", "Ticket")


def _fields() -> dict[str, models.Field]:
    moment = {"blank": True, "editable": False, "null": True}
    return {
        "account": models.CharField(
            blank=True, db_default="", default="", editable=False, max_length=120
        ),
        "credential_changed_at": models.DateTimeField(**moment),
        "credential_expires_at": models.DateTimeField(**moment),
    }


class Migration(migrations.Migration):
    dependencies = [("integrations", "0002_same_tenant")]

    operations = [
        migrations.AddField(f"{name}Integration", field_name, field)
        for name in CONNECTIONS
        for field_name, field in _fields().items()
    ]
