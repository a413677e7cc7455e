"""Reads a workflow file: whether it has a workflow_dispatch trigger, with which inputs, and whether
the names of its runs contain our id.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..yaml_texts import yaml_documents

MAX_FILE = 256 * 1024  # bytes
MAX_INPUTS = 100  # read; GitHub refuses a file with more than 25
MAX_OPTIONS = 1000
MAX_NAME = 1000  # characters of a run's name that are read: long ones are slow to search
BUILD_ID = "delivr_build_id"
_OUR_INPUT = re.compile(
    r"\$\{\{(?:(?!\}\}).)*\b(?:github\.event\.)?inputs(?:\.delivr_build_id\b|\[['\"]delivr_build_id['\"]\])",
    re.IGNORECASE,
)
_EXPRESSION = re.compile(r"\$\{\{")


@dataclass(frozen=True, kw_only=True)
class Input:
    name: str
    kind: str = "string"  # string, boolean, number, choice or environment
    is_required: bool = False
    default: str = ""
    options: Sequence[str] = ()
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """`is_startable`: it has the trigger `workflow_dispatch`. `inputs` by name, as declared."""

    is_startable: bool
    inputs: Mapping[str, Input] = field(default_factory=dict)
    run_name: str = ""
    concurrency: str = ""  # the group of the whole workflow, "" without one

    @property
    def carries_build_id(self) -> bool:
        """True if a run can be found by our id: it is an input, and part of the run's name."""
        return self.declared(BUILD_ID) is not None and bool(_OUR_INPUT.search(self.run_name))

    @property
    def has_constant_group(self) -> bool:
        """True if runs for different branches share one concurrency group, so that a third run
        cancels the second."""
        return bool(self.concurrency) and not _EXPRESSION.search(self.concurrency)

    def declared(self, name: str) -> Input | None:
        """The input of this name; GitHub ignores case."""
        wanted = name.casefold()
        return next((one for one in self.inputs.values() if one.name.casefold() == wanted), None)


def parse_workflow(text: bytes) -> Workflow:
    """Raises ValueError with a sentence for people if it is not a workflow."""
    document = _load(text)
    triggers = _trigger(document)
    dispatch = triggers.get("workflow_dispatch")
    return Workflow(
        is_startable="workflow_dispatch" in triggers,
        inputs=_inputs(dispatch),
        run_name=_text(document.get("run-name"))[:MAX_NAME],
        concurrency=_group(document.get("concurrency")),
    )


def _load(text: bytes) -> dict[Any, Any]:
    documents = list(yaml_documents(text, longest=MAX_FILE))
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ValueError("It is not a workflow.")
    return documents[0]


def _trigger(document: Mapping[Any, Any]) -> dict[str, Any]:
    """The events under `on`, which is one name, a list, or a mapping."""
    events = document.get("on", document.get(True))
    if isinstance(events, str):
        return {events: None}
    if isinstance(events, list):
        return {event: None for event in events if isinstance(event, str)}
    return events if isinstance(events, dict) else {}


def _inputs(dispatch: Any) -> dict[str, Input]:
    declared = dispatch.get("inputs") if isinstance(dispatch, dict) else None
    if not isinstance(declared, dict):
        return {}
    named = [(name, about) for name, about in declared.items() if isinstance(name, str)]
    if len(named) > MAX_INPUTS:
        raise ValueError(f"It declares more than {MAX_INPUTS} inputs.")
    return {name: _input(name, about) for name, about in named}


def _input(name: str, about: Any) -> Input:
    facts = about if isinstance(about, dict) else {}
    options = facts.get("options")
    listed = options if isinstance(options, list) else []
    return Input(
        name=name,
        kind=_text(facts.get("type")) or "string",
        is_required=_text(facts.get("required")).lower() == "true",
        default=_text(facts.get("default")),
        options=tuple(_text(option) for option in listed[:MAX_OPTIONS]),
        description=_text(facts.get("description")),
    )


def _group(concurrency: Any) -> str:
    if isinstance(concurrency, dict):
        concurrency = concurrency.get("group")
    return _text(concurrency)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
