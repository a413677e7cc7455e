from django.db import migrations

from delivr.changes import OF_RELEASE, NoteChanges

_OF_SUBMISSION = "SELECT tenant_id, release_id FROM submissions WHERE id = changed.submission_id"


class Migration(migrations.Migration):
    dependencies = [
        ("submissions", "0002_health"),
        ("delivr", "0004_row_changes"),
        ("releases", "0023_noted_changes"),
    ]

    operations = [
        NoteChanges(
            "Preflight",
            "SELECT tenant_id, release_id FROM release_targets WHERE id = changed.release_target_id",
        ),
        NoteChanges("Submission", OF_RELEASE),
        NoteChanges("SubmissionEvent", _OF_SUBMISSION),
        NoteChanges("RolloutRule", _OF_SUBMISSION),
        NoteChanges("HealthWatch", _OF_SUBMISSION),
        NoteChanges("HealthReading", _OF_SUBMISSION),
    ]
