from django.db import migrations, models

CONNECTIONS = ("Scm", "Target", "Pipeline", "Communication", "Ticket")


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_known_channels")]

    operations = [
        migrations.AddField(
            f"{name}Integration",
            "revision",
            models.PositiveIntegerField(db_default=0, default=0, editable=False),
        )
        for name in CONNECTIONS
    ]
