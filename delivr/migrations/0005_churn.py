from django.db import migrations

from delivr.postgres import BUSY, HOT, Storage


class Migration(migrations.Migration):
    dependencies = [("delivr", "0004_row_changes")]

    operations = [Storage("ratecounter", **HOT), Storage("rowchange", **BUSY)]
