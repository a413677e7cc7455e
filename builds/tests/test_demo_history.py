"""A past release of the demo says everywhere that it is past."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.demo.history import PastRelease, date_back
from builds.models import Build, Source
from builds.tests.polling import running
from builds.updates.apply import BuildUpdate, apply_update
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.providers.ci import BuildStatus
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]

PAST = PastRelease("1.5.1", 10, ("SUCCESS",), minutes=20)


def dates_of(row: Any) -> dict[str, datetime]:
    """All its times that are set."""
    names = [field.attname for field in row._meta.concrete_fields]
    found = {name: getattr(row, name) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, datetime)}


def test_nothing_of_a_past_release_has_todays_date(build: Build, sandbox: Any) -> None:
    build = running(build)
    sandbox.state.jenkins.finish("ios-prod", build.number, "SUCCESS")
    number = {"queue_id": build.queue_id, "number": build.number}
    told = BuildUpdate(status=BuildStatus.SUCCESS, source=Source.WEBHOOK, **number)
    apply_update(build.pk, told)  # the poll that confirms it comes after the release was moved
    received = factories.DeliveryFactory(pipeline=build.pipeline, build=build)
    release = Release.objects.get()
    Release.objects.update(branch_checked_at=timezone.now())

    date_back(release, PAST)

    late = BuildUpdate(
        status=BuildStatus.SUCCESS, source=Source.POLL, started_at=timezone.now(), **number
    )
    apply_update(build.pk, late)
    build = fresh(build)
    assert build.finished_at is not None
    assert build.started_at is not None
    assert build.finished_at - build.started_at == timedelta(minutes=PAST.minutes)
    moved = dates_of(build) | dates_of(fresh(release)) | dates_of(fresh(received))
    assert {"branch_checked_at", "received_at", "server_started_at"} <= moved.keys()
    recent = timezone.now() - timedelta(days=8)
    assert {name for name, at in moved.items() if at > recent} == set()
