"""Fill a PostgreSQL database with releases of 100 workspaces, as after years of use.

`python bench/data.py SIZE` creates the database `delivr_bench_SIZE` at TEST_DATABASE_URL (again, if
it is there); `--drop` drops it. SIZE is the number of releases: 100,000 of them come with 200,000
pipelines, 1,050,000 effects and 440,000 deliveries. Workspace 0 has a third of everything. The same
size gives the same rows, except for those of the sample workspace that all routes' parameters are
of (`delivr/tests/sample_workspace.py`), which is workspace 0.

The shares of rare states are such that the first page of every filter is full at 100 releases too:
otherwise a filter would be compared with an empty list.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from django.db import models

    from delivr.tests.sample_workspace import SampleWorkspace

POSTGRES = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
TENANTS = 100
UNFINISHED = 30  # the newest releases of the installation; all older ones have ended
YEARS = 3
FIRST_KEY = 1_000_000  # of the rows with a number; those of the sample workspace are below
NOWHERE = "http://127.0.0.1:1"
WORD = "sample7word"  # marks the sample workspace's texts

# The workspaces with the connections that their releases use, one row each.
WORKSPACES = """
CREATE TEMP TABLE w (
  place int PRIMARY KEY, tenant text, scm text, ios text, android text, slack text, jira text,
  app text, play text, owner bigint, member bigint, endpoint text
)
"""
# One row per release: its number (1 is the oldest), when it was created, and its workspace.
RELEASES = """
CREATE TEMP TABLE r AS
SELECT n, 'rel_' || left(md5('rel' || n), 16) AS id, n > {size} - {unfinished} AS is_new,
  now() - interval '1 day' * {days} * ({size} - n) / {size} - interval '1 hour' AS at,
  (n / 3 % 6) = 5 AS is_cancelled,
  1 + n / 400 || '.' || n / 20 % 20 || '.' || n % 20 AS version, w.*
FROM generate_series(1, {size}) n
JOIN w ON w.place = CASE WHEN n % 3 = 0 THEN 0 ELSE 1 + n * 37 % {others} END
"""
# One row per build: `p` is the pipeline's place (0: iOS, 1: Android). Every tenth pipeline failed
# at first; of the new releases one build is running and one failed.
BUILDS = """
CREATE TEMP TABLE b AS
SELECT r.*, p, attempt, {first} + 2 * n + p AS part,
  'bld_' || left(md5('bld' || n || '.' || p || '.' || attempt), 16) AS build,
  CASE p WHEN 0 THEN ios ELSE android END AS pipeline,
  CASE WHEN is_new AND p = 0 THEN 'RUNNING' WHEN is_new THEN 'FAILURE'
    WHEN is_cancelled AND attempt = 1 THEN 'ABORTED'
    WHEN n % 10 = 7 AND attempt = 1 THEN 'FAILURE' ELSE 'SUCCESS' END AS status
FROM r, generate_series(0, 1) p, generate_series(1, 2) attempt
WHERE attempt = 1 OR (n % 10 = 7 AND NOT is_new)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int)
    parser.add_argument("--drop", action="store_true", help="drop the database instead")
    arguments = parser.parse_args()
    drop(arguments.size)
    if arguments.drop:
        return
    create(arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        environment(arguments.size, folder)
        fill(arguments.size)
    print(database_url(arguments.size))


# --- The database ---------------------------------------------------------------------------------


def name_of(size: int) -> str:
    return f"delivr_bench_{size}"


def database_url(size: int) -> str:
    return urlsplit(POSTGRES)._replace(path=f"/{name_of(size)}").geturl()


def create(size: int) -> None:
    _on_server(f'CREATE DATABASE "{name_of(size)}"')


def exists(size: int) -> bool:
    import psycopg

    with psycopg.connect(POSTGRES) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [name_of(size)]
        ).fetchone()
    return found is not None


def drop(size: int) -> None:
    _on_server(f'DROP DATABASE IF EXISTS "{name_of(size)}" WITH (FORCE)')


def _on_server(statement: str) -> None:
    import psycopg

    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(statement.encode())


