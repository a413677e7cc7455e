"""The inputs of a run: what is sent, checked against what the workflow declares.

GitHub refuses the whole dispatch because of one invalid input, sometimes without saying which, so
all inputs are checked before anything is sent.
https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#workflow_dispatch
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from ..base import Outcome, ProviderError
from ..ci import OURS
from .workflows import Input, Workflow

MOST, MOST_BEFORE = 25, 10  # inputs; the latter up to GitHub Enterprise Server 3.19
LONGEST = 65_535  # characters of all inputs together, as compact JSON
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def inputs_for(
    workflow: Workflow, parameters: Mapping[str, str], *, build_id: str, most: int = MOST
) -> dict[str, str]:
    """The inputs to send: the pipeline's own, and those of ours that are declared. Raises
    ProviderError (REFUSED) that names every problem."""
    ours = {**parameters, OURS[2]: build_id}
    chosen: dict[str, str] = {}
    wrong = []
    for name, value in ours.items():
        declared = workflow.declared(name)
        if declared is not None:
            chosen[declared.name] = as_sent(declared, value)
        elif name not in OURS:
            wrong.append(f"It does not declare the input {name}.")
    wrong += complaints(workflow, chosen, most=most)
    if wrong:
        raise ProviderError(
            "inputs_refused",
            f"The workflow would refuse its inputs. {' '.join(wrong)}",
            "Change the pipeline's inputs here, or the workflow's declarations on this branch.",
            outcome=Outcome.REFUSED,
        )
    return chosen


def complaints(workflow: Workflow, chosen: Mapping[str, str], *, most: int) -> Iterator[str]:
    """What GitHub would refuse, in sentences."""
    if len(workflow.inputs) > most:
        yield f"It declares {len(workflow.inputs)} inputs; this GitHub server allows {most}."
    for one in workflow.inputs.values():
        if one.name in chosen:
            yield from _about_value(one, chosen[one.name])
        elif one.is_required and not one.default:
            yield f"Its input {one.name} is required, but has no value here."
    size = len(json.dumps(chosen, separators=(",", ":"), ensure_ascii=False))
    if size > LONGEST:
        yield f"The inputs have {size:,} characters in total; GitHub allows {LONGEST:,}."


def _about_value(one: Input, value: str) -> Iterator[str]:
    if one.is_required and not value:
        yield f"Its input {one.name} is required, but is empty here."
    elif one.kind == "boolean" and value not in ("true", "false"):
        yield f"Its input {one.name} must be true or false."
    elif one.kind == "number" and not _NUMBER.fullmatch(value):
        yield f"Its input {one.name} must be a number."
    elif one.options and one.kind in ("choice", "environment") and value not in one.options:
        yield f"Its input {one.name} does not offer the option that would be sent."


def as_sent(one: Input, value: str) -> str:
    """Values are sent as text, booleans in lower case."""
    is_boolean = one.kind == "boolean" and value.lower() in ("true", "false")
    return value.lower() if is_boolean else value
