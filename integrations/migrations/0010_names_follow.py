from django.db import migrations, models

LABELS = {"APP_STORE": "iOS", "PLAY_STORE": "Android"}
LONGEST = 80


def forget_derived_names(apps, schema_editor):
    """A pipeline whose name was made from platform and job has none of its own from now on."""
    rows = apps.get_model("integrations", "PipelineIntegration").objects
    shown = rows.exclude(display_name="").values_list(
        "pk", "display_name", "job", "target__target_type"
    )
    for pk, name, job, target_type in shown.iterator():
        derived = f"{LABELS.get(target_type)} · {'/'.join(filter(None, job.split('/job/')))}"
        if name == derived[:LONGEST]:
            rows.filter(pk=pk).update(display_name="")


class Migration(migrations.Migration):
    dependencies = [("integrations", "0009_columns_of_the_family")]

    operations = [
        migrations.AddField(
            model_name="pipelineintegration",
            name="is_secret_unseen",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(forget_derived_names, migrations.RunPython.noop, elidable=True),
    ]
