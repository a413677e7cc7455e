"""The CI files of the GitLab stand-in, and how GitLab reads them.

https://docs.gitlab.com/ci/yaml/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

PATH = ".gitlab-ci.yml"
MOST_INPUTS = 20
KEYWORDS = ("default", "include", "stages", "variables", "workflow", "spec")
_VALUE = re.compile(r"\$\[\[\s*inputs\.([A-Za-z0-9_-]+)\s*\]\]")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_RULE = re.compile(r'\$CI_PIPELINE_SOURCE == "(\w+)"')


class Refused(Exception):
    """GitLab's words for why no pipeline is created."""


class _Loader(yaml.SafeLoader):
    """Takes GitLab's own tags, such as `!reference`, for lists."""


_Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]


@dataclass
class CiFile:
    """`text` is the file on every branch that `texts` does not name; None there: it is missing."""

    text: str
    path: str = PATH
    texts: dict[str, str | None] = field(default_factory=dict)

    def text_on(self, ref: str) -> str | None:
        return self.texts.get(ref, self.text)


@dataclass
class Read:
    """A CI file with its inputs and variables put in."""

    name: str
    stages: list[str]
    jobs: dict[str, dict[str, Any]]


def read(text: str, inputs: dict[str, Any], variables: dict[str, str], *, source: str) -> Read:
    """Raises Refused."""
    header, body = _parts(text)
    values = _checked((header.get("spec") or {}).get("inputs") or {}, inputs)
    content = _loaded(_VALUE.sub(lambda found: _as_text(values.get(found[1], found[0])), body))
    workflow = content.get("workflow") or {}
    if not _fits(workflow.get("rules"), source):
        raise Refused("Pipeline filtered out by workflow rules.")
    name = _VARIABLE.sub(
        lambda found: variables.get(found[1], ""), str(workflow.get("name") or "")
    ).strip()
    stages = content.get("stages") or ["build", "test", "deploy"]
    named = {n: about for n, about in content.items() if n not in KEYWORDS and n[0] != "."}
    jobs = {n: about for n, about in named.items() if _fits(about.get("rules"), source)}
    if not jobs:
        raise Refused(
            "Pipeline will not run for the selected trigger. The rules configuration prevented "
            "any jobs from being added to the pipeline."
        )
    return Read(name, [str(stage) for stage in stages], jobs)


def _parts(text: str) -> tuple[dict[str, Any], str]:
    """The header, and what follows its `---`."""
    first, mark, rest = text.partition("\n---\n")
    if not mark or not first.startswith("spec:"):
        return {}, text
    return _loaded(first), rest


def _loaded(text: str) -> dict[str, Any]:
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 -- a SafeLoader
    except yaml.YAMLError as error:
        raise Refused(f"Invalid configuration format: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise Refused("Invalid configuration format")
    return found


def _fits(rules: Any, source: str) -> bool:
    """Of GitLab's rules the stand-in knows where the pipeline comes from."""
    if not rules:
        return True
    wanted = [_RULE.fullmatch(str(rule.get("if", ""))) for rule in rules]
    return any(found is None or found[1] == source for found in wanted)


def _checked(declared: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    if len(given) > MOST_INPUTS:
        raise Refused(f"There are too many inputs, the maximum is {MOST_INPUTS}.")
    if unknown := sorted(given.keys() - declared.keys()):
        raise Refused(
            f"Given inputs not defined in the `spec` section of the included "
            f"configuration file: {', '.join(unknown)}"
        )
    return {name: _value(name, about or {}, given) for name, about in declared.items()}


def _value(name: str, about: dict[str, Any], given: dict[str, Any]) -> Any:
    if name not in given:
        if "default" not in about:
            raise Refused(f"`{name}` input: required value has not been provided")
        return about["default"]
    value, kind = given[name], about.get("type", "string")
    types: dict[str, Any] = {"string": str, "boolean": bool, "number": (int, float), "array": list}
    is_bool = isinstance(value, bool) and kind != "boolean"
    if not isinstance(value, types[kind]) or is_bool:
        raise Refused(f"`{name}` input: provided value is not a {kind}")
    if about.get("options") and value not in about["options"]:
        options = ", ".join(map(str, about["options"]))
        raise Refused(
            f"`{name}` input: `{value}` cannot be used because it is not in the list of "
            f"allowed options: {options}"
        )
    if about.get("regex") and not re.search(about["regex"], str(value)):
        raise Refused(f"`{name}` input: provided value does not match required RegEx pattern")
    return value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_BUILD = """\
stages: [build, publish]
build:
  stage: build
  script: make release
  artifacts: {paths: [out/]}
"""

WITH_INPUTS = f"""\
spec:
  inputs:
    version: {{}}
    delivr_build_id: {{default: ""}}
    track:
      options: [internal, production]
      default: internal
      description: Where it goes
    upload: {{type: boolean, default: false}}
    level: {{type: number, default: 1}}
    markets: {{type: array, default: []}}
---
workflow:
  name: Build $[[ inputs.version ]] $[[ inputs.delivr_build_id ]]
{_BUILD}"""

WITH_VARIABLES = f"workflow:\n  name: Build $VERSION\n{_BUILD}"

MANUAL = f"""\
{WITH_VARIABLES}approve:
  stage: publish
  script: make publish
  when: manual
  allow_failure: false
"""

WITH_CHILD = """\
stages: [build, publish]
build:
  stage: build
  trigger: {include: apps.yml, strategy: depend}
"""

ONLY_PUSHED = f"""\
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "push"
{_BUILD}"""

RETRIED = f"{WITH_VARIABLES}  retry: 1\n"
OPTIONAL = f"{WITH_VARIABLES}lint:\n  stage: publish\n  script: make lint\n  allow_failure: true\n"
EXCLUSIVE = f"{WITH_VARIABLES}  resource_group: signing\n"
DELAYED = (
    f"{WITH_VARIABLES}later:\n  stage: publish\n  script: x\n  when: delayed\n  start_in: 1 hour\n"
)
