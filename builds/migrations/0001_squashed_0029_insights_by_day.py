import delivr.effects.clock
import delivr.ids
import django.db.models.deletion
import integrations.providers.ci
from django.conf import settings
from django.db import migrations, models

from builds.insights.noting import NoteDays
from delivr.changes import OF_NONE, NoteChanges
from delivr.postgres import BUSY, Storage
from delivr.tenants.composite import CompositeForeignKeys


class Migration(migrations.Migration):

    replaces = [('builds', '0001_initial'), ('builds', '0002_same_tenant'), ('builds', '0003_webhook_events'), ('builds', '0004_event_of_polls'), ('builds', '0005_created_by_the_clock'), ('builds', '0006_test_builds'), ('builds', '0007_words_of_sources'), ('builds', '0008_failure_logs'), ('builds', '0009_names_for_people'), ('builds', '0010_log_index'), ('builds', '0011_candidates'), ('builds', '0012_identity'), ('builds', '0013_retries'), ('builds', '0014_plain_words'), ('builds', '0015_waiting_and_handles'), ('builds', '0016_test_build_logs'), ('builds', '0017_test_log_index'), ('builds', '0018_still_running'), ('builds', '0019_build_commit'), ('builds', '0020_plain_labels'), ('builds', '0021_counted'), ('builds', '0022_offers'), ('builds', '0023_buttons'), ('builds', '0024_ended'), ('builds', '0025_old_presses'), ('builds', '0026_list_indexes'), ('builds', '0027_noted_changes'), ('builds', '0028_churn'), ('builds', '0029_insights_by_day')]

    initial = True

    dependencies = [
        ('delivr', '0001_squashed_0005_churn'),
        ('integrations', '0001_squashed_0017_store_webhooks'),
        ('releases', '0001_squashed_0023_noted_changes'),
        ('tenants', '0001_squashed_0011_noted_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='ButtonPress',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='prs', primary_key=True, serialize=False)),
                ('communication', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='presses', to='integrations.communicationintegration')),
                ('envelope', models.CharField(max_length=100)),
                ('team', models.CharField(max_length=30)),
                ('user', models.CharField(max_length=30)),
                ('user_name', models.CharField(blank=True, max_length=80)),
                ('channel', models.CharField(max_length=30)),
                ('thread', models.CharField(blank=True, max_length=40)),
                ('action', models.CharField(max_length=60)),
                ('value', models.CharField(max_length=60)),
                ('state', models.CharField(choices=[('NEW', 'New'), ('DONE', 'Done'), ('REFUSED', 'Refused')], default='NEW', max_length=10)),
                ('answer', models.CharField(blank=True, max_length=500)),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('pressed_at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('next_at', models.DateTimeField(default=delivr.effects.clock.now)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'verbose_name_plural': 'button presses',
                'db_table': 'button_presses',
                'ordering': ['-pressed_at', '-id'],
                'indexes': [models.Index(condition=models.Q(('state', 'NEW')), fields=['next_at'], name='button_press_due'), models.Index(fields=['pressed_at'], name='button_press_old')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='button_press_tenant_id_uniq'), models.UniqueConstraint(fields=('communication', 'envelope'), name='button_press_once')],
            },
        ),
        migrations.CreateModel(
            name='ChatAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('team', models.CharField(max_length=30)),
                ('chat_user', models.CharField(max_length=30)),
                ('chat_name', models.CharField(blank=True, max_length=80)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='chat_accounts', to=settings.AUTH_USER_MODEL)),
                ('linked_at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
            ],
            options={
                'db_table': 'chat_accounts',
                'ordering': ['id'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='chat_account_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant', 'team', 'chat_user'), name='chat_account_once')],
            },
        ),
        migrations.CreateModel(
            name='InsightsDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('day', models.DateField()),
                ('platform', models.CharField(blank=True, choices=[('IOS', 'iOS'), ('ANDROID', 'Android')], max_length=10)),
                ('pipeline_key', models.CharField(blank=True, max_length=40)),
                ('tally', models.JSONField(default=dict)),
            ],
            options={
                'db_table': 'insights_days',
                'ordering': ['day', 'id'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='insights_day_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant', 'day', 'platform', 'pipeline_key'), name='insights_day_once')],
            },
        ),
        migrations.CreateModel(
            name='InsightsKept',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('until', models.DateField()),
            ],
            options={
                'verbose_name': 'kept insights',
                'verbose_name_plural': 'kept insights',
                'db_table': 'insights_kept',
                'ordering': ['id'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='insights_kept_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant',), name='insights_kept_once')],
            },
        ),
        migrations.CreateModel(
            name='InsightsNote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant_key', models.CharField(db_index=True, max_length=10)),
                ('day', models.DateField()),
            ],
            options={
                'db_table': 'insights_notes',
            },
        ),
        migrations.CreateModel(
            name='Build',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('status', models.CharField(choices=[('PENDING', 'PENDING'), ('TRIGGERING', 'TRIGGERING'), ('QUEUED', 'QUEUED'), ('WAITING', 'WAITING'), ('RUNNING', 'RUNNING'), ('SUCCESS', 'SUCCESS'), ('FAILURE', 'FAILURE'), ('UNSTABLE', 'UNSTABLE'), ('ABORTED', 'ABORTED'), ('TRIGGER_FAILED', 'TRIGGER_FAILED'), ('LOST', 'LOST'), ('CANCELLED', 'CANCELLED')], default=integrations.providers.ci.BuildStatus['TRIGGERING'], max_length=20)),
                ('reported_status', models.CharField(blank=True, choices=[('PENDING', 'PENDING'), ('TRIGGERING', 'TRIGGERING'), ('QUEUED', 'QUEUED'), ('WAITING', 'WAITING'), ('RUNNING', 'RUNNING'), ('SUCCESS', 'SUCCESS'), ('FAILURE', 'FAILURE'), ('UNSTABLE', 'UNSTABLE'), ('ABORTED', 'ABORTED'), ('TRIGGER_FAILED', 'TRIGGER_FAILED'), ('LOST', 'LOST'), ('CANCELLED', 'CANCELLED')], db_default='', default='', max_length=20)),
                ('parameters', models.JSONField(default=dict)),
                ('external_id', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('queue_id', models.BigIntegerField(blank=True, null=True)),
                ('number', models.PositiveBigIntegerField(blank=True, null=True)),
                ('url', models.CharField(blank=True, max_length=500)),
                ('queue_reason', models.CharField(blank=True, max_length=300)),
                ('started_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('poll_at', models.DateTimeField(blank=True, null=True)),
                ('polls', models.PositiveIntegerField(default=0)),
                ('misses', models.PositiveSmallIntegerField(default=0)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('server_started_at', models.DateTimeField(blank=True, null=True)),
                ('end_claimed_at', models.DateTimeField(blank=True, null=True)),
                ('log_at', models.DateTimeField(blank=True, null=True)),
                ('log_tries', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('log_excerpt', models.TextField(blank=True, db_default='', default='')),
                ('log_error', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='bld', primary_key=True, serialize=False)),
                ('release_pipeline', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='builds', to='releases.releasepipeline')),
                ('attempt', models.PositiveIntegerField(default=1)),
                ('candidate', models.PositiveIntegerField(db_default=1, default=1)),
                ('is_confirmed', models.BooleanField(db_default=True, default=True)),
                ('retries', models.JSONField(blank=True, db_default=[], default=list)),
                ('commit', models.CharField(blank=True, db_default='', default='', max_length=64)),
                ('artifact_url', models.CharField(blank=True, max_length=1000)),
                ('artifact_reported', models.BooleanField(db_default=False, default=False)),
                ('artifacts', models.JSONField(blank=True, db_default=[], default=list)),
                ('estimated_ms', models.PositiveBigIntegerField(blank=True, null=True)),
                ('still_running_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'db_table': 'builds',
                'ordering': ['-attempt', '-id'],
                'indexes': [models.Index(condition=models.Q(('poll_at__isnull', False)), fields=['poll_at'], name='build_poll_due'), models.Index(condition=models.Q(('log_at__isnull', False)), fields=['log_at'], name='build_log_due'), models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['finished_at'], name='build_ended'), models.Index(fields=['tenant', '-created_at'], name='build_by_time'), models.Index(fields=['-created_at', '-id'], name='build_newest')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='build_tenant_id_uniq'), models.UniqueConstraint(fields=('release_pipeline', 'attempt'), name='build_attempt_once'), models.UniqueConstraint(condition=models.Q(('status__in', ['TRIGGERING', 'QUEUED', 'WAITING', 'RUNNING'])), fields=('release_pipeline',), name='build_one_in_flight'), models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'TRIGGERING', 'QUEUED', 'WAITING', 'RUNNING', 'SUCCESS', 'FAILURE', 'UNSTABLE', 'ABORTED', 'TRIGGER_FAILED', 'LOST', 'CANCELLED'])), name='build_status_known')],
            },
        ),
        migrations.CreateModel(
            name='TestBuild',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('status', models.CharField(choices=[('PENDING', 'PENDING'), ('TRIGGERING', 'TRIGGERING'), ('QUEUED', 'QUEUED'), ('WAITING', 'WAITING'), ('RUNNING', 'RUNNING'), ('SUCCESS', 'SUCCESS'), ('FAILURE', 'FAILURE'), ('UNSTABLE', 'UNSTABLE'), ('ABORTED', 'ABORTED'), ('TRIGGER_FAILED', 'TRIGGER_FAILED'), ('LOST', 'LOST'), ('CANCELLED', 'CANCELLED')], default=integrations.providers.ci.BuildStatus['TRIGGERING'], max_length=20)),
                ('reported_status', models.CharField(blank=True, choices=[('PENDING', 'PENDING'), ('TRIGGERING', 'TRIGGERING'), ('QUEUED', 'QUEUED'), ('WAITING', 'WAITING'), ('RUNNING', 'RUNNING'), ('SUCCESS', 'SUCCESS'), ('FAILURE', 'FAILURE'), ('UNSTABLE', 'UNSTABLE'), ('ABORTED', 'ABORTED'), ('TRIGGER_FAILED', 'TRIGGER_FAILED'), ('LOST', 'LOST'), ('CANCELLED', 'CANCELLED')], db_default='', default='', max_length=20)),
                ('parameters', models.JSONField(default=dict)),
                ('external_id', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('queue_id', models.BigIntegerField(blank=True, null=True)),
                ('number', models.PositiveBigIntegerField(blank=True, null=True)),
                ('url', models.CharField(blank=True, max_length=500)),
                ('queue_reason', models.CharField(blank=True, max_length=300)),
                ('started_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('poll_at', models.DateTimeField(blank=True, null=True)),
                ('polls', models.PositiveIntegerField(default=0)),
                ('misses', models.PositiveSmallIntegerField(default=0)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('server_started_at', models.DateTimeField(blank=True, null=True)),
                ('end_claimed_at', models.DateTimeField(blank=True, null=True)),
                ('log_at', models.DateTimeField(blank=True, null=True)),
                ('log_tries', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('log_excerpt', models.TextField(blank=True, db_default='', default='')),
                ('log_error', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='tst', primary_key=True, serialize=False)),
                ('pipeline', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='test_builds', to='integrations.pipelineintegration')),
                ('job_path', models.CharField(max_length=300)),
                ('error', models.CharField(blank=True, max_length=500)),
                ('hint', models.CharField(blank=True, max_length=500)),
                ('first_webhook_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'test_builds',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(condition=models.Q(('poll_at__isnull', False)), fields=['poll_at'], name='test_build_poll_due'), models.Index(condition=models.Q(('log_at__isnull', False)), fields=['log_at'], name='test_build_log_due'), models.Index(fields=['-created_at', '-id'], name='test_build_newest')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='test_build_tenant_id_uniq'), models.UniqueConstraint(condition=models.Q(('status__in', ['TRIGGERING', 'QUEUED', 'WAITING', 'RUNNING'])), fields=('pipeline',), name='test_build_one_in_flight'), models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'TRIGGERING', 'QUEUED', 'WAITING', 'RUNNING', 'SUCCESS', 'FAILURE', 'UNSTABLE', 'ABORTED', 'TRIGGER_FAILED', 'LOST', 'CANCELLED'])), name='test_build_status_known')],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('id', delivr.ids.PrefixedIdField(editable=False, max_length=40, prefix='whd', primary_key=True, serialize=False)),
                ('pipeline', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='integrations.pipelineintegration')),
                ('sender', models.CharField(blank=True, db_default='', default='', max_length=20)),
                ('dedupe_key', models.CharField(max_length=200)),
                ('trust', models.CharField(choices=[('SIGNED', 'Signed'), ('BASIC', 'Password; delivr polls the build to confirm'), ('GITHUB', 'Only the body is signed; delivr polls the build to confirm')], max_length=10)),
                ('event', models.CharField(blank=True, max_length=60)),
                ('body', models.BinaryField(default=b'')),
                ('state', models.CharField(choices=[('NEW', 'Received'), ('APPLIED', 'Applied'), ('IGNORED', 'Ignored'), ('UNMATCHED', 'Waiting for its build'), ('ORPHAN', 'Not our build'), ('REJECTED', 'Unreadable')], default='NEW', max_length=10)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('build', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deliveries', to='builds.build')),
                ('next_at', models.DateTimeField(blank=True, null=True)),
                ('received_at', models.DateTimeField(default=delivr.effects.clock.now)),
                ('replayed_at', models.DateTimeField(blank=True, null=True)),
                ('settled_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name_plural': 'webhook deliveries',
                'db_table': 'webhook_deliveries',
                'ordering': ['-received_at', '-id'],
                'indexes': [models.Index(condition=models.Q(('next_at__isnull', False)), fields=['next_at'], name='delivery_due'), models.Index(fields=['tenant', '-received_at'], name='delivery_by_time'), models.Index(fields=['pipeline', '-received_at'], name='delivery_by_pipeline'), models.Index(condition=models.Q(('state__in', ['IGNORED', 'UNMATCHED', 'ORPHAN', 'REJECTED'])), fields=['tenant', 'state', '-received_at'], name='delivery_by_state'), models.Index(fields=['-received_at', '-id'], name='delivery_newest'), models.Index(condition=models.Q(('body', b''), _negated=True), fields=['received_at'], name='delivery_with_body')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='delivery_tenant_id_uniq'), models.UniqueConstraint(fields=('pipeline', 'dedupe_key'), name='delivery_once'), models.CheckConstraint(condition=models.Q(('state__in', ['NEW', 'APPLIED', 'IGNORED', 'UNMATCHED', 'ORPHAN', 'REJECTED'])), name='delivery_state_known')],
            },
        ),
        migrations.CreateModel(
            name='BuildEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('build', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='builds.build')),
                ('at', models.DateTimeField(default=delivr.effects.clock.now, editable=False)),
                ('source', models.CharField(choices=[('TRIGGER', 'Response to the trigger'), ('POLL', 'Detected by polling'), ('WEBHOOK', 'Webhook'), ('PERSON', 'Manual action')], max_length=10)),
                ('from_status', models.CharField(choices=[('PENDING', 'PENDING'), ('TRIGGERING', 'TRIGGERING'), ('QUEUED', 'QUEUED'), ('WAITING', 'WAITING'), ('RUNNING', 'RUNNING'), ('SUCCESS', 'SUCCESS'), ('FAILURE', 'FAILURE'), ('UNSTABLE', 'UNSTABLE'), ('ABORTED', 'ABORTED'), ('TRIGGER_FAILED', 'TRIGGER_FAILED'), ('LOST', 'LOST'), ('CANCELLED', 'CANCELLED')], max_length=20)),
                ('to_status', models.CharField(choices=[('PENDING', 'PENDING'), ('TRIGGERING', 'TRIGGERING'), ('QUEUED', 'QUEUED'), ('WAITING', 'WAITING'), ('RUNNING', 'RUNNING'), ('SUCCESS', 'SUCCESS'), ('FAILURE', 'FAILURE'), ('UNSTABLE', 'UNSTABLE'), ('ABORTED', 'ABORTED'), ('TRIGGER_FAILED', 'TRIGGER_FAILED'), ('LOST', 'LOST'), ('CANCELLED', 'CANCELLED')], max_length=20)),
                ('applied', models.BooleanField()),
                ('step', models.CharField(blank=True, choices=[('go', 'applied'), ('fill', 'details added'), ('ask', 'polled to confirm'), ('ignore', 'ignored'), ('stop', 'stopped')], max_length=6)),
                ('detail', models.CharField(blank=True, max_length=300)),
                ('delivery', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='events', to='builds.webhookdelivery')),
            ],
            options={
                'db_table': 'build_events',
                'ordering': ['at', 'id'],
                'indexes': [models.Index(condition=models.Q(('applied', True), ('source', 'POLL')), fields=['tenant', '-at'], name='event_of_polls'), models.Index(condition=models.Q(('applied', True), ('to_status__in', ['SUCCESS', 'FAILURE', 'UNSTABLE', 'ABORTED'])), fields=['tenant', '-at'], name='event_of_ends')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='build_event_tenant_id_uniq')],
            },
        ),
        CompositeForeignKeys("Build", ["release_pipeline"]),
        CompositeForeignKeys("WebhookDelivery", ["pipeline", "build"]),
        CompositeForeignKeys("BuildEvent", ["build", "delivery"]),
        CompositeForeignKeys("TestBuild", ["pipeline"]),
        CompositeForeignKeys("ButtonPress", ["communication"]),
        NoteChanges(
            "Build",
            "SELECT tenant_id, release_id FROM release_pipelines "
            "WHERE id = changed.release_pipeline_id",
        ),
        NoteChanges(
            "BuildEvent",
            "SELECT part.tenant_id, part.release_id FROM release_pipelines part "
            "JOIN builds ON builds.release_pipeline_id = part.id WHERE builds.id = changed.build_id",
        ),
        NoteChanges(
            "WebhookDelivery",
            "SELECT changed.tenant_id, (SELECT part.release_id FROM release_pipelines part "
            "JOIN builds ON builds.release_pipeline_id = part.id WHERE builds.id = changed.build_id)",
        ),
        NoteChanges("TestBuild", OF_NONE),
        # What a build tells also belongs to the days of the pipeline's other builds (retries,
        # recovery) and to that of the release (lead time).
        NoteDays(
            "Build",
            "SELECT changed.created_at UNION ALL "
            "SELECT created_at FROM builds WHERE release_pipeline_id = changed.release_pipeline_id "
            "UNION ALL SELECT releases.created_at FROM releases "
            "JOIN release_pipelines part ON part.release_id = releases.id "
            "WHERE part.id = changed.release_pipeline_id",
            ["created_at", "started_at", "finished_at", "status", "attempt", "candidate"],
        ),
        Storage("webhookdelivery", **BUSY),
        Storage("build", **BUSY),
    ]
