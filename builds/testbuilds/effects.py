"""The effects that trigger and stop a test build."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from builds.cancelling import Stop
from builds.effects import (
    as_result,
    as_update,
    check_absent,
    ci_of,
    commit_of,
    reported,
    request_of,
    search,
    tell_commit,
)
from builds.models import TestBuild
from builds.testbuilds import operations as testing
from delivr.effects.handlers import EffectHandler, Unneeded
from delivr.effects.models import Effect
from delivr.effects.operations import wake
from integrations.providers.ci import BuildStatus
from integrations.providers.templates import needs_commit
from releases.branches import require_branch


class StartTest(EffectHandler):
    """Triggers a test build. It expires early, because a person is waiting for the result."""

    is_awaited = True
    expires_after = timedelta(minutes=10)

    def prepare(self, effect: Effect) -> None:
        test = _tested(effect)
        if test.status != BuildStatus.TRIGGERING or test.pipeline.disconnected_at:
            raise Unneeded
        given = {"version": test.parameters["VERSION"], "branch": test.parameters["BRANCH"]}
        head = require_branch(test.pipeline.scm, given["branch"])
        if needs_commit(test.pipeline.parameters):
            commit = commit_of(head)
            tell_commit(test, testing.parameters_for_test(test, **given, commit=commit))

    def send(self, effect: Effect) -> dict[str, Any]:
        test = _tested(effect)
        return as_result(ci_of(test).trigger(request_of(test)))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        test = _tested(effect)
        if test.pipeline.silence is not None:
            return as_result(reported(test, effect, settle=self.settle))
        state = search(test)
        return as_result(state) if state else None

    def check_absent(self, effect: Effect) -> None:
        check_absent(_tested(effect))

    def lock(self, effect: Effect) -> None:
        testing.lock_test(_test_id(effect))

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        testing.apply_test_update(_test_id(effect), as_update(result))
        self._wake_stop(effect)

    def gave_up(self, effect: Effect) -> None:
        testing.test_failed(_test_id(effect), error=effect.last_error, hint=effect.last_error_hint)
        self._wake_stop(effect)

    def _wake_stop(self, effect: Effect) -> None:
        """If it was cancelled in the meantime, the effect that stops it waits for this."""
        mine = Effect.objects.for_tenant(effect.tenant_id)
        wake(mine.filter(dedupe_key=f"test:{_test_id(effect)}:stop", last_error_code=""))

    def revive(self, effect: Effect) -> None:
        raise ValidationError({"state": [_("Start a new test build on its pipeline's page.")]})


class StopTest(Stop):
    def build_of(self, effect: Effect) -> TestBuild:
        return _tested(effect)

    def trigger_key(self, effect: Effect) -> str:
        return f"test:{_test_id(effect)}:trigger"

    def prepare(self, effect: Effect) -> None:
        if _tested(effect).pipeline.disconnected_at:
            raise Unneeded
        super().prepare(effect)


def _test_id(effect: Effect) -> str:
    return str(effect.payload["testBuildId"])


def _tested(effect: Effect) -> TestBuild:
    tests = TestBuild.objects.for_tenant(effect.tenant_id).select_related("pipeline__scm")
    found: TestBuild = tests.get(pk=_test_id(effect))
    return found
