from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("effects", "0006_plain_labels")]

    operations = [
        migrations.AddField(
            model_name="integrationhealth",
            name="turns",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                editable=False,
            ),
        ),
    ]
