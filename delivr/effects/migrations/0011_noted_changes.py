from django.db import migrations

from delivr.changes import OF_ALL, OF_RELEASE, NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("effects", "0010_list_indexes"),
        ("delivr", "0004_row_changes"),
    ]

    operations = [
        NoteChanges("Effect", OF_RELEASE),
        NoteChanges("IntegrationHealth", OF_ALL, ignored=["turns"]),
    ]
