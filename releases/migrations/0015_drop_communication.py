from django.db import migrations


class Migration(migrations.Migration):
    """In a migration of its own: PostgreSQL alters no table with pending events of rows."""

    dependencies = [("releases", "0014_communications")]

    operations = [migrations.RemoveField("release", "communication")]
