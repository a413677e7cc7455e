from django.db import migrations

from delivr.postgres import BUSY, Storage


class Migration(migrations.Migration):
    dependencies = [("builds", "0027_noted_changes")]

    operations = [Storage("webhookdelivery", **BUSY), Storage("build", **BUSY)]