def environment(size: int, folder: str) -> None:
    """The production settings, with every provider at an address where nothing listens."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="delivr.settings",
        SECRET_KEY=WORD * 5,
        FERNET_KEYS="bench" * 8 + "abc",  # 32 bytes; the same each time, for kept databases
        DATABASE_URL=database_url(size),
        DATABASE_STATEMENT_TIMEOUT="600000",
        DELIVR_DATA_DIR=folder,
        CELERY_BROKER_URL="",
        ALLOWED_HOSTS="127.0.0.1",
        METRICS_TOKEN=WORD,
        GITHUB_API_URL=NOWHERE,
        SLACK_API_URL=NOWHERE,
        APP_STORE_CONNECT_URL=NOWHERE,
        GOOGLE_PLAY_URL=NOWHERE,
        GOOGLE_TOKEN_URL=f"{NOWHERE}/token",
    )


# --- Rows -----------------------------------------------------------------------------------------


def fill(size: int) -> None:
    """Migrate and fill the database of Django's connection."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from delivr.tests.sample_workspace import build_workspace

    call_command("migrate", interactive=False, verbosity=0)
    sample = build_workspace(WORD)
    with connection.cursor() as cursor:
        # The rows refer to each other by construction: no need to check a million references.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(WORKSPACES)
        for place in range(TENANTS):
            _add_workspace(cursor, place, sample)
        days = 365 * YEARS
        cursor.execute(
            RELEASES.format(size=size, unfinished=UNFINISHED, days=days, others=TENANTS - 1)
        )
        cursor.execute(BUILDS.format(first=FIRST_KEY))
        cursor.execute("ANALYZE r")
        cursor.execute("ANALYZE b")
        _add_releases()
        _add_builds()
        _add_submissions()
        _add_ledger()
        _add_audit()
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("VACUUM ANALYZE")  # as autovacuum does
        _keep_insights()
        cursor.execute("VACUUM ANALYZE insights_days")
    _remember(sample)


def _remember(sample: SampleWorkspace) -> None:
    """Store what leads to the sample workspace in the database itself, which may be kept."""
    from django.db import connection

    users = {role: user.pk for role, user in sample.users.items()}
    known = {"tenant": sample.tenant.pk, "users": users, "tokens": sample.tokens}
    known |= {"ids": sample.ids, "connections": sample.connections}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_sample (known text)")
        cursor.execute("INSERT INTO bench_sample VALUES (%s)", [json.dumps(known)])


def recall() -> SampleWorkspace:
    """The sample workspace of the database of Django's connection."""
    from django.db import connection

    from delivr.tenants.models import Tenant, User
    from delivr.tests.sample_workspace import SampleWorkspace

    with connection.cursor() as cursor:
        cursor.execute("SELECT known FROM bench_sample")
        known = json.loads(cursor.fetchone()[0])
    known["tenant"] = Tenant.objects.get(pk=known["tenant"])
    known["users"] = {role: User.objects.get(pk=pk) for role, pk in known["users"].items()}
    return SampleWorkspace(word=WORD, **known)


def _add_workspace(cursor: Any, place: int, sample: SampleWorkspace) -> None:
    from delivr.tests import factories
    from delivr.tests.wired import wire
    from integrations.models import PipelineIntegration

    if place == 0:
        tenant, owner, member = sample.tenant, sample.users["OWNER"], sample.users["MEMBER"]
        scm, slack, jira = (sample.connections[f] for f in ("scm", "communication", "tickets"))
        ours = {"tenant": tenant, "disconnected_at": None}
        jobs = PipelineIntegration.objects.filter(**ours)
        ios = jobs.get(pk=sample.connections["pipelines"])
        android = jobs.get(target__target_type="PLAY_STORE", job__contains="android")
        endpoint = sample.ids["endpoint_id"]
    else:
        tenant, endpoint = factories.TenantFactory(name=f"Workspace {place}"), ""
        owner, member = (
            factories.MembershipFactory(
                tenant=tenant,
                role=role,
                user__email=f"{role.lower()}{place}@example.com",
                user__password=None,  # nobody signs in, and hashing takes time
            ).user
            for role in ("OWNER", "MEMBER")
        )
        wired = wire(tenant, NOWHERE)
        scm, slack, jira = wired.scm.pk, wired.slack.pk, wired.jira.pk
        ios, android = wired.pipelines["ios"], wired.pipelines["android"]
    connections = (scm, ios.pk, android.pk, slack, jira, ios.target_id, android.target_id)
    row = (place, tenant.pk, *connections, owner.pk, member.pk, endpoint)
    cursor.execute(f"INSERT INTO w VALUES ({', '.join(['%s'] * len(row))})", row)  # noqa: S608 # our own


