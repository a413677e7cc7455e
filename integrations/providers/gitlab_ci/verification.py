"""The checks of a GitLab CI connection, after those of its project. They only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..base import Check, Outcome, ProviderError
from ..ci import OURS, BuildRequest
from ..gitlab.project import Project
from ..json_values import moment
from ..templates import TRIED, TRIED_BUILD
from .source import OLDEST, Setup, Source
from .trigger import payload_for

HOOKS = 100


class Verification:
    """`hook_path`: the end of the address to which the project's webhook is sent."""

    def __init__(
        self, project: Callable[[], Project], parameters: Mapping[str, str], hook_path: str
    ) -> None:
        self._make_project = project
        self._parameters = parameters
        self._hook_path = hook_path

    def version(self) -> list[Check]:
        self._project = self._make_project()
        self._source = Source(self._project)
        major, minor = self._source.version()
        if (major, minor) < OLDEST:
            raise ProviderError.refused(
                "too_old",
                f"This is GitLab {major}.{minor}; delivr needs {OLDEST[0]}.{OLDEST[1]} or newer.",
                "Update GitLab.",
            )
        return []

    def ci_file(self) -> list[Check]:
        """It is there on the default branch, and can be read."""
        self._setup: Setup = self._source.setup()
        return []

    def parameters(self) -> list[Check]:
        """What is sent with each build, tried on the file of the default branch."""
        given = {**TRIED, **self._parameters}
        payload_for(
            self._setup,
            BuildRequest(
                build_id=TRIED_BUILD,
                version=TRIED["VERSION"],
                branch=TRIED["BRANCH"],
                platform="",
                parameters=given,
            ),
        )
        if self._setup.file.includes_inputs:
            return [_INPUTS_ELSEWHERE]
        if self._setup.file.takes_inputs and self._setup.file.declared(OURS[0]) is None:
            return [_NO_VERSION]
        return []

    def correlation(self) -> list[Check]:
        return [] if self._setup.carries_build_id else [_NO_BUILD_ID]

    def webhook(self) -> list[Check]:
        """https://docs.gitlab.com/user/project/integrations/webhooks/#auto-disabled-webhooks"""
        try:
            hooks = self._project.get("/hooks", per_page=HOOKS)
        except ProviderError as error:
            if error.outcome not in (Outcome.CREDENTIALS, Outcome.REFUSED):
                raise
            return [Check.untested("webhook", _HOOKS_HIDDEN)]
        listed = [one for one in hooks if isinstance(one, dict)] if isinstance(hooks, list) else []
        ours = [one for one in listed if str(one.get("url")).endswith(self._hook_path)]
        if not ours:
            return [Check.untested("webhook", _NO_HOOK)]
        alert = next(
            (one for one in ours if one.get("alert_status") not in (None, "executable")), None
        )
        if alert is not None:
            return [_switched_off(alert)]
        return [] if any(one.get("pipeline_events") for one in ours) else [_NO_EVENTS]


_INPUTS_ELSEWHERE = Check.warning(
    "parameters",
    "inputs_elsewhere",
    "The CI file takes inputs from other files (spec: include), which delivr does not read. It "
    "sends only those that the file itself declares.",
    "Declare version, branch, delivr_build_id and whatever is entered here in the file's own spec: "
    "inputs.",
)
_NO_VERSION = Check.warning(
    "parameters",
    "no_version",
    "The CI file declares no input version: it builds the branch without knowing the version.",
    "Declare the input version in its header, unless the version is in a file.",
)
_NO_BUILD_ID = Check.warning(
    "correlation",
    "no_build_id",
    "The pipelines' names do not contain the input delivr_build_id: when GitLab's answer gets "
    "lost, delivr may have to ask a person which pipeline is which.",
    "Declare the input delivr_build_id with an empty default, and set workflow: name: "
    "Build $[[ inputs.version ]] $[[ inputs.delivr_build_id ]]",
)
_HOOKS_HIDDEN = (
    "GitLab shows webhooks to maintainers only. If it switches this one off after failures, delivr "
    "still asks GitLab how pipelines are, a little later."
)
_NO_HOOK = (
    "The project has no webhook for this pipeline: delivr asks GitLab how pipelines are, a little "
    "later."
)
_NO_EVENTS = Check.warning(
    "webhook",
    "no_pipeline_events",
    "The project's webhook does not send pipeline events, so delivr learns of changes a little "
    "later.",
    "Tick Pipeline events in GitLab under Settings > Webhooks.",
)


def _switched_off(hook: Mapping[str, object]) -> Check:
    until = moment(hook.get("disabled_until"))
    is_temporary = hook.get("alert_status") == "temporarily_disabled" and until is not None
    how = f"until {until:%Y-%m-%d %H:%M} UTC" if is_temporary else "for good"
    return Check.warning(
        "webhook",
        "webhook_switched_off",
        f"GitLab switched the project's webhook off {how}, because it failed too often. Until it "
        "is on again, delivr asks GitLab how pipelines are, a little later.",
        "Look at its recent events in GitLab under Settings > Webhooks, and send a test event: the "
        "first one that arrives switches it on again.",
    )
