"""A trigger that arrived twice: the second build with our id is stopped, where it is ours."""

from __future__ import annotations

from typing import Any

from builds.effects import ci_of, connected_build
from delivr.audit.operations import record
from delivr.effects.handlers import EffectHandler
from delivr.effects.models import Effect
from integrations.providers.base import Repeat


class StopRepeat(EffectHandler):
    """The CI server says whether we alone can have started it. Doing it twice does no harm."""

    send_again_when_uncertain = True

    def send(self, effect: Effect) -> dict[str, Any]:
        build, number = connected_build(effect), effect.payload["number"]
        outcome = ci_of(build).stop_repeat(number=number, build_id=build.pk)
        return {"outcome": outcome}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        if result["outcome"] == Repeat.STOPPED:
            record(
                tenant=effect.tenant,
                actor=None,
                action="build.repeat_stopped",
                subject=connected_build(effect),
                changes={"number": [effect.payload["number"], None]},
            )
