"""What stands in the way is looked up when the builds are complete, and again while that helps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from delivr.effects import clock
from delivr.failures import Outcome, ProviderError
from integrations.providers.base import Check
from releases.models import Release, ReleasePipeline
from releases.operations import recompute
from releases.tests.pages import Setup
from submissions import preflight
from submissions.models import Preflight
from submissions.tests.app_store.provider import FakeStore

pytestmark = pytest.mark.django_db
BUSY = replace(Check.failed("build", "processing", "Still processing."), is_temporary=True)


@pytest.fixture
def row(store: type[FakeStore], setup: Setup, release: Release) -> Preflight:
    found: Preflight = Preflight.objects.get(release_target__target=setup.ios)
    return found


def look(row: Preflight) -> Preflight:
    preflight.check(str(row.pk))
    row.refresh_from_db()
    return row


def test_complete_builds_have_it_looked_up(setup: Setup, row: Preflight) -> None:
    assert {str(pk) for pk in Preflight.objects.values_list("pk", flat=True)} == set(
        preflight.due()
    )
    assert preflight.due() == []  # claimed
    assert look(row).is_ready
    assert row.look_at is None


def test_unfinished_builds_have_nothing_looked_up(setup: Setup, release: Release) -> None:
    Preflight.objects.all().delete()
    part = ReleasePipeline.objects.filter(release=release, pipeline=setup.ios_job)
    part.update(build_status="RUNNING")
    recompute(release, cause="test")
    preflight.ask(release)
    assert [row.release_target.target for row in Preflight.objects.all()] == [setup.android]


def test_what_passes_by_itself_is_looked_up_again(store: type[FakeStore], row: Preflight) -> None:
    store.checks_found = [BUSY]
    assert not look(row).is_ready
    assert row.look_at is not None


def test_what_a_person_must_mend_is_not_looked_up_again(
    store: type[FakeStore], row: Preflight
) -> None:
    store.checks_found = [BUSY, Check.failed("contact", "missing", "The contact is missing.")]
    assert look(row).look_at is None


def test_it_is_not_looked_up_for_ever(store: type[FakeStore], row: Preflight) -> None:
    Release.objects.update(completed_at=clock.now() - timedelta(days=2))
    store.checks_found = [BUSY]
    assert look(row).look_at is None


def test_a_store_that_does_not_respond_is_told_and_asked_again(
    store: type[FakeStore], row: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: FakeStore, plan: object) -> None:
        raise ProviderError("timeout", "No response.", "Wait.", outcome=Outcome.NOT_SENT)

    monkeypatch.setattr(store, "preflight", fails)
    assert [check["message"] for check in look(row).checks] == ["No response."]
    assert row.look_at is not None
