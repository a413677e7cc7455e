from django.db import migrations


class Migration(migrations.Migration):
    """What was in `builds.retries` is in `release_pipelines.offers`. The version before still reads
    the column during the upgrade, so a later one drops it."""

    dependencies = [("builds", "0021_counted"), ("releases", "0012_offers")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("build", "retries")]
        )
    ]
