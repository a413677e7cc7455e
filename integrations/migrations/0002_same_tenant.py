from django.db import migrations

from delivr.tenants.composite import CompositeForeignKeys


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_initial")]

    operations = [
        CompositeForeignKeys("PipelineIntegration", ["scm", "target"]),
    ]
