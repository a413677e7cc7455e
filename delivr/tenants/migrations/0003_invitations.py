import delivr.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0002_second_factor'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='closed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='membership',
            name='public_id',
            field=models.CharField(editable=False, max_length=40, null=True),
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='inv', primary_key=True, serialize=False)),
                ('email', models.EmailField(max_length=254)),
                ('role', models.CharField(choices=[('OWNER', 'Owner'), ('ADMIN', 'Admin'), ('MEMBER', 'Member'), ('VIEWER', 'Viewer')], max_length=10)),
                ('digest', models.CharField(blank=True, editable=False, max_length=64)),
                ('mail_id', models.CharField(blank=True, max_length=40)),
                ('mails', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField()),
                ('accepted_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('inviter', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
            ],
            options={
                'ordering': ['-created_at', '-id'],
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'id'), name='invitation_tenant_id_uniq'),
                    models.UniqueConstraint(condition=models.Q(('accepted_at', None), ('revoked_at', None)), fields=('tenant', 'email'), name='invitation_unsettled_once'),
                    models.UniqueConstraint(condition=models.Q(('digest', ''), _negated=True), fields=('digest',), name='invitation_digest_once'),
                ],
            },
        ),
    ]
