"""Reads a project's CI file: the inputs that its header declares, and whether its pipelines' names
carry our id.

https://docs.gitlab.com/ci/inputs/
https://docs.gitlab.com/ci/yaml/#workflowname
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..yaml_texts import yaml_documents

MAX_FILE = 512 * 1024  # bytes
MAX_INPUTS = 200  # read
MAX_OPTIONS = 1000
MAX_NAME = 1000  # characters of a pipeline's name that are read: long ones are slow to search
BUILD_ID = "delivr_build_id"
_INPUT_IN_NAME = re.compile(r"\$\[\[\s*inputs\.([A-Za-z0-9_-]+)[^\]]*\]\]")
_VARIABLE_IN_NAME = re.compile(r"\$(?:DELIVR_BUILD_ID\b|\{DELIVR_BUILD_ID\})")


@dataclass(frozen=True, kw_only=True)
class Input:
    """`default` is None where there is none: then it has to be given."""

    name: str
    kind: str = "string"  # string, number, boolean or array
    default: str | None = None
    options: Sequence[str] = ()
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class CiFile:
    """`inputs` by name. `includes_inputs`: it takes more of them from other files, which are not
    read: https://docs.gitlab.com/ci/inputs/#define-pipeline-inputs-in-external-files"""

    inputs: Mapping[str, Input] = field(default_factory=dict)
    includes_inputs: bool = False
    name: str = ""  # of its pipelines, with what stands for values

    @property
    def takes_inputs(self) -> bool:
        """False: it takes variables, of any name."""
        return bool(self.inputs)

    @property
    def names_build_id(self) -> bool:
        """True if a pipeline's name tells our id."""
        ours = self.declared(BUILD_ID)
        if ours is None:
            return not self.takes_inputs and bool(_VARIABLE_IN_NAME.search(self.name))
        return ours.name in _INPUT_IN_NAME.findall(self.name)

    def declared(self, name: str) -> Input | None:
        """The input of this name, or else of this name in another case."""
        wanted = name.casefold()
        alike = (one for one in self.inputs.values() if one.name.casefold() == wanted)
        return self.inputs.get(name) or next(alike, None)


def parse_ci_file(text: bytes) -> CiFile:
    """Raises ValueError with a sentence for people if its first document cannot be read.

    https://docs.gitlab.com/ci/yaml/#header-keywords
    """
    documents = yaml_documents(text, longest=MAX_FILE)
    first = _mapping(next(documents, None))
    if first is None:
        raise ValueError("It is no CI file.")
    rest = _after_header(documents)
    if "spec" not in first or rest is None:
        return CiFile(name=_name(first))
    spec = _mapping(first["spec"]) or {}
    return CiFile(
        inputs=_inputs(spec.get("inputs")),
        includes_inputs=bool(spec.get("include")),
        name=_name(rest),
    )


def _after_header(documents: Iterator[Any]) -> dict[str, Any] | None:
    """What follows the first `---`: None if nothing does. It may be invalid as YAML before the
    inputs are put in."""
    try:
        return _mapping(next(documents, None))
    except ValueError:
        return {}


def _name(content: Mapping[str, Any]) -> str:
    workflow = _mapping(content.get("workflow")) or {}
    return _text(workflow.get("name"))[:MAX_NAME]


def _inputs(declared: Any) -> dict[str, Input]:
    named = list((_mapping(declared) or {}).items())
    if len(named) > MAX_INPUTS:
        raise ValueError(f"It declares more than {MAX_INPUTS} inputs.")
    return {name: _input(name, about) for name, about in named}


def _input(name: str, about: Any) -> Input:
    facts = _mapping(about) or {}
    options = facts.get("options")
    listed = options if isinstance(options, list) else []
    default = facts.get("default")
    return Input(
        name=name,
        kind=_text(facts.get("type")) or "string",
        default=None if "default" not in facts else _default(default),
        options=tuple(_text(option) for option in listed[:MAX_OPTIONS]),
        description=_text(facts.get("description")),
    )


def _default(value: Any) -> str:
    """As a person enters it: a list as JSON."""
    return json.dumps(value) if isinstance(value, list) else _text(value)


def _mapping(value: Any) -> dict[str, Any] | None:
    """With its names that are texts; None for what is no mapping."""
    if not isinstance(value, dict):
        return None
    return {name: about for name, about in value.items() if isinstance(name, str)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
