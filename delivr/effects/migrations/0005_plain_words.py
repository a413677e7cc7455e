from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("effects", "0004_names_for_people")]

    operations = [migrations.RenameField("effect", "rung_at", "enqueued_at")]
