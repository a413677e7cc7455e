"""What a pipeline is given: inputs where the CI file declares them, else variables. Everything is
checked before it is sent: GitLab refuses the whole pipeline for one value that it does not like.

https://docs.gitlab.com/ci/inputs/#input-types
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..base import ProviderError
from ..ci import OURS
from .config import CiFile, Input

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def inputs_for(file: CiFile, parameters: Mapping[str, str], *, build_id: str) -> dict[str, Any]:
    """The inputs to send: the pipeline's own, and of ours those that are declared. Raises
    ProviderError (REFUSED) with everything that is wrong."""
    chosen: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in {**parameters, OURS[2]: build_id}.items():
        declared = file.declared(name)
        if declared is not None:
            wrong += _complaints(declared, value)
            chosen[declared.name] = _as_sent(declared, value)
        elif name not in OURS:
            elsewhere = " in the file itself" if file.includes_inputs else ""
            wrong.append(f"It declares no input {name}{elsewhere}.")
    missing = (one.name for one in file.inputs.values() if one.default is None)
    wrong += [
        f"Its input {n} needs a value, and has none here." for n in missing if n not in chosen
    ]
    if wrong:
        raise ProviderError.refused(
            "inputs_refused",
            f"The CI file would refuse its inputs. {' '.join(wrong)}",
            "Change the pipeline's inputs here, or what the CI file declares on this branch.",
        )
    return chosen


def variables_for(parameters: Mapping[str, str]) -> list[dict[str, str]]:
    """Raises ProviderError (REFUSED) for names that no variable has."""
    if wrong := [name for name in parameters if not _VARIABLE.fullmatch(name)]:
        raise ProviderError.refused(
            "variables_refused",
            f"The CI file declares no inputs, and {', '.join(wrong)} is no variable's name.",
            "Use letters, digits and _, or declare inputs in the CI file.",
        )
    return [{"key": name, "value": value} for name, value in parameters.items()]


def _complaints(one: Input, value: str) -> Iterator[str]:
    if one.kind == "boolean" and value.lower() not in ("true", "false"):
        yield f"Its input {one.name} is true or false."
    elif one.kind == "number" and not _NUMBER.fullmatch(value):
        yield f"Its input {one.name} is a number."
    elif one.kind == "array" and not isinstance(_json(value), list):
        yield f'Its input {one.name} is a list such as ["a", "b"].'
    elif one.options and value not in one.options:
        yield f"Its input {one.name} does not have the option that would be sent."


def _as_sent(one: Input, value: str) -> Any:
    """In the input's own type; a value that does not fit was complained about."""
    if one.kind == "boolean":
        return value.lower() == "true"
    return _json(value) if one.kind in ("number", "array") else value


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
