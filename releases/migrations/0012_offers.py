from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("releases", "0011_repository")]

    operations = [
        migrations.AddField(
            model_name="releasepipeline",
            name="offers",
            field=models.JSONField(blank=True, db_default=[], default=list, editable=False),
        ),
        migrations.AddField(
            model_name="releasepipeline",
            name="look_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
