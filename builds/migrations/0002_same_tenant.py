from django.db import migrations

from delivr.tenants.composite import CompositeForeignKeys


class Migration(migrations.Migration):
    dependencies = [("builds", "0001_initial")]

    operations = [
        CompositeForeignKeys("Build", ["release_pipeline"]),
        CompositeForeignKeys("WebhookDelivery", ["pipeline", "build"]),
        CompositeForeignKeys("BuildEvent", ["build", "delivery"]),
    ]
