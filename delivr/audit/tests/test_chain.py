"""Sealed rows cannot be changed, removed, inserted, moved or cut off without being noticed."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from delivr.audit.chain import GENESIS, SEALED_WITHIN, Head, check, check_all
from delivr.audit.models import AuditEvent, AuditSeal
from delivr.audit.operations import record, record_each
from delivr.audit.sealing import due, seal, seal_everything, unsealed
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests import factories
from delivr.tests.tampering import tampering

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


def write(tenant: Any, number: int = 5) -> list[AuditEvent]:
    """That many sealed rows of the tenant, oldest first."""
    for n in range(number):
        record(tenant=tenant, actor=None, action="x", changes={"n": [n, {"ü": [1.5, None]}]})
    seal()
    return list(AuditEvent.objects.for_tenant(tenant).order_by("pk"))


def codes(tenant: Any, known: Head | None = None) -> list[tuple[int, str]]:
    return [(f.seq, f.code) for f in check(tenant.pk, known).findings]


def test_each_tenant_has_a_chain_of_its_own(tenant: Any) -> None:
    other = factories.TenantFactory()
    write(tenant, 3)
    write(other, 2)
    write(tenant, 1)
    for one, number in ((tenant, 4), (other, 2)):
        seals = list(AuditSeal.objects.for_tenant(one).order_by("seq"))
        assert [s.seq for s in seals] == list(range(1, number + 1))
        assert [s.previous for s in seals] == [GENESIS, *(s.hash for s in seals[:-1])]
        assert check(one.pk).head == Head(number, seals[-1].hash)
        assert codes(one) == []


def test_a_row_is_sealed_by_the_sweeper(tenant: Any, owner: Any) -> None:
    releases = [factories.ReleaseFactory(tenant=tenant) for _n in range(3)]
    record_each(tenant=tenant, actor=owner, action="build.triggered", subjects=releases)
    assert due() == ["all"]
    sweep_until_idle()
    assert AuditSeal.objects.for_tenant(tenant).count() == 3
    assert due() == []


def test_rows_older_than_the_chain_are_sealed_in_order(tenant: Any) -> None:
    for _n in range(4):
        record(tenant=tenant, actor=None, action="x")
    assert seal_everything() == 4
    order = AuditSeal.objects.order_by("seq").values_list("event_id", flat=True)
    assert list(order) == sorted(order)


def test_a_row_that_commits_late_is_sealed(tenant: Any) -> None:
    """Its id is lower than one that is already sealed."""
    late = record(tenant=tenant, actor=None, action="late")
    early = record(tenant=tenant, actor=None, action="early")
    rows: Any = AuditEvent.objects.filter(pk=early.pk)
    from delivr.audit.sealing import seal_batch

    seal_batch(rows)
    assert list(unsealed()) == [late]
    seal()
    assert codes(tenant) == []
    assert AuditSeal.objects.get(event=late).seq == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action", "build.cancelled"),
        ("actor_label", "somebody.else@example.com"),
        ("actor_id", 4711),
        ("subject_id", "rel_other"),
        ("subject_label", "other"),
        ("changes", {}),
        ("at", timezone.now()),
    ],
)
def test_a_changed_column_is_found(tenant: Any, column: str, value: Any) -> None:
    third = write(tenant)[2]
    with tampering():
        AuditEvent.objects.filter(pk=third.pk).update(**{column: value})
    assert codes(tenant) == [(3, "changed")]


def test_a_removed_row_is_found(tenant: Any) -> None:
    third = write(tenant)[2]
    with tampering(foreign_keys=False):
        AuditEvent.objects.filter(pk=third.pk)._raw_delete("default")
    assert codes(tenant) == [(3, "removed")]
    with tampering():  # so that the database is consistent again at the end of the test
        AuditSeal.objects.filter(event_id=third.pk).delete()


def test_a_row_removed_together_with_its_seal_is_found(tenant: Any) -> None:
    third = write(tenant)[2]
    with tampering():
        AuditSeal.objects.filter(event=third).delete()
        AuditEvent.objects.filter(pk=third.pk).delete()
    assert codes(tenant) == [(4, "gap")]


def test_a_gap_that_was_closed_by_renumbering_is_found(tenant: Any) -> None:
    third = write(tenant)[2]
    with tampering():
        AuditSeal.objects.filter(event=third).delete()
        for seq in (4, 5):
            AuditSeal.objects.filter(tenant=tenant, seq=seq).update(seq=seq - 1)
    assert (3, "broken") in codes(tenant)


def test_swapped_rows_are_found(tenant: Any) -> None:
    rows = write(tenant)
    second, third = AuditSeal.objects.get(event=rows[1]), AuditSeal.objects.get(event=rows[2])
    with tampering():
        AuditSeal.objects.filter(pk=second.pk).delete()
        AuditSeal.objects.filter(pk=third.pk).update(event=rows[1])
        second.event = rows[2]
        second.save(force_insert=True)
    assert codes(tenant) == [(2, "changed"), (3, "changed")]


def test_a_row_inserted_in_the_middle_is_found(tenant: Any) -> None:
    write(tenant)
    forged = record(tenant=tenant, actor=None, action="forged")
    third = AuditSeal.objects.get(tenant=tenant, seq=3)
    with tampering():
        for seq in (5, 4, 3):
            AuditSeal.objects.filter(tenant=tenant, seq=seq).update(seq=seq + 1)
        third.pk, third.event, third.seq = None, forged, 3
        third.save(force_insert=True)
    assert {code for _seq, code in codes(tenant)} == {"changed", "broken"}


def test_a_cut_off_end_is_found_with_a_known_head(tenant: Any) -> None:
    rows = write(tenant)
    known = check(tenant.pk).head
    with tampering():
        AuditSeal.objects.filter(event__in=rows[3:]).delete()
        AuditEvent.objects.filter(pk__in=[row.pk for row in rows[3:]]).delete()
    assert codes(tenant) == [], "from within nothing tells"
    assert codes(tenant, known) == [(5, "truncated")]


def test_a_rewritten_chain_is_found_with_a_known_head(tenant: Any) -> None:
    second = write(tenant)[1]
    known = check(tenant.pk).head
    with tampering():
        AuditSeal.objects.for_tenant(tenant).delete()
        AuditEvent.objects.filter(pk=second.pk).update(action="forged")
    seal_everything()
    assert codes(tenant) == [], "from within nothing tells"
    assert codes(tenant, known) == [(5, "rewritten")]


def test_a_deleted_chain_is_found_with_a_known_head(tenant: Any) -> None:
    write(tenant)
    known = {tenant.pk: check(tenant.pk).head}
    with tampering():
        AuditSeal.objects.all().delete()
        AuditEvent.objects.all().delete()
    assert [f.code for c in check_all(known) for f in c.findings] == ["truncated"]


def test_a_row_that_was_never_sealed_is_found(tenant: Any) -> None:
    old = record(tenant=tenant, actor=None, action="x")
    with tampering():
        AuditEvent.objects.filter(pk=old.pk).update(at=timezone.now() - 2 * SEALED_WITHIN)
    assert codes(tenant) == [(0, "unsealed")]


def test_rows_outlive_their_users_and_workspaces(tenant: Any, owner: Any) -> None:
    record(tenant=tenant, actor=owner, action="x", subject=owner)
    seal()
    gone = owner.pk
    owner.delete()
    tenant_id = tenant.pk
    tenant.delete()
    [event] = AuditEvent.objects.filter(tenant_id=tenant_id)
    assert event.actor_id == gone
    assert check(tenant_id).findings == []


# --- The command ----------------------------------------------------------------------------------


def verify(*args: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("audit_verify", "--json", *args, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_command_accepts_the_heads_that_it_printed(tenant: Any, tmp_path: Any) -> None:
    record(tenant=tenant, actor=None, action="x")
    first = verify("--seal")
    assert first["intact"] is True
    assert first["heads"][tenant.pk]["seq"] == 1
    kept = tmp_path / "heads.json"
    kept.write_text(json.dumps(first))
    write(tenant)
    assert verify("--heads", str(kept))["heads"][tenant.pk]["seq"] == 6


def test_command_reports_findings_and_fails(tenant: Any) -> None:
    first = write(tenant)[0]
    write(factories.TenantFactory())
    with tampering():
        AuditEvent.objects.filter(pk=first.pk).update(action="forged")
    out = io.StringIO()
    with pytest.raises(CommandError, match="was changed"):
        call_command("audit_verify", stdout=out)
    assert f"{tenant.pk}: 1 findings" in out.getvalue()
    assert "1 changed: The row" in out.getvalue()
    assert ": intact, up to 5 " in out.getvalue()
    with pytest.raises(CommandError):
        call_command("audit_verify", "--json", "--tenant", tenant.pk, stdout=io.StringIO())


def test_command_refuses_a_file_without_heads(tmp_path: Any) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"heads": {"a": 1}}')
    with pytest.raises(CommandError, match="not the output"):
        call_command("audit_verify", "--heads", str(bad))


# --- Concurrency ----------------------------------------------------------------------------------


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_writers_and_sealers_at_once_leave_one_chain(tenant: Any) -> None:
    stop = threading.Event()

    def run(work: Any) -> None:
        try:
            work()
        finally:
            connection.close()

    def write_many() -> None:
        for _n in range(50):
            record(tenant=tenant, actor=None, action="x")

    def keep_sealing() -> None:
        while not stop.is_set():
            seal()

    sealers = [threading.Thread(target=run, args=(keep_sealing,)) for _n in range(3)]
    writers = [threading.Thread(target=run, args=(write_many,)) for _n in range(4)]
    for thread in (*sealers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in sealers:
        thread.join()
    seal()
    assert check(tenant.pk).rows == 200
    assert codes(tenant) == []
