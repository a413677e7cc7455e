import delivr.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0004_member_ids'),
    ]

    operations = [
        migrations.AlterField(
            model_name='membership',
            name='public_id',
            field=models.CharField(default=delivr.ids.membership_id, editable=False, max_length=40, unique=True),
        ),
    ]
