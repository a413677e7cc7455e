from django.db import migrations

from delivr.changes import OF_ALL, NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0010_mail_choices"),
        ("delivr", "0004_row_changes"),
    ]

    operations = [
        NoteChanges("Tenant", "SELECT changed.id, '*'"),
        NoteChanges("Membership", OF_ALL),
        NoteChanges(
            "User",
            "SELECT tenant_id, '*' FROM tenants_membership WHERE user_id = changed.id",
            ignored=["last_login"],
        ),
    ]
