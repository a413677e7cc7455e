import delivr.effects.clock
import delivr.ids
import django.db.models.deletion
from django.db import migrations, models

from delivr.changes import OF_ALL, OF_RELEASE, NoteChanges
from delivr.postgres import BUSY, HOT, Storage


class Migration(migrations.Migration):

    replaces = [('effects', '0001_initial'), ('effects', '0002_health_and_heartbeats'), ('effects', '0003_created_by_the_clock'), ('effects', '0004_names_for_people'), ('effects', '0005_plain_words'), ('effects', '0006_plain_labels'), ('effects', '0007_turns'), ('effects', '0008_ended'), ('effects', '0009_by_build'), ('effects', '0010_list_indexes'), ('effects', '0011_noted_changes'), ('effects', '0012_churn')]

    initial = True

    dependencies = [
        ('delivr', '0001_squashed_0005_churn'),
        ('tenants', '0001_squashed_0011_noted_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Effect',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='eff', primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40)),
                ('integration_id', models.CharField(max_length=40)),
                ('release_id', models.CharField(blank=True, max_length=40)),
                ('build_id', models.CharField(blank=True, max_length=40)),
                ('dedupe_key', models.CharField(max_length=200)),
                ('payload', models.JSONField(blank=True, default=dict)),
                ('schema', models.PositiveSmallIntegerField(default=1)),
                ('state', models.CharField(choices=[('PENDING', 'Waiting'), ('LEASED', 'Being sent'), ('DONE', 'Done'), ('DEAD', 'Failed'), ('CANCELLED', 'Cancelled')], default='PENDING', max_length=10)),
                ('next_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('lease_token', models.PositiveIntegerField(default=0)),
                ('dispatched_at', models.DateTimeField(blank=True, null=True)),
                ('absent_at', models.DateTimeField(blank=True, null=True)),
                ('enqueued_at', models.DateTimeField(blank=True, null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('reconciles', models.PositiveSmallIntegerField(default=0)),
                ('last_error_code', models.CharField(blank=True, max_length=60)),
                ('last_error', models.CharField(blank=True, max_length=500)),
                ('last_error_hint', models.CharField(blank=True, max_length=500)),
                ('result', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('done_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'effects',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(condition=models.Q(('state__in', ['PENDING', 'LEASED'])), fields=['next_at', 'id'], name='effect_due'), models.Index(condition=models.Q(('state', 'LEASED')), fields=['tenant'], name='effect_leased'), models.Index(fields=['tenant', '-created_at'], name='effect_by_time'), models.Index(fields=['tenant', 'release_id'], name='effect_by_release'), models.Index(fields=['tenant', 'build_id'], name='effect_by_build'), models.Index(fields=['tenant', 'kind', '-created_at'], name='effect_by_kind'), models.Index(fields=['tenant', 'integration_id', '-created_at'], name='effect_by_connection'), models.Index(condition=models.Q(('state__in', ['DEAD', 'CANCELLED'])), fields=['tenant', 'state', '-created_at'], name='effect_by_state'), models.Index(fields=['-created_at', '-id'], name='effect_newest'), models.Index(condition=models.Q(('done_at__isnull', False)), fields=['state', 'done_at'], name='effect_ended')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='effect_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant', 'dedupe_key'), name='effect_once'), models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'LEASED', 'DONE', 'DEAD', 'CANCELLED'])), name='effect_state_known')],
            },
        ),
        migrations.CreateModel(
            name='IntegrationHealth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('integration_id', models.CharField(max_length=40)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('failing_since', models.DateTimeField(blank=True, null=True)),
                ('last_error', models.CharField(blank=True, max_length=500)),
                ('open_until', models.DateTimeField(blank=True, null=True)),
                ('probe_until', models.DateTimeField(blank=True, null=True)),
                ('rate_limited_until', models.DateTimeField(blank=True, null=True)),
                ('credentials_refused_at', models.DateTimeField(blank=True, null=True)),
                ('turns', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, editable=False)),
            ],
            options={
                'verbose_name': 'connection health',
                'verbose_name_plural': 'connection health',
                'db_table': 'integration_health',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='integration_health_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant', 'integration_id'), name='health_once')],
            },
        ),
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('name', models.CharField(max_length=20, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('broker_down_since', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'heartbeats',
            },
        ),
        NoteChanges("Effect", OF_RELEASE),
        NoteChanges("IntegrationHealth", OF_ALL, ignored=["turns"]),
        Storage("effect", **BUSY),
        Storage("integrationhealth", **HOT),
        Storage("heartbeat", **HOT),
    ]
