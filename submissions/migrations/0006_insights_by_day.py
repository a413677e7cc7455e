from django.db import migrations

from builds.insights.noting import NoteDays


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0029_insights_by_day"),
        ("submissions", "0005_submission_file"),
    ]

    operations = [
        NoteDays("Submission", "SELECT changed.created_at", ["created_at", "review_took"]),
        NoteDays(
            "SubmissionEvent",
            "SELECT created_at FROM submissions WHERE id = changed.submission_id",
            ["at", "state"],
        ),
    ]
