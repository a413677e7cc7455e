"""On PostgreSQL, a poll for what has not changed is answered by one statement, and by no lie."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import TestBuild
from delivr.audit.models import AuditEvent
from delivr.audit.operations import record
from delivr.changes import KEEP, delete_notes, due_notes
from delivr.effects.models import Effect, IntegrationHealth
from delivr.models import RowChange
from delivr.pages.live import AT_REST, HEADER, WHILE_MOVING
from delivr.tenants.models import Membership, Tenant, User
from delivr.tests import factories
from delivr.tests.sample_workspace import (
    OURS,
    THEIRS,
    SampleWorkspace,
    build_workspace,
    tenant_models,
)
from releases.models import Release

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

FEW = 2  # statements
RELEASE = "/releases/{release_id}/live"
PAGES = (
    RELEASE,
    "/activity/live",
    "/activity/received/live",
    "/integrations/pipelines/{pipeline_id}/test-build",
    "/settings/messages/{slack_id}/test",
)
# Read by pages, and not noted: looked at by each poll, or late by WHILE_MOVING at most.
NOT_NOTED = {"django_session", "heartbeats"}


class Page:
    """A page that is open in a browser, which polls."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        self.seen, self.promise = "", ""
        self.tables: set[str] = set()

    def poll(self, **extra: str) -> int:
        """The number of statements. Keeps what the answer promises."""
        headers = {"HX-Request": "true", HEADER: self.promise, **extra}
        with CaptureQueriesContext(connection) as queries:
            answer = self.client.get(self.address, {"seen": self.seen}, headers=headers)
        self.status, self.refreshes = answer.status_code, "HX-Refresh" in answer.headers
        self.promise = answer.headers.get(HEADER, self.promise)
        if answer.status_code in (200, 286) and not self.refreshes:
            self.seen = answer.context.get("seen") or answer.context["tests_seen"]
        sql = " ".join(query["sql"] for query in queries)
        self.tables |= set(re.findall(r'(?:FROM|JOIN) "(\w+)"', sql))
        return len(queries)

    def rest(self) -> None:
        """Poll until the promise holds."""
        self.poll()
        assert self.poll() <= FEW
        assert self.status == 204


@pytest.fixture
def sample() -> SampleWorkspace:
    return build_workspace(OURS)


def opened(sample: SampleWorkspace, address: str = RELEASE, role: str = "OWNER") -> Page:
    ids = {**sample.ids, "slack_id": sample.connections["communication"]}
    client = factories.sign_in(Client(), sample.users[role])
    return Page(client, address.format(**ids))


def noted() -> dict[str, type[models.Model]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'note_changes'"
        )
        names = {name for (name,) in cursor.fetchall()}
    known = {model._meta.db_table: model for model in [*tenant_models(), Tenant, User]}
    return {name: known[name] for name in sorted(names)}


def change(model: type[models.Model], sample: SampleWorkspace) -> None:
    """Change all of the workspace's rows of one table."""
    if model is User:
        User.objects.filter(pk=sample.users["OWNER"].pk).update(name="Somebody else")
    elif model is Tenant:
        Tenant.objects.filter(pk=sample.tenant.pk).update(name="Something else")
    elif model is IntegrationHealth:
        IntegrationHealth.objects.filter(tenant=sample.tenant).update(failures=3)
    elif model is AuditEvent:
        subject = Release.objects.get(tenant=sample.tenant)
        record(tenant=sample.tenant, actor=None, action="release.marked", subject=subject)
    else:
        rows: Any = model._default_manager.filter(tenant=sample.tenant)
        assert rows.update(tenant=sample.tenant)


@pytest.mark.parametrize("address", PAGES)
def test_poll_without_news_costs_few_statements(address: str, sample: SampleWorkspace) -> None:
    page = opened(sample, address)
    assert page.poll() > FEW
    page.rest()


@pytest.mark.parametrize("address", PAGES)
def test_every_table_that_a_page_reads_ends_its_rest(address: str, sample: SampleWorkspace) -> None:
    page, notes = opened(sample, address), noted()
    page.rest()
    for name in sorted(page.tables - NOT_NOTED):
        assert name in notes, f"{address} reads {name}, which notes no changes"
        page.rest()
        change(notes[name], sample)
        assert page.poll() > FEW, f"{address} is not told of {name}"


def test_every_noted_table_ends_the_rest_of_the_workspaces_pages(sample: SampleWorkspace) -> None:
    activity, release = opened(sample, "/activity/live"), opened(sample)
    for name, model in noted().items():
        activity.rest()
        release.rest()
        change(model, sample)
        assert activity.poll() > FEW, name
        assert (release.poll() > FEW) == (model is not TestBuild), name


def test_new_and_deleted_rows_end_it(sample: SampleWorkspace) -> None:
    page = opened(sample)
    page.rest()
    release = Release.objects.get(pk=sample.ids["release_id"])
    effect = factories.EffectFactory(tenant=sample.tenant, release_id=release.pk)
    assert page.poll() > FEW
    page.rest()
    effect.delete()
    assert page.poll() > FEW


