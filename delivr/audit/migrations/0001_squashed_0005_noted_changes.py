import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

from delivr.audit.protection import AppendOnly
from delivr.changes import NoteChanges
from delivr.tenants.composite import CompositeForeignKeys


class Migration(migrations.Migration):

    replaces = [('audit', '0001_initial'), ('audit', '0002_sealed'), ('audit', '0003_by_subject'), ('audit', '0004_list_indexes'), ('audit', '0005_noted_changes')]

    initial = True

    dependencies = [
        ('delivr', '0001_squashed_0005_churn'),
        ('tenants', '0001_squashed_0011_noted_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(db_constraint=False, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tenants.tenant')),
                ('actor_id', models.BigIntegerField(null=True)),
                ('actor_label', models.CharField(max_length=254)),
                ('action', models.CharField(max_length=60)),
                ('subject_id', models.CharField(blank=True, max_length=64)),
                ('subject_label', models.CharField(blank=True, max_length=200)),
                ('changes', models.JSONField(blank=True, default=dict)),
                ('at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'audit_events',
                'ordering': ['-at', '-id'],
                'indexes': [models.Index(fields=['tenant', '-at'], name='audit_by_time'), models.Index(fields=['tenant', 'subject_id'], name='audit_by_subject'), models.Index(fields=['tenant', 'action', '-at'], name='audit_by_action'), models.Index(models.F('tenant'), django.db.models.functions.text.Upper('actor_label'), models.OrderBy(models.F('at'), descending=True), name='audit_by_actor')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='audit_event_tenant_id_uniq')],
            },
        ),
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(db_constraint=False, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tenants.tenant')),
                ('seq', models.BigIntegerField()),
                ('event', models.OneToOneField(on_delete=django.db.models.deletion.DO_NOTHING, related_name='seal', to='audit.auditevent')),
                ('sealed_at', models.DateTimeField()),
                ('previous', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
            ],
            options={
                'db_table': 'audit_seals',
                'ordering': ['tenant_id', 'seq'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='audit_seal_tenant_id_uniq'), models.UniqueConstraint(fields=('tenant', 'seq'), name='audit_seal_place_once')],
            },
        ),
        CompositeForeignKeys("AuditSeal", ["event"]),
        AppendOnly("AuditEvent"),
        AppendOnly("AuditSeal"),
        NoteChanges("AuditEvent", "SELECT changed.tenant_id, changed.subject_id"),
    ]
