"""Valid and invalid values of new releases."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from builds.models import Build
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tests.wired import Wired
from releases.models import Release, ReleasePipeline, ReleaseTarget
from releases.operations import create_release

NOWHERE = "http://127.0.0.1:1"
TABLES = (Release, ReleaseTarget, ReleasePipeline, Effect, Build, AuditEvent)
VERSION_WORDS = "Use up to 64 letters, digits and . + _ - and begin with a letter or digit."


def values_of(wired: Wired, **changes: Any) -> dict[str, Any]:
    return {
        "tenant": wired.tenant,
        "actor": None,
        "version": "1.5.0",
        "scm_id": wired.scm.pk,
        "target_ids": [t.pk for t in wired.targets.values()],
        "pipeline_ids": [p.pk for p in wired.pipelines.values()],
        "communication_ids": [wired.slack.pk],
        "ticket_id": wired.jira.pk,
        **changes,
    }


def errors_of(wired: Wired, **changes: Any) -> dict[str, list[str]]:
    """The errors of a refused release; also checks that nothing was written."""
    before = [model.objects.count() for model in TABLES]
    with pytest.raises(ValidationError) as error:
        create_release(**values_of(wired, **changes))
    assert [model.objects.count() for model in TABLES] == before
    found: dict[str, list[str]] = error.value.message_dict
    return found


def invalid(row: Any, status: str = "INVALID") -> Any:
    type(row).objects.filter(pk=row.pk).update(verification_status=status)
    return row
