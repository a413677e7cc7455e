from django.db import migrations

from delivr.changes import OF_NONE, NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0026_list_indexes"),
        ("delivr", "0004_row_changes"),
        ("releases", "0023_noted_changes"),
    ]

    operations = [
        NoteChanges(
            "Build",
            "SELECT tenant_id, release_id FROM release_pipelines "
            "WHERE id = changed.release_pipeline_id",
        ),
        NoteChanges(
            "BuildEvent",
            "SELECT part.tenant_id, part.release_id FROM release_pipelines part "
            "JOIN builds ON builds.release_pipeline_id = part.id WHERE builds.id = changed.build_id",
        ),
        NoteChanges(
            "WebhookDelivery",
            "SELECT changed.tenant_id, (SELECT part.release_id FROM release_pipelines part "
            "JOIN builds ON builds.release_pipeline_id = part.id WHERE builds.id = changed.build_id)",
        ),
        NoteChanges("TestBuild", OF_NONE),
    ]
