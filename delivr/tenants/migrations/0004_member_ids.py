"""An opaque id for each membership that there is."""

from django.db import migrations

from delivr.ids import membership_id


def give_ids(apps, schema_editor):
    Membership = apps.get_model('tenants', 'Membership')
    for pk in Membership.objects.filter(public_id=None).values_list('pk', flat=True).iterator():
        Membership.objects.filter(pk=pk).update(public_id=membership_id())


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0003_invitations'),
    ]

    operations = [migrations.RunPython(give_ids, migrations.RunPython.noop)]
