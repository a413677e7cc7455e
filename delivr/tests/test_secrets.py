"""The encrypted field: what is stored, what can open it, and what must fail."""

from __future__ import annotations

import copy
import io
import logging
import pickle
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.core.serializers import serialize
from django.db import connection, transaction
from django.db.models import F
from django.test import Client

from delivr.encryption.fields import MASK, SecretTextField, SecretUnreadable, secret_fields
from delivr.encryption.key_usage import measure_key_usage
from delivr.tests import factories
from integrations.models import FAMILIES, PipelineIntegration, ScmIntegration

pytestmark = pytest.mark.django_db

TOKEN = "ghp_the-plain-token"


@pytest.fixture
def scm(tenant: Any) -> ScmIntegration:
    return factories.ScmFactory(tenant=tenant, access_token=TOKEN)


@pytest.fixture
def keys(settings: Any) -> Any:
    """Set FERNET_KEYS as after a restart with another environment: fields forget their keys."""

    def forget() -> None:
        for model in FAMILIES.values():
            for field in secret_fields(model):
                for name in ("keys", "fernet_keys", "fernet"):
                    field.__dict__.pop(name, None)

    def change(*new: str) -> None:
        settings.FERNET_KEYS = list(new)
        forget()

    yield change
    forget()


def raw(row: Any, column: str = "access_token") -> bytes:
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} WHERE id = %s", [row.pk])  # noqa: S608 # ours
        return bytes(cursor.fetchone()[0])


def plant(row: Any, ciphertext: bytes, column: str = "access_token") -> None:
    table = row._meta.db_table
    value = connection.Database.Binary(ciphertext)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, row.pk])  # noqa: S608 # ours


def again(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


# --- Writing and reading -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["x", TOKEN, "ключ 🔑", "-----BEGIN\nlines\n", "a\x00b", "7" * 9000]
)
def test_a_secret_comes_back_as_it_was(tenant: Any, text: str) -> None:
    row = factories.ScmFactory(tenant=tenant, access_token=text)
    assert row.access_token.reveal() == text
    assert again(row).access_token.reveal() == text


def test_the_database_holds_no_plaintext(scm: ScmIntegration) -> None:
    assert TOKEN.encode() not in raw(scm)
    assert raw(scm).startswith(b"gAAAA")


def test_the_same_secret_twice_is_two_ciphertexts(scm: ScmIntegration) -> None:
    other = factories.ScmFactory(tenant=scm.tenant, access_token=TOKEN)
    assert raw(other) != raw(scm)


@pytest.mark.parametrize("nothing", ["", None])
def test_no_secret_is_null(tenant: Any, nothing: Any) -> None:
    row = factories.ScmFactory(tenant=tenant, access_token=nothing)
    assert again(row).access_token is None
    assert not ScmIntegration.objects.filter(access_token__isnull=False).exists()


def test_a_secret_is_masked_in_text(scm: ScmIntegration) -> None:
    for secret in (ScmIntegration(access_token=TOKEN).access_token, again(scm).access_token):
        shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret]  # noqa: UP031
        shown += [repr({"token": secret}), repr([secret])]
        assert all(TOKEN not in text for text in shown)
        assert MASK in str(secret)
        assert bool(secret) is True


def test_a_secret_stays_out_of_logs_and_dumps(scm: ScmIntegration, caplog: Any) -> None:
    row = again(scm)
    with caplog.at_level(logging.INFO):
        logging.getLogger("delivr").info("connection %s %r", row.__dict__, row.access_token)
    dump = serialize("json", [row])
    assert TOKEN not in caplog.text + dump
    assert raw(scm).decode() not in dump


@pytest.mark.parametrize("way", [pickle.dumps, copy.deepcopy])
def test_a_secret_cannot_be_pickled(scm: ScmIntegration, way: Any) -> None:
    with pytest.raises(TypeError, match="pickled"):
        way(again(scm).access_token)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(again(scm))


# --- A ciphertext can only be opened where it was created ----------------------------------------


def test_a_ciphertext_in_another_row_does_not_open(scm: ScmIntegration) -> None:
    thief = factories.ScmFactory(tenant=scm.tenant, access_token="mine")
    plant(thief, raw(scm))
    with pytest.raises(SecretUnreadable):
        again(thief).access_token.reveal()


def test_a_ciphertext_in_another_tenants_row_does_not_open(scm: ScmIntegration) -> None:
    thief = factories.ScmFactory(access_token="mine")
    plant(thief, raw(scm))
    with pytest.raises(SecretUnreadable):
        again(thief).access_token.reveal()


def test_a_ciphertext_in_another_field_does_not_open(tenant: Any) -> None:
    row = factories.PipelineFactory(tenant=tenant)
    plant(row, raw(row, "webhook_secret"), "api_token")
    with pytest.raises(SecretUnreadable):
        again(row).api_token.reveal()


def test_a_row_given_to_another_tenant_loses_its_secret(scm: ScmIntegration, stranger: Any) -> None:
    other = stranger.memberships.get().tenant
    ScmIntegration.objects.filter(pk=scm.pk).update(tenant=other)
    with pytest.raises(SecretUnreadable):
        again(scm).access_token.reveal()


