from django.db import migrations

from builds.insights.noting import NoteDays


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0001_squashed_0029_insights_by_day"),
        ("releases", "0001_squashed_0023_noted_changes"),
    ]

    operations = [
        NoteDays("Release", "SELECT changed.created_at", ["created_at", "completed_at"]),
        NoteDays(
            "ReleasePipeline",
            "SELECT created_at FROM releases WHERE id = changed.release_id",
            ["platform", "pipeline_id"],
        ),
    ]
