"""Columns are called by what they are to the family, not by one provider's words.

Secrets keep their bytes: `Connection.bound_name` goes on binding them to the field's name.
"""

from django.db import migrations, models
from django.db.models import Value

from delivr.encryption.fields import SecretTextField
from integrations import choices

RENAMED = {
    "targetintegration": {
        "apple_issuer_id": "issuer_id",
        "apple_key_id": "key_id",
        "apple_api_key": "credentials",
    },
    "pipelineintegration": {
        "jenkins_url": "server_url",
        "jenkins_username": "username",
        "jenkins_api_token": "api_token",
        "jenkins_job_path": "job",
    },
    "communicationintegration": {
        "slack_bot_token": "token",
        "slack_channels": "recipients",
        "known_channels": "recipient_names",
    },
    "ticketintegration": {
        "jira_url": "server_url",
        "jira_email": "username",
        "jira_api_token": "api_token",
        "jira_project_key": "project",
    },
}
FAMILIES = ["scmintegration", *RENAMED]
# A field of Jira alone -> its key in `options`.
OPTIONS = {
    "jira_epic_type_name": "jira_epic_type_name",
    "jira_fields": "jira_fields",
    "jira_site": "site",
}


def into_options(apps, schema_editor):
    for row in apps.get_model("integrations", "TicketIntegration").objects.all():
        found = {key: getattr(row, name) for name, key in OPTIONS.items()}
        row.options = {key: value for key, value in found.items() if value}
        row.save(update_fields=["options"])


def out_of_options(apps, schema_editor):
    for row in apps.get_model("integrations", "TicketIntegration").objects.all():
        for name, key in OPTIONS.items():
            setattr(row, name, row.options.get(key, {} if name == "jira_fields" else ""))
        row.save(update_fields=list(OPTIONS))


class Migration(migrations.Migration):
    dependencies = [("integrations", "0008_doubted_at")]

    operations = [
        *(
            migrations.RenameField(model, old, new)
            for model, names in RENAMED.items()
            for old, new in names.items()
        ),
        # In SQL: a secret that is read and written is bound to the column it stands in.
        migrations.RunSQL(
            "UPDATE tenant_target_integrations SET credentials = google_service_account "
            "WHERE google_service_account IS NOT NULL",
            "UPDATE tenant_target_integrations SET google_service_account = credentials, "
            "credentials = NULL WHERE target_type = 'PLAY_STORE'",
        ),
        migrations.RemoveField("targetintegration", "google_service_account"),
        *(
            migrations.AddField(
                model,
                "options",
                models.JSONField(
                    blank=True,
                    default=dict,
                    db_default=Value({}, models.JSONField()),
                    editable=False,
                ),
            )
            for model in FAMILIES
        ),
        migrations.RunPython(into_options, out_of_options),
        *(migrations.RemoveField("ticketintegration", name) for name in OPTIONS),
        # A kind that is added later changes no table.
        *(
            migrations.AlterField(model, name, models.CharField(max_length=20, choices=kinds.offered))
            for model, name, kinds in (
                ("scmintegration", "scm_type", choices.ScmType),
                ("targetintegration", "target_type", choices.TargetType),
                ("pipelineintegration", "pipeline_type", choices.PipelineType),
                ("communicationintegration", "communication_type", choices.CommunicationType),
                ("ticketintegration", "ticket_type", choices.TicketType),
            )
        ),
        # Their words for people
        *(
            migrations.AlterField(
                model,
                name,
                models.CharField(blank=True, max_length=length, verbose_name=words),
            )
            for model, name, length, words in (
                ("pipelineintegration", "server_url", 300, "address"),
                ("ticketintegration", "server_url", 300, "address"),
                ("ticketintegration", "username", 254, "user"),
                ("ticketintegration", "project", 40, "project"),
            )
        ),
        *(
            migrations.AlterField(
                model,
                name,
                SecretTextField(blank=True, editable=False, null=True, verbose_name=name),
            )
            for model, name in (
                ("communicationintegration", "token"),
                ("targetintegration", "credentials"),
            )
        ),
    ]
