import delivr.effects.clock
import delivr.ids
import django.db.models.deletion
import integrations.providers.stores
from django.conf import settings
from django.db import migrations, models

from builds.insights.noting import NoteDays
from delivr.changes import OF_RELEASE, NoteChanges
from delivr.tenants.composite import CompositeForeignKeys

_OF_SUBMISSION = "SELECT tenant_id, release_id FROM submissions WHERE id = changed.submission_id"


class Migration(migrations.Migration):

    replaces = [('submissions', '0001_initial'), ('submissions', '0002_health'), ('submissions', '0003_noted_changes'), ('submissions', '0004_comparison'), ('submissions', '0005_submission_file'), ('submissions', '0006_insights_by_day'), ('submissions', '0007_notified_at')]

    initial = True

    dependencies = [
        ('builds', '0001_squashed_0029_insights_by_day'),
        ('delivr', '0001_squashed_0005_churn'),
        ('integrations', '0001_squashed_0017_store_webhooks'),
        ('releases', '0001_squashed_0023_noted_changes'),
        ('tenants', '0001_squashed_0011_noted_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Preflight',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('release_target', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='preflight', to='releases.releasetarget')),
                ('checks', models.JSONField(blank=True, default=list)),
                ('is_ready', models.BooleanField(default=False)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('look_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'preflights',
                'ordering': ['id'],
                'indexes': [models.Index(condition=models.Q(('look_at__isnull', False)), fields=['look_at'], name='preflight_due')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='preflight_tenant_id_uniq')],
            },
        ),
        migrations.CreateModel(
            name='Submission',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='sub', primary_key=True, serialize=False)),
                ('release', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='submissions', to='releases.release')),
                ('release_target', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='submissions', to='releases.releasetarget')),
                ('target', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='submissions', to='integrations.targetintegration')),
                ('is_current', models.BooleanField(default=True)),
                ('store_build', models.CharField(max_length=40)),
                ('track', models.CharField(blank=True, max_length=60)),
                ('testflight_groups', models.JSONField(blank=True, default=list)),
                ('release_type', models.CharField(choices=[('MANUAL', 'MANUAL'), ('AFTER_APPROVAL', 'AFTER_APPROVAL'), ('SCHEDULED', 'SCHEDULED')], default=integrations.providers.stores.ReleaseType['MANUAL'], max_length=20)),
                ('release_at', models.DateTimeField(blank=True, null=True)),
                ('is_phased', models.BooleanField(default=False)),
                ('shares', models.JSONField(blank=True, default=list)),
                ('notes', models.JSONField(blank=True, default=dict)),
                ('uses_encryption', models.BooleanField(blank=True, null=True)),
                ('file', models.JSONField(blank=True, default=dict)),
                ('references', models.JSONField(blank=True, default=dict)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('acts', models.PositiveIntegerField(default=0)),
                ('state', models.CharField(choices=[('DRAFT', 'DRAFT'), ('WAITING_FOR_REVIEW', 'WAITING_FOR_REVIEW'), ('IN_REVIEW', 'IN_REVIEW'), ('REJECTED', 'REJECTED'), ('APPROVED', 'APPROVED'), ('ROLLING_OUT', 'ROLLING_OUT'), ('PAUSED', 'PAUSED'), ('HALTED', 'HALTED'), ('LIVE', 'LIVE'), ('WITHDRAWN', 'WITHDRAWN'), ('REPLACED', 'REPLACED'), ('NEEDS_PERSON', 'NEEDS_PERSON'), ('FAILED', 'FAILED')], default=integrations.providers.stores.SubmissionState['DRAFT'], max_length=20)),
                ('store_state', models.CharField(blank=True, max_length=60)),
                ('store_url', models.CharField(blank=True, max_length=500)),
                ('percent', models.FloatField(blank=True, null=True)),
                ('step', models.PositiveSmallIntegerField(default=0)),
                ('day', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('next_step_at', models.DateTimeField(blank=True, null=True)),
                ('message', models.CharField(blank=True, max_length=1000)),
                ('hint', models.CharField(blank=True, max_length=500)),
                ('changed_at', models.DateTimeField(default=delivr.effects.clock.now)),
                ('submitted_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('review_took', models.DurationField(blank=True, null=True)),
                ('usual_review', models.DurationField(blank=True, null=True)),
                ('read_at', models.DateTimeField(blank=True, null=True)),
                ('last_read_at', models.DateTimeField(blank=True, null=True)),
                ('read_error', models.CharField(blank=True, max_length=500)),
                ('unjudged_since', models.DateTimeField(blank=True, null=True)),
                ('unjudged', models.CharField(blank=True, db_default='', max_length=500)),
                ('unjudged_hint', models.CharField(blank=True, db_default='', max_length=500)),
                ('notified_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'submissions',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['tenant', '-created_at'], name='submission_by_time'), models.Index(condition=models.Q(('read_at__isnull', False)), fields=['read_at'], name='submission_due')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='submission_tenant_id_uniq'), models.UniqueConstraint(condition=models.Q(('is_current', True)), fields=('release_target',), name='submission_current_once'), models.CheckConstraint(condition=models.Q(('state__in', ['DRAFT', 'WAITING_FOR_REVIEW', 'IN_REVIEW', 'REJECTED', 'APPROVED', 'ROLLING_OUT', 'PAUSED', 'HALTED', 'LIVE', 'WITHDRAWN', 'REPLACED', 'NEEDS_PERSON', 'FAILED'])), name='submission_state_known')],
            },
        ),
        migrations.CreateModel(
            name='RolloutRule',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='rule', primary_key=True, serialize=False)),
                ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rules', to='submissions.submission')),
                ('source', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='rules', to='integrations.healthintegration')),
                ('metric', models.CharField(blank=True, choices=[('crash_free_sessions', 'crash_free_sessions'), ('crash_free_users', 'crash_free_users'), ('anr_rate', 'anr_rate')], max_length=30)),
                ('threshold', models.FloatField(blank=True, null=True)),
                ('margin', models.FloatField(blank=True, null=True)),
                ('min_sample', models.PositiveIntegerField(default=0)),
                ('action', models.CharField(choices=[('PAUSE', 'Pause'), ('HALT', 'Halt'), ('ADVANCE', 'Next step')], max_length=10)),
                ('after_hours', models.FloatField(blank=True, null=True)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('bad_readings', models.PositiveIntegerField(default=0)),
                ('is_armed', models.BooleanField(default=True)),
                ('acted_at', models.DateTimeField(blank=True, null=True)),
                ('unknown_since', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'rollout_rules',
                'ordering': ['position', 'id'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='rollout_rule_tenant_id_uniq')],
            },
        ),
        migrations.CreateModel(
            name='HealthWatch',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='watch', primary_key=True, serialize=False)),
                ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='watches', to='submissions.submission')),
                ('source', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='watches', to='integrations.healthintegration')),
                ('look_at', models.DateTimeField(blank=True, null=True)),
                ('last_read_at', models.DateTimeField(blank=True, null=True)),
                ('read_error', models.CharField(blank=True, max_length=500)),
                ('figures', models.JSONField(blank=True, default=list)),
                ('before', models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list)),
            ],
            options={
                'db_table': 'health_watches',
                'ordering': ['id'],
                'indexes': [models.Index(condition=models.Q(('look_at__isnull', False)), fields=['look_at'], name='health_watch_due')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='health_watch_tenant_id_uniq'), models.UniqueConstraint(fields=('submission', 'source'), name='health_watch_once'), models.UniqueConstraint(condition=models.Q(('source__isnull', True)), fields=('submission',), name='health_watch_without_source_once')],
            },
        ),
        migrations.CreateModel(
            name='HealthReading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='readings', to='submissions.submission')),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.healthintegration')),
                ('metric', models.CharField(choices=[('crash_free_sessions', 'crash_free_sessions'), ('crash_free_users', 'crash_free_users'), ('anr_rate', 'anr_rate')], max_length=30)),
                ('value', models.FloatField()),
                ('sample', models.PositiveBigIntegerField()),
                ('until', models.DateTimeField()),
                ('percent', models.FloatField(blank=True, null=True)),
                ('at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
            ],
            options={
                'db_table': 'health_readings',
                'ordering': ['at', 'id'],
                'indexes': [models.Index(fields=['submission', 'metric', 'at'], name='health_reading_by_time'), models.Index(fields=['at'], name='health_reading_ends')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='health_reading_tenant_id_uniq')],
            },
        ),
        migrations.CreateModel(
            name='SubmissionEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='submissions.submission')),
                ('at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('state', models.CharField(choices=[('DRAFT', 'DRAFT'), ('WAITING_FOR_REVIEW', 'WAITING_FOR_REVIEW'), ('IN_REVIEW', 'IN_REVIEW'), ('REJECTED', 'REJECTED'), ('APPROVED', 'APPROVED'), ('ROLLING_OUT', 'ROLLING_OUT'), ('PAUSED', 'PAUSED'), ('HALTED', 'HALTED'), ('LIVE', 'LIVE'), ('WITHDRAWN', 'WITHDRAWN'), ('REPLACED', 'REPLACED'), ('NEEDS_PERSON', 'NEEDS_PERSON'), ('FAILED', 'FAILED')], max_length=20)),
                ('percent', models.FloatField(blank=True, null=True)),
                ('what', models.CharField(max_length=300)),
                ('by', models.CharField(blank=True, max_length=120)),
                ('is_outside', models.BooleanField(default=False, verbose_name='changed outside of delivr')),
                ('facts', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict)),
            ],
            options={
                'db_table': 'submission_events',
                'ordering': ['at', 'id'],
                'indexes': [models.Index(fields=['submission', 'at'], name='submission_event_by_time')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='submission_event_tenant_id_uniq')],
            },
        ),
        migrations.CreateModel(
            name='StoreLock',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('token', models.PositiveBigIntegerField(default=0)),
                ('held_until', models.DateTimeField(blank=True, null=True)),
                ('wanted_until', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'store_locks',
            },
        ),
        CompositeForeignKeys("Submission", ["release", "release_target", "target"]),
        CompositeForeignKeys("SubmissionEvent", ["submission"]),
        CompositeForeignKeys("Preflight", ["release_target"]),
        CompositeForeignKeys("RolloutRule", ["submission", "source"]),
        CompositeForeignKeys("HealthWatch", ["submission", "source"]),
        CompositeForeignKeys("HealthReading", ["submission", "source"]),
        NoteChanges(
            "Preflight",
            "SELECT tenant_id, release_id FROM release_targets WHERE id = changed.release_target_id",
        ),
        NoteChanges("Submission", OF_RELEASE),
        NoteChanges("SubmissionEvent", _OF_SUBMISSION),
        NoteChanges("RolloutRule", _OF_SUBMISSION),
        NoteChanges("HealthWatch", _OF_SUBMISSION),
        NoteChanges("HealthReading", _OF_SUBMISSION),
        NoteDays("Submission", "SELECT changed.created_at", ["created_at", "review_took"]),
        NoteDays(
            "SubmissionEvent",
            "SELECT created_at FROM submissions WHERE id = changed.submission_id",
            ["at", "state"],
        ),
    ]