def insert(model: type[models.Model], source: str, /, **values: str) -> None:
    """Insert one row per row of `source` (FROM and what follows). `values` are SQL expressions by
    field; all other columns get the model's defaults."""
    from django.db import connection

    columns, chosen, defaults = [], [], []
    for field in model._meta.concrete_fields:
        if field.name in values:
            chosen.append(values.pop(field.name))
        elif not field.has_default() and (field.primary_key or field.has_db_default()):
            continue  # the database has one
        else:
            default = field.get_default()
            defaults.append(field.get_db_prep_save(default, connection))
            chosen.append("%s")
        columns.append(connection.ops.quote_name(str(field.column)))
    if values:
        raise TypeError(f"{model._meta.label} has no {', '.join(values)}")
    statement = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"  # noqa: S608 # our own
        f" SELECT {', '.join(chosen)} FROM {source}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, defaults)
        if model._meta.pk.get_internal_type() == "BigAutoField":
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{model._meta.db_table}', 'id'), max(id))"  # noqa: S608
                f" FROM {model._meta.db_table}"
            )


def _add_releases() -> None:
    from releases.models import (
        Change,
        ChangeTicket,
        Release,
        ReleaseCommunication,
        ReleasePipeline,
        ReleaseTarget,
        RepositoryPart,
        TicketPart,
    )

    insert(
        Release,
        "r",
        id="id",
        tenant="tenant",
        version="version",
        branch="'release/' || version",
        scm="scm",
        ticket="jira",
        status="CASE WHEN is_new THEN (ARRAY['BUILDING','BUILD_FAILED','KICKOFF_PENDING'])"
        "[1 + n / 3 %% 3] WHEN is_cancelled THEN 'CANCELLED' ELSE 'BUILD_COMPLETE' END",
        created_by="CASE WHEN n / 3 %% 2 = 0 THEN owner ELSE member END",
        created_at="at",
        updated_at="at",
        completed_at="CASE WHEN is_new OR is_cancelled THEN NULL ELSE at + interval '2 hours' END",
        submitted_at="CASE WHEN is_new OR is_cancelled OR n / 3 %% 4 = 0 THEN NULL"
        " ELSE at + interval '3 hours' END",
        released_at="CASE WHEN is_new OR is_cancelled OR n / 3 %% 4 = 0 THEN NULL"
        " ELSE at + interval '1 day' END",
    )
    common = {"tenant": "tenant", "release": "r.id"}
    insert(
        ReleaseTarget,
        "r, generate_series(0, 1) p",
        **common,
        target="CASE p WHEN 0 THEN app ELSE play END",
        store="CASE p WHEN 0 THEN 'APP_STORE' ELSE 'PLAY_STORE' END",
        app_identifier="'com.dream11.app'",
        epic_key="'MOBILE-' || 2 * n + p",
        held_version="CASE WHEN is_cancelled THEN NULL ELSE version END",
    )
    insert(ReleaseCommunication, "r", **common, communication="slack")
    insert(TicketPart, "r", **common, total="10", not_done="2", looked_at="at")
    insert(RepositoryPart, "r", **common, total="5", listed="5", is_complete="true")
    insert(
        ReleasePipeline,
        "b r WHERE attempt = 1",
        **common,
        id="part",
        pipeline="pipeline",
        platform="CASE p WHEN 0 THEN 'IOS' ELSE 'ANDROID' END",
        job_path="CASE p WHEN 0 THEN '/job/ios' ELSE '/job/android' END",
        triggered="true",
        build_number="2 * n + p",
        build_status="CASE WHEN is_new AND p = 0 THEN 'RUNNING' WHEN is_new THEN 'FAILURE'"
        " WHEN is_cancelled THEN 'ABORTED' ELSE 'SUCCESS' END",
    )
    insert(
        Change,
        "r, generate_series(1, 5) c",
        **common,
        id=f"{FIRST_KEY} + 5 * n + c",
        position="c",
        sha="left(md5('a' || n || c) || md5('b' || n || c), 40)",
        title="'Change ' || n || '.' || c",
        author="'ada'",
        url="'https://github.com/dream11/app/commit/' || n",
        pull_number="5 * n + c",
    )
    insert(
        ChangeTicket,
        "r, generate_series(1, 5) c",
        tenant="tenant",
        change=f"{FIRST_KEY} + 5 * n + c",
        key="'MOBILE-' || n %% 5000",
    )