def test_a_secret_handed_to_another_row_does_not_open_there(scm: ScmIntegration) -> None:
    thief = factories.ScmFactory(tenant=scm.tenant, access_token="mine")
    thief.access_token = again(scm).access_token
    thief.save()
    with pytest.raises(SecretUnreadable):
        again(thief).access_token.reveal()
    assert again(scm).access_token.reveal() == TOKEN


@pytest.mark.parametrize("ciphertext", [b"", b"garbage", b"gAAAAA" + b"x" * 90, b"\x00\xff"])
def test_a_damaged_ciphertext_fails_closed(scm: ScmIntegration, ciphertext: bytes) -> None:
    plant(scm, ciphertext)
    with pytest.raises(SecretUnreadable) as caught:
        again(scm).access_token.reveal()
    assert "FERNET_KEYS" in str(caught.value)


# --- Keys ----------------------------------------------------------------------------------------


def test_a_wrong_key_fails_closed_and_says_what_to_do(scm: ScmIntegration, keys: Any) -> None:
    keys("another-key-altogether")
    with pytest.raises(SecretUnreadable, match="FERNET_KEYS") as caught:
        again(scm).access_token.reveal()
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_pages_and_lists_render_without_the_key(
    scm: ScmIntegration, keys: Any, owner: Any, client_for: Any, api_for: Any
) -> None:
    api = api_for(scm.tenant)
    keys("another-key-altogether")
    answer = api.get("/api/v1/integrations/scm")
    assert answer.status_code == 200
    assert answer.json()["results"][0]["hasAccessToken"] is True
    assert api.get(f"/api/v1/integrations/scm/{scm.pk}").status_code == 200
    client: Client = client_for(owner)
    assert client.get("/integrations").status_code == 200
    page = client.get(f"/integrations/scm/{scm.pk}")
    assert page.status_code == 200
    assert "its key is missing" in page.content.decode()


