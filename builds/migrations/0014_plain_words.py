from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("builds", "0013_retries")]

    operations = [migrations.RenameField("testbuild", "heard_at", "first_webhook_at")]
