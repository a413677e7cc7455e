from django.db import migrations

from delivr.changes import NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0004_list_indexes"),
        ("delivr", "0004_row_changes"),
    ]

    operations = [
        NoteChanges("AuditEvent", "SELECT changed.tenant_id, changed.subject_id"),
    ]
