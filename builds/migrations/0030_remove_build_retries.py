from django.db import migrations


class Migration(migrations.Migration):
    """What is in `release_pipelines.offers` was once here; no version in use reads it."""

    dependencies = [("builds", "0001_squashed_0029_insights_by_day")]

    operations = [migrations.RemoveField("build", "retries")]
