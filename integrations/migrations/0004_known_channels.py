from django.db import migrations, models


def learn(apps, schema_editor):
    """What the newest verifications saw."""
    for chat in apps.get_model("integrations", "CommunicationIntegration").objects.all():
        chat.known_channels = {
            check["name"].removeprefix("channel:"): check["message"]
            for check in chat.checks
            if check["ok"] and check["message"] and check["name"].startswith("channel:")
        }
        chat.save(update_fields=["known_channels"])


class Migration(migrations.Migration):
    dependencies = [("integrations", "0003_credentials")]

    operations = [
        migrations.AddField(
            "CommunicationIntegration",
            "known_channels",
            models.JSONField(blank=True, default=dict, editable=False, null=True),
        ),
        migrations.RunPython(learn, migrations.RunPython.noop),
    ]