def _add_builds() -> None:
    from builds.models import Build, BuildEvent, TestBuild, WebhookDelivery

    moving = "status = 'RUNNING'"
    insert(
        Build,
        "b",
        id="build",
        tenant="tenant",
        release_pipeline="part",
        attempt="attempt",
        status="status",
        number="4 * n + 2 * p + attempt",
        url=f"'{NOWHERE}/jenkins/job/x/' || 4 * n + 2 * p + attempt",
        started_by="CASE WHEN n / 3 %% 2 = 0 THEN owner ELSE member END",
        created_at="at + interval '1 hour' * (attempt - 1)",
        started_at="at + interval '1 minute' + interval '1 hour' * (attempt - 1)",
        finished_at=f"CASE WHEN {moving} THEN NULL"
        " ELSE at + interval '20 minutes' + interval '1 hour' * (attempt - 1) END",
        poll_at=f"CASE WHEN {moving} THEN now() + interval '1 day' END",
    )
    insert(
        WebhookDelivery,
        "b, generate_series(1, 2) k",
        id="'whd_' || left(md5('whd' || build || k), 16)",
        tenant="tenant",
        pipeline="pipeline",
        dedupe_key="'id:' || build || k",
        trust="'SIGNED'",
        build="CASE WHEN (n + k) %% 8 = 5 THEN NULL ELSE build END",
        state="CASE WHEN is_new AND k = 2 THEN 'UNMATCHED' WHEN (n + k) %% 8 = 5 THEN 'ORPHAN'"
        " WHEN (n + k) %% 8 = 3 THEN 'IGNORED' WHEN (n + k) %% 16 = 14 THEN 'REJECTED'"
        " ELSE 'APPLIED' END",
        next_at="CASE WHEN is_new AND k = 2 THEN now() + interval '1 day' END",
        received_at="at + interval '10 minutes' * k + interval '1 hour' * (attempt - 1)",
        body="CASE WHEN at > now() - interval '29 days' THEN '{\"status\": \"SUCCESS\"}'::bytea"
        " ELSE '' END",
    )
    insert(
        BuildEvent,
        "b, generate_series(1, 3) k",
        tenant="tenant",
        build="build",
        at="at + interval '5 minutes' * k",
        source="CASE WHEN k = 3 AND n %% 5 = 0 THEN 'POLL' WHEN k = 1 THEN 'TRIGGER'"
        " ELSE 'WEBHOOK' END",
        from_status="(ARRAY['TRIGGERING','QUEUED','RUNNING'])[k]",
        to_status="CASE k WHEN 1 THEN 'QUEUED' WHEN 2 THEN 'RUNNING' ELSE status END",
        applied="true",
        detail="CASE WHEN k = 3 AND n %% 5 = 0 THEN 'It ended.' ELSE '' END",
        delivery="CASE WHEN k = 3 AND n %% 5 = 0 OR k = 1 THEN NULL"
        " ELSE 'whd_' || left(md5('whd' || build || (k - 1)), 16) END",
    )
    insert(
        TestBuild,
        "r WHERE n %% 50 = 0",
        id="'tst_' || left(md5('tst' || n), 16)",
        tenant="tenant",
        pipeline="ios",
        job_path="'/job/ios'",
        status="'SUCCESS'",
        created_at="at",
        started_at="at",
        finished_at="at + interval '10 minutes'",
    )


def _add_submissions() -> None:
    from submissions.models import Submission, SubmissionEvent

    done = (
        "r JOIN release_targets part ON part.release_id = r.id"
        " AND NOT r.is_new AND NOT r.is_cancelled"
    )
    identity = "'sub_' || left(md5('sub' || part.id), 16)"
    insert(
        Submission,
        done,
        id=identity,
        tenant="r.tenant",
        release="r.id",
        release_target="part.id",
        target="part.target_id",
        store_build="n",
        is_phased="true",
        state="'LIVE'",
        review_took="interval '7 minutes' * (60 + n %% 300)",
        created_at="at + interval '3 hours'",
        submitted_at="at + interval '3 hours'",
        changed_at="at + interval '7 days'",
    )
    insert(
        SubmissionEvent,
        f"{done} CROSS JOIN generate_series(1, 3) k WHERE k > 1 OR n %% 12 = 0",
        tenant="r.tenant",
        submission=identity,
        state="(ARRAY['REJECTED','ROLLING_OUT','LIVE'])[k]",
        at="at + interval '1 day' * k + interval '1 hour' * (n %% 50) * (k - 1)",
        what="'It went on.'",
    )


def _keep_insights() -> None:
    """As the sweeper has done long ago."""
    from builds.insights.keeping import due, keep

    for tenant_id in due():
        keep(tenant_id)


