from django.db import migrations

from delivr.changes import OF_ALL, NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0015_health"),
        ("delivr", "0004_row_changes"),
    ]

    operations = [
        NoteChanges("ScmIntegration", OF_ALL),
        NoteChanges("TargetIntegration", OF_ALL),
        NoteChanges("PipelineIntegration", OF_ALL),
        NoteChanges("CommunicationIntegration", OF_ALL),
        NoteChanges("TicketIntegration", OF_ALL),
        NoteChanges("HealthIntegration", OF_ALL),
    ]
