from django.db import migrations, models
from django.db.models import Value


class Migration(migrations.Migration):
    dependencies = [("integrations", "0006_webhook_secrets")]

    operations = [
        migrations.AddField(
            "TicketIntegration",
            "jira_epic_type_name",
            models.CharField(
                blank=True, db_default="", default="", max_length=80, verbose_name="type of epics"
            ),
        ),
        migrations.AddField(
            "TicketIntegration",
            "jira_fields",
            models.JSONField(
                blank=True,
                db_default=Value({}, models.JSONField()),
                default=dict,
                verbose_name="fields of epics",
            ),
        ),
        migrations.AddField(
            "TicketIntegration",
            "jira_site",
            models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=300
            ),
        ),
    ]