def test_what_others_change_does_not_end_it(sample: SampleWorkspace) -> None:
    theirs = build_workspace(THEIRS)
    other = factories.ReleaseFactory(tenant=sample.tenant, version="8.8.8")
    page = opened(sample)
    page.rest()
    for model in noted().values():
        change(model, theirs)
    Release.objects.filter(pk=other.pk).update(branch="elsewhere")
    factories.EffectFactory(tenant=sample.tenant, release_id=other.pk)
    factories.EffectFactory(tenant=sample.tenant)
    User.objects.filter(pk=sample.users["OWNER"].pk).update(last_login="2026-01-01T00:00Z")
    IntegrationHealth.objects.filter(tenant=sample.tenant).update(turns={"a": [1, 2]})
    assert page.poll() <= FEW


def test_transaction_that_commits_late_is_not_missed(sample: SampleWorkspace) -> None:
    """Its id is older than that of a transaction which the page has seen."""
    page = opened(sample)
    settings = connection.settings_dict
    with psycopg.connect(
        dbname=settings["NAME"], host=settings["HOST"], port=settings["PORT"], user=settings["USER"]
    ) as other:
        other.execute(
            "UPDATE releases SET branch = 'late' WHERE id = %s", [sample.ids["release_id"]]
        )
        factories.EffectFactory(tenant=sample.tenant, release_id=sample.ids["release_id"])
        page.rest()
        other.commit()
        assert page.poll() > FEW


@pytest.mark.parametrize("bound", [WHILE_MOVING, AT_REST])
def test_promise_is_over_in_time(bound: Any, sample: SampleWorkspace) -> None:
    page = opened(sample, "/activity/live" if bound == AT_REST else RELEASE)
    Effect.objects.filter(tenant=sample.tenant).update(state="DEAD", last_error="It failed.")
    with time_machine.travel("2030-01-01T00:00Z", tick=False) as now:
        page.client = factories.sign_in(Client(), sample.users["OWNER"])
        page.rest()
        now.shift(bound.total_seconds() - 1)
        assert page.poll() <= FEW
        now.shift(2)
        assert page.poll() > FEW
        assert page.poll() <= FEW  # it was made anew


# --- Nobody gets by a promise what the page would not give ----------------------------------------


def test_promise_is_worth_nothing_to_others(sample: SampleWorkspace) -> None:
    mine, theirs = opened(sample), opened(sample, role="VIEWER")
    mine.rest()
    theirs.seen, theirs.promise = mine.seen, mine.promise
    assert theirs.poll() > FEW


def test_promise_is_worth_nothing_for_another_page(sample: SampleWorkspace) -> None:
    mine = opened(sample)
    mine.rest()
    mine.seen = "0123456789abcdef.BUILDING"
    assert mine.poll() > FEW
    assert mine.status == 200
    mine.rest()
    mine.address = mine.address.replace(sample.ids["release_id"], "another")
    mine.poll()
    assert mine.status == 404


@pytest.mark.parametrize("forged", ["", "x", "W10:1:x", "signed for something else"])
def test_forged_promise_is_worth_nothing(forged: str, sample: SampleWorkspace) -> None:
    page = opened(sample)
    page.rest()
    page.promise = signing.dumps([]) if forged.startswith("signed") else forged
    assert page.poll() > FEW
    assert page.status == 204


def test_member_who_is_removed_is_refused_at_once(sample: SampleWorkspace) -> None:
    page = opened(sample, role="MEMBER")
    page.rest()
    Membership.objects.get(tenant=sample.tenant, user=sample.users["MEMBER"]).delete()
    page.poll()
    assert page.status == 302  # to a workspace of their own


@pytest.mark.parametrize("how", ["signed out", "locked", "new password"])
def test_user_whose_session_ends_is_sent_away_at_once(how: str, sample: SampleWorkspace) -> None:
    page, user = opened(sample, role="MEMBER"), sample.users["MEMBER"]
    page.rest()
    if how == "signed out":
        Session.objects.get(pk=page.client.cookies["sessionid"].value).delete()
    elif how == "locked":
        User.objects.filter(pk=user.pk).update(is_active=False)
    else:
        user.set_password("another long passphrase")
        user.save()
    page.poll()
    assert page.refreshes


def test_poll_without_htmx_promises_nothing(sample: SampleWorkspace) -> None:
    page = opened(sample)
    answer = page.client.get(page.address)
    assert HEADER not in answer.headers


# --- Notes are kept for a while -------------------------------------------------------------------


def test_old_notes_are_deleted(sample: SampleWorkspace) -> None:
    assert due_notes() == []
    RowChange.objects.filter(release_key=sample.ids["release_id"]).update(
        noted_at=timezone.now() - KEEP
    )
    for what in due_notes():
        delete_notes(what)
    assert RowChange.objects.exists()
    assert not RowChange.objects.filter(release_key=sample.ids["release_id"]).exists()
