from django.db import migrations

from delivr.tenants.composite import CompositeForeignKeys


class Migration(migrations.Migration):
    dependencies = [("releases", "0001_initial")]

    operations = [
        CompositeForeignKeys("Release", ["scm", "communication", "ticket"]),
        CompositeForeignKeys("ReleaseTarget", ["release", "target"]),
        CompositeForeignKeys("ReleasePipeline", ["release", "pipeline"]),
    ]
