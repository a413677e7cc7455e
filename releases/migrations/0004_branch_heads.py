from django.db import migrations, models


def _text(length: int) -> models.CharField:
    return models.CharField(
        blank=True, db_default="", default="", editable=False, max_length=length
    )


FIELDS: dict[str, models.Field] = {
    "branch_exists": models.BooleanField(blank=True, editable=False, null=True),
    "branch_commit": _text(64),
    "branch_title": _text(200),
    "branch_similar": models.JSONField(blank=True, default=list, editable=False, null=True),
    "branch_trouble": _text(500),
    "branch_checked_at": models.DateTimeField(blank=True, editable=False, null=True),
    "branch_look_at": models.DateTimeField(blank=True, editable=False, null=True),
}


class Migration(migrations.Migration):
    dependencies = [("releases", "0003_lists_indexes")]

    operations = [migrations.AddField("release", name, field) for name, field in FIELDS.items()]
