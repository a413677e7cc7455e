"""Rotation of FERNET_KEYS: complete, also after an interruption and with concurrent edits."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from delivr.encryption import key_usage, rotation
from delivr.encryption.fields import SecretUnreadable, secret_fields
from delivr.encryption.key_usage import measure_key_usage
from delivr.encryption.rotation import rotate_secrets
from delivr.encryption.tables import stores
from delivr.models import KeyProbe
from delivr.signin.sealing import unseal
from delivr.tenants.models import IdempotentRequest
from delivr.tests import factories
from integrations.models import EarlierWebhookSecret, ScmIntegration, StoreWebhookSecret

OLD, NEW = "the-old-key", "the-new-key"


@pytest.fixture
def keys(settings: Any) -> Iterator[Callable[..., None]]:
    """`keys(NEW, OLD)`: like a restart with these FERNET_KEYS (fields keep theirs until then)."""

    def forget() -> None:
        for model in apps.get_models():
            for field in secret_fields(model):
                for name in ("keys", "fernet_keys", "fernet"):
                    field.__dict__.pop(name, None)

    def change(*new: str) -> None:
        settings.FERNET_KEYS = list(new)
        forget()

    change(OLD)
    yield change
    forget()


def secrets_of(row: Any) -> dict[str, Any]:
    row.refresh_from_db()
    if isinstance(row, Authenticator):
        return {"secret": FactorSecret(row.data["secret"])}
    values = {field.attname: getattr(row, field.attname) for field in secret_fields(type(row))}
    return {name: secret for name, secret in values.items() if secret is not None}


class FactorSecret:
    """The secret of a second factor, with the interface of the other secrets."""

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    def reveal(self) -> str:
        return unseal(self.ciphertext)


@pytest.fixture
def rows(keys: Any, tenant: Any) -> list[Any]:
    """One row for each table with secrets, encrypted with the old key."""
    pipeline = factories.PipelineFactory(tenant=tenant, previous_webhook_secret="whsec_before")
    play = factories.PlayStoreFactory(tenant=tenant)
    chat, tickets = factories.SlackFactory(tenant=tenant), factories.JiraFactory(tenant=tenant)
    request = IdempotentRequest.objects.create(tenant=tenant, key="k")
    request.answer = '{"once": "shown"}'
    request.save()
    factor = TOTP.activate(factories.UserFactory(), generate_totp_secret()).instance
    earlier = EarlierWebhookSecret.objects.create(
        tenant=tenant, pipeline=pipeline, secret="whsec_earlier", until=timezone.now()
    )
    sentry = factories.SentryFactory(tenant=tenant)
    connections = [pipeline.scm, pipeline.target, pipeline, play, chat, tickets, sentry]
    apple = StoreWebhookSecret.objects.create(tenant=tenant, target=play, secret="whsec_apple")
    return [*connections, request, factor, earlier, apple]


@pytest.mark.django_db
class TestRotation:
    def test_first_key_alone_opens_everything(self, keys: Any, rows: list[Any]) -> None:
        before = [{n: s.reveal() for n, s in secrets_of(row).items()} for row in rows]
        keys(NEW, OLD)
        result = rotate_secrets()
        keys(NEW)
        assert [{n: s.reveal() for n, s in secrets_of(row).items()} for row in rows] == before
        assert result.rotated == sum(map(len, before)) == 13
        assert result.unreadable == []

    def test_every_table_with_secrets_is_rotated(self, rows: list[Any]) -> None:
        assert {type(row) for row in rows} == {store.model for store in stores()}

    def test_second_run_has_nothing_to_do(self, keys: Any, rows: list[Any]) -> None:
        keys(NEW, OLD)
        rotate_secrets()
        written = [s.ciphertext for row in rows for s in secrets_of(row).values()]
        assert rotate_secrets().rotated == 0
        assert [s.ciphertext for row in rows for s in secrets_of(row).values()] == written

    def test_nothing_but_the_ciphertext_changes(self, keys: Any, rows: list[Any]) -> None:
        def others(row: Any) -> dict[str, Any]:
            hidden = {field.name for field in secret_fields(type(row))} | {"data"}
            return type(row).objects.filter(pk=row.pk).values(*plain(row, hidden)).get()

        def plain(row: Any, hidden: set[str]) -> list[str]:
            return [f.attname for f in row._meta.concrete_fields if f.name not in hidden]

        before = [others(row) for row in rows]
        keys(NEW, OLD)
        rotate_secrets()
        assert [others(row) for row in rows] == before

    def test_interrupted_run_can_be_continued(self, keys: Any, tenant: Any) -> None:
        count = rotation.BATCH + 5
        factories.ScmFactory.create_batch(count, tenant=tenant)
        keys(NEW, OLD)

        def interrupt(_: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rotate_secrets(on_batch=interrupt)
        assert rotate_secrets().rotated == 5
        keys(NEW)
        assert {scm.access_token.reveal() for scm in ScmIntegration.objects.all()} == {
            "ghp_factory_token"
        }

    def test_unreadable_secret_is_reported_and_kept(self, keys: Any, tenant: Any) -> None:
        lost = factories.ScmFactory(tenant=tenant)
        kept = secrets_of(lost)["access_token"].ciphertext
        keys("another-key")
        fine = factories.ScmFactory(tenant=tenant)
        keys(NEW, "another-key")
        result = rotate_secrets()
        assert (result.rotated, result.unreadable) == (1, [lost.pk])
        assert secrets_of(lost)["access_token"].ciphertext == kept
        keys(NEW)
        assert secrets_of(fine)["access_token"].reveal() == "ghp_factory_token"

    def test_secret_of_another_row_stays_invalid(self, keys: Any, tenant: Any) -> None:
        mine, theirs = factories.ScmFactory.create_batch(2, tenant=tenant)
        stolen = secrets_of(theirs)["access_token"].ciphertext
        with connection.cursor() as cursor:
            value = connection.Database.Binary(stolen)
            sql = "UPDATE tenant_scm_integrations SET access_token = %s WHERE id = %s"
            cursor.execute(sql, [value, mine.pk])
        keys(NEW, OLD)
        assert rotate_secrets().unreadable == [mine.pk]
        with pytest.raises(SecretUnreadable):
            secrets_of(mine)["access_token"].reveal()

    def test_command_says_what_it_did(self, keys: Any, rows: list[Any]) -> None:
        keys(NEW, OLD)
        out = io.StringIO()
        call_command("rotate_secrets", "--json", stdout=out, stderr=io.StringIO())
        assert json.loads(out.getvalue()) == {
            "rotated": 13,
            "rows": 11,
            "keys": [13, 0],
            "unreadable": [],
            "isRotated": True,
            "lostKeys": 0,
        }

    def test_check_says_which_key_is_needed_and_changes_nothing(
        self, keys: Any, rows: list[Any]
    ) -> None:
        keys(NEW, OLD)
        fresh = factories.ScmFactory(tenant=rows[0].tenant)
        before = [s.ciphertext for row in rows for s in secrets_of(row).values()]
        out = io.StringIO()
        call_command("rotate_secrets", "--check", "--json", stdout=out)
        found = json.loads(out.getvalue())
        assert (found["keys"], found["isRotated"]) == ([1, 13], False)
        assert [s.ciphertext for row in rows for s in secrets_of(row).values()] == before
        call_command("rotate_secrets", "--check", stdout=out)
        assert "Key 2 of 2 is needed by 13 secrets." in out.getvalue()
        assert "take the others out" not in out.getvalue()
        assert secrets_of(fresh)["access_token"].key == 0

    def test_command_says_when_the_old_key_can_be_removed(self, keys: Any, rows: list[Any]) -> None:
        keys(NEW, OLD)
        out, err = io.StringIO(), io.StringIO()
        call_command("rotate_secrets", stdout=out, stderr=err)
        assert "Key 2 of 2 is needed by 0 secrets." in out.getvalue()
        assert "take the others out" in out.getvalue()
        assert "11 of 11 rows" in err.getvalue()

    def test_job_measures_key_usage_once_an_hour(self, rows: list[Any], monkeypatch: Any) -> None:
        monkeypatch.setattr(key_usage, "_measured_at", -key_usage.EVERY)
        assert (key_usage.due(), key_usage.due()) == (["all"], [])
        key_usage.run()
        assert KeyProbe.objects.count() == 1

    def test_command_fails_where_a_key_is_missing(self, keys: Any, rows: list[Any]) -> None:
        keys(NEW)
        out = io.StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("rotate_secrets", stdout=out, stderr=io.StringIO())
        assert ended.value.code == 1
        assert rows[0].pk in out.getvalue()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_concurrent_edit_is_not_undone(keys: Any, tenant: Any) -> None:
    """The edit holds the row's lock when the rotation reaches it."""
    scm = factories.ScmFactory(tenant=tenant)
    keys(NEW, OLD)

    def rotate() -> None:
        rotate_secrets()
        close_old_connections()
        connection.close()

    rotating = threading.Thread(target=rotate)
    with transaction.atomic():
        edited = ScmIntegration.objects.select_for_update().get(pk=scm.pk)
        rotating.start()
        wait_until_somebody_waits()
        edited.access_token = "ghp_edited_meanwhile"
        edited.save()
    rotating.join(timeout=30)
    assert not rotating.is_alive()
    keys(NEW)
    assert secrets_of(scm)["access_token"].reveal() == "ghp_edited_meanwhile"


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_killed_run_can_be_continued_during_edits(keys: Any, tenant: Any) -> None:
    """kill -9 in the middle of a batch of the command, while five threads edit the same rows."""
    factories.ScmFactory.create_batch(6 * rotation.BATCH, tenant=tenant)
    ids = list(ScmIntegration.objects.order_by("pk").values_list("pk", flat=True))
    keys(NEW, OLD)
    over, edited, failures = threading.Event(), {}, []

    def edit(number: int) -> None:
        """Repeatedly edit a few rows of every batch; no two threads edit the same row."""
        for turn, pk in enumerate(itertools.cycle(ids[number::20])):
            if over.is_set():
                break
            try:
                with transaction.atomic():
                    row = ScmIntegration.objects.select_for_update().get(pk=pk)
                    row.access_token = f"ghp_{number}_{turn}"
                    row.save()
                edited[pk] = f"ghp_{number}_{turn}"
            except Exception as error:  # reported at the end
                failures.append(error)
        connection.close()

    threads = [threading.Thread(target=edit, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    try:
        kill_while_it_waits_for(ids[3 * rotation.BATCH + 19])
        assert measure_key_usage().keys[1] > 0
        result = rotate_secrets()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert (failures, result.unreadable, result.seen) == ([], [], len(ids))
    assert measure_key_usage().keys == [len(ids), 0]
    keys(NEW)
    found = {scm.pk: scm.access_token.reveal() for scm in ScmIntegration.objects.all()}
    assert found == dict.fromkeys(ids, "ghp_factory_token") | edited


def kill_while_it_waits_for(row_id: str) -> None:
    """Start the command and kill it when it reaches a row that is locked here."""
    command = run_command()
    assert command.stderr is not None
    with transaction.atomic():
        ScmIntegration.objects.select_for_update().get(pk=row_id)
        assert command.stderr.readline().startswith("100 of 600 rows")
        wait_until_somebody_waits()
        command.kill()
        command.wait()
    command.stderr.close()
    assert command.returncode == -signal.SIGKILL


def run_command() -> subprocess.Popen[str]:
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    env = {
        **os.environ,
        "DATABASE_URL": url,
        "FERNET_KEYS": f"{NEW},{OLD}",
        "DJANGO_SETTINGS_MODULE": "delivr.settings_test",
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "rotate_secrets"],
        env=env,
        cwd=settings.BASE_DIR,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_somebody_waits() -> None:
    """Wait until the database reports that a session waits for a lock of ours."""
    sql = (
        "SELECT count(*) FROM pg_locks"
        " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    deadline = time.monotonic() + 5  # seconds; the other side gives up after 8
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(sql)
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody came to wait")
