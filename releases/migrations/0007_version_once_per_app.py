from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("releases", "0006_version_of_an_app")]

    operations = [
        migrations.AddConstraint(
            "ReleaseTarget",
            models.UniqueConstraint(
                fields=["tenant", "held_version", "store", "app_identifier"],
                name="release_version_once_per_app",
            ),
        ),
        migrations.RemoveConstraint("Release", "release_version_once"),
    ]
