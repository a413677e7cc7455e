from django.db import migrations

from builds.insights.noting import NoteDays


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0028_insights_by_day"),
        ("submissions", "0003_noted_changes"),
    ]

    operations = [
        NoteDays("Submission", "SELECT changed.created_at", ["created_at", "review_took"]),
        NoteDays(
            "SubmissionEvent",
            "SELECT created_at FROM submissions WHERE id = changed.submission_id",
            ["at", "state"],
        ),
    ]
