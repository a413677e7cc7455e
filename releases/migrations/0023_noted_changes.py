from django.db import migrations

from delivr.changes import OF_ALL, OF_RELEASE, NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("releases", "0022_in_stores"),
        ("delivr", "0004_row_changes"),
    ]

    operations = [
        NoteChanges("Release", "SELECT changed.tenant_id, changed.id"),
        NoteChanges("ReleaseTarget", OF_RELEASE),
        NoteChanges("ReleaseCommunication", OF_RELEASE),
        NoteChanges("ReleasePipeline", OF_RELEASE),
        NoteChanges("ReleaseNotice", OF_RELEASE),
        NoteChanges("RepositoryPart", OF_RELEASE),
        NoteChanges("TicketPart", OF_RELEASE),
        NoteChanges("Change", OF_RELEASE),
        NoteChanges(
            "ChangeTicket",
            "SELECT tenant_id, release_id FROM release_changes WHERE id = changed.change_id",
        ),
        NoteChanges("ReleaseSettings", OF_ALL),
    ]