def _add_ledger() -> None:
    from delivr.effects.models import Effect
    from integrations.models import EndpointAttempt
    from releases.models import ReleaseNotice

    kinds = (
        "ARRAY['build.trigger','build.trigger','message.post','message.post','message.edit',"
        "'ticket.create_epic','ticket.comment','scm.create_branch','scm.tag','event.send',"
        "'message.post']"
    )
    is_open = "(is_new AND k = 5)"
    # Ten and a half for each release. A tenth fails, until a person deals with it.
    every = (
        f"(SELECT *, ({kinds})[k] AS kind, (7 * n + 3 * k) %% 20 AS chance,"  # noqa: S608 # our own
        " n > (SELECT max(n) FROM r) - 1000 AS is_late FROM r,"
        " generate_series(1, 11) k WHERE k < 11 OR n %% 2 = 0) r"
    )
    insert(
        Effect,
        every,
        id="'eff_' || left(md5('eff' || n || '.' || k), 16)",
        tenant="tenant",
        kind="kind",
        integration_id="CASE WHEN k = 1 THEN ios WHEN k = 2 THEN android WHEN kind LIKE 'ticket%%'"
        " THEN jira WHEN kind LIKE 'scm%%' THEN scm ELSE slack END",
        release_id="id",
        build_id="CASE WHEN k <= 2 THEN 'bld_' || left(md5('bld' || n || '.' || k - 1 || '.1'), 16)"
        " ELSE '' END",
        dedupe_key="'bench:' || n || '.' || k",
        payload="CASE WHEN kind = 'message.post' THEN"
        ' \'{"channel": "C123", "notice": "release_created", "words": {}}\'::jsonb'
        " ELSE '{}'::jsonb END",
        state=f"CASE WHEN {is_open} THEN 'PENDING' WHEN chance < 2 AND is_late"
        " THEN 'DEAD' WHEN chance < 2 THEN 'CANCELLED' ELSE 'DONE' END",
        next_at=f"CASE WHEN {is_open} THEN now() + interval '1 day' ELSE at END",
        expires_at="at + interval '2 days'",
        attempts="1",
        last_error_code="CASE WHEN chance < 2 THEN 'unreachable' ELSE '' END",
        last_error="CASE WHEN chance < 2 THEN 'The server could not be reached.' ELSE '' END",
        created_at="at + interval '1 minute' * k",
        done_at=f"CASE WHEN {is_open} THEN NULL ELSE at + interval '2 minutes' * k END",
    )
    recent = "r WHERE endpoint <> '' AND at > now() - interval '29 days'"
    insert(
        EndpointAttempt,
        recent,
        tenant="tenant",
        id="'att_' || left(md5('att' || n), 16)",
        integration_id="endpoint",
        effect_id="'eff_' || left(md5('eff' || n || '.10'), 16)",
        message_id="'eff_' || left(md5('eff' || n || '.10'), 16)",
        release_id="id",
        event="'release.created'",
        body="'{}'",
        status="CASE WHEN n %% 5 = 0 THEN 500 ELSE 200 END",
        at="at",
    )
    insert(
        ReleaseNotice,
        "r WHERE at > now() - interval '6 days'",
        id="'ntc_' || left(md5('ntc' || n), 16)",
        tenant="tenant",
        release_id="id",
        notice="'release_created'",
        dedupe_key="'bench:' || n",
        at="at",
    )


def _add_audit() -> None:
    from delivr.audit.models import AuditEvent, AuditSeal

    insert(
        AuditEvent,
        "r, generate_series(1, 3) k",
        id=f"{FIRST_KEY} + 3 * n + k",
        tenant="tenant",
        actor_id="CASE WHEN n / 3 %% 2 = 0 THEN owner ELSE member END",
        actor_label="CASE WHEN n / 3 %% 2 = 0 THEN 'ada@example.com' ELSE 'bob@example.com' END",
        action="(ARRAY['release.created','build.triggered','release.marked'])[k]",
        subject_id="CASE k WHEN 2 THEN 'bld_' || left(md5('bld' || n || '.0.1'), 16) ELSE id END",
        subject_label="CASE k WHEN 2 THEN 'iOS ' || version ELSE version END",
        at="at + interval '30 minutes' * k",
    )
    place = "row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS seq"
    insert(
        AuditSeal,
        f"(SELECT *, {place} FROM audit_events) e WHERE e.id > {FIRST_KEY}",  # noqa: S608 # our own
        tenant="tenant_id",
        seq="e.seq",
        event="e.id",
        sealed_at="e.at",
        previous="md5('p' || e.id) || md5('q' || e.id)",
        hash="md5('h' || e.id) || md5('i' || e.id)",
    )


if __name__ == "__main__":
    main()