def test_an_unreadable_webhook_secret_can_be_renewed(tenant: Any, keys: Any, api_for: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    api = api_for(tenant)
    keys("another-key-altogether")
    answer = api.post(f"/api/v1/integrations/pipelines/{pipeline.pk}/rotate-webhook-secret")
    assert answer.status_code == 200
    row = PipelineIntegration.objects.get(pk=pipeline.pk)
    assert row.webhook_secret.reveal() == answer.json()["webhookSecret"]
    assert row.previous_webhook_secret is None


def test_a_lost_key_makes_the_connection_invalid_in_words(
    scm: ScmIntegration, keys: Any, api_for: Any
) -> None:
    api = api_for(scm.tenant)
    keys("another-key-altogether")
    answer = api.post(f"/api/v1/integrations/scm/{scm.pk}/verify").json()
    assert answer["verificationStatus"] == "INVALID"
    assert [c["code"] for c in answer["checks"]] == ["secret_unreadable"]
    assert "FERNET_KEYS" in answer["verificationError"]


def test_readiness_fails_without_the_key(scm: ScmIntegration, keys: Any) -> None:
    measure_key_usage()
    assert Client().get("/readyz").status_code == 200
    keys("another-key-altogether")
    assert Client().get("/readyz").status_code == 503


def test_readiness_notices_a_missing_key_that_few_secrets_need(
    scm: ScmIntegration, keys: Any, tenant: Any, caplog: Any, monkeypatch: Any
) -> None:
    """The rows that a look at the first of each table would open are all fine."""
    monkeypatch.setattr("delivr.views._logged_at", {})
    keys("new-key", "only-for-tests-first-key")
    factories.ScmFactory.create_batch(3, tenant=tenant)
    measure_key_usage()
    keys("only-for-tests-first-key")
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    assert "FERNET_KEYS lacks a key" in caplog.text
    keys("only-for-tests-first-key", "new-key")
    assert Client().get("/readyz").status_code == 200


def test_readiness_costs_one_query_and_opens_no_secret(
    scm: ScmIntegration, django_assert_num_queries: Any
) -> None:
    measure_key_usage()
    with django_assert_num_queries(1) as seen:
        Client().get("/readyz")
    assert "key_probes" in seen.captured_queries[0]["sql"]


def test_readiness_logs_the_reason_once_a_minute(
    scm: ScmIntegration, keys: Any, caplog: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("delivr.views._logged_at", {})
    measure_key_usage()
    keys("another-key-altogether")
    for _ in range(5):
        assert Client().get("/readyz").status_code == 503
    assert caplog.text.count("Not ready") == 1


def test_a_loss_can_be_accepted_so_that_people_may_enter_credentials_again(
    scm: ScmIntegration, keys: Any
) -> None:
    keys("another-key-altogether")  # before the first measurement
    measure_key_usage()
    assert Client().get("/readyz").status_code == 503
    with pytest.raises(SystemExit):
        call_command("rotate_secrets", "--check", "--accept-loss", stdout=io.StringIO())
    measure_key_usage()
    assert Client().get("/readyz").status_code == 200
    row = again(scm)
    row.access_token = "ghp_entered_again"
    row.save()
    call_command("rotate_secrets", "--check", stdout=io.StringIO())


def test_the_probe_of_a_key_is_deleted_with_its_last_secret(scm: ScmIntegration, keys: Any) -> None:
    measure_key_usage()
    ScmIntegration.objects.update(access_token=None)
    keys("another-key-altogether")
    measure_key_usage()
    assert Client().get("/readyz").status_code == 200


def test_rotation_moves_a_secret_to_the_first_key(scm: ScmIntegration, keys: Any) -> None:
    keys("new-key", "only-for-tests-first-key")
    row = again(scm)
    row.access_token = row.access_token.rotated()
    row.save()
    keys("new-key")
    assert again(scm).access_token.reveal() == TOKEN


def test_rotation_without_the_old_key_changes_nothing(scm: ScmIntegration, keys: Any) -> None:
    before = raw(scm)
    keys("new-key")
    with pytest.raises(SecretUnreadable):
        again(scm).access_token.rotated()
    assert raw(scm) == before


def test_the_second_key_opens_and_the_first_encrypts(scm: ScmIntegration, keys: Any) -> None:
    keys("new-key", "only-for-tests-first-key")
    assert again(scm).access_token.reveal() == TOKEN
    newer = factories.ScmFactory(tenant=scm.tenant, access_token="newer")
    keys("only-for-tests-first-key")
    with pytest.raises(SecretUnreadable):
        again(newer).access_token.reveal()


# --- Writing by other ways than save() -----------------------------------------------------------


def test_an_unrelated_save_leaves_the_ciphertext_as_it_is(scm: ScmIntegration) -> None:
    before = raw(scm)
    row = again(scm)
    row.display_name = "another name"
    row.save()
    assert raw(scm) == before
    row.save(update_fields=["display_name"])
    assert raw(scm) == before


def test_a_deferred_secret_survives_a_save(scm: ScmIntegration) -> None:
    before = raw(scm)
    row = ScmIntegration.objects.defer("access_token").get(pk=scm.pk)
    row.display_name = "another name"
    row.save()
    assert raw(scm) == before
    assert row.access_token.reveal() == TOKEN


def test_bulk_update_encrypts_each_for_its_row(tenant: Any) -> None:
    rows = [factories.ScmFactory(tenant=tenant, access_token=f"old {n}") for n in range(3)]
    for number, row in enumerate(rows):
        row.access_token = f"new {number}"
    ScmIntegration.objects.bulk_update(rows, ["access_token"])
    assert [again(row).access_token.reveal() for row in rows] == ["new 0", "new 1", "new 2"]
    assert all(raw(row).startswith(b"gAAAA") for row in rows)


def test_bulk_create_encrypts_each_for_its_row(tenant: Any) -> None:
    made = [
        ScmIntegration(pk=f"scm_x_{n}", tenant=tenant, scm_type="GITHUB", access_token=f"s {n}")
        for n in range(3)
    ]
    ScmIntegration.objects.bulk_create(made)
    assert [again(row).access_token.reveal() for row in made] == ["s 0", "s 1", "s 2"]


@pytest.mark.parametrize("value", ["text", b"bytes", F("repository_url"), 7])
def test_update_refuses_anything_but_a_secret(scm: ScmIntegration, value: Any) -> None:
    before = raw(scm)
    with pytest.raises(FieldError), transaction.atomic():
        ScmIntegration.objects.filter(pk=scm.pk).update(access_token=value)
    assert raw(scm) == before


def test_update_copies_no_secret_between_columns(tenant: Any) -> None:
    row = factories.PipelineFactory(tenant=tenant)
    before = raw(row, "api_token")
    stolen = F("webhook_secret")
    with pytest.raises(FieldError), transaction.atomic():
        PipelineIntegration.objects.filter(pk=row.pk).update(api_token=stolen)
    assert raw(row, "api_token") == before


def test_update_can_delete_a_secret(scm: ScmIntegration) -> None:
    ScmIntegration.objects.filter(pk=scm.pk).update(access_token=None)
    assert again(scm).access_token is None


def test_an_unsaved_secret_has_no_ciphertext(tenant: Any) -> None:
    row = ScmIntegration(tenant=tenant, scm_type="GITHUB", access_token=TOKEN)
    assert row.access_token.reveal() == TOKEN
    with pytest.raises(FieldError):
        ScmIntegration.objects.filter(tenant=tenant).update(access_token=row.access_token)


def test_every_secret_of_a_connection_is_an_encrypted_field() -> None:
    suspicious = ("token", "secret", "api_key", "service_account", "password")
    for model in FAMILIES.values():
        for field in model._meta.get_fields():
            if any(field.name.endswith(word) for word in suspicious):
                assert isinstance(field, SecretTextField), field.name


def test_the_form_field_never_shows_what_is_stored(scm: ScmIntegration) -> None:
    field = ScmIntegration._meta.get_field("access_token").formfield()
    assert TOKEN not in str(field.widget.render("access_token", TOKEN))


def test_tests_run_with_keys_of_their_own(settings: Any) -> None:
    with pytest.raises(ValueError, match="Fernet key"):
        Fernet(settings.FERNET_KEYS[0])
