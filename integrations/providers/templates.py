"""Templates in the values of a pipeline's parameters, such as `{{ release.version }}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

COMMIT = "release.commit"
NAMES = ("release.version", "release.branch", COMMIT, "build.id", "platform")
# It ends before another "{{": else each of many would be looked at to the end of the text.
_TEMPLATE = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
# What a verification tries parameters with.
TRIED = {"VERSION": "1.0.0", "BRANCH": "main"}
TRIED_BUILD = "bld_verification"


def check_templates(parameters: Mapping[str, str]) -> None:
    """Raises ValueError with every parameter that has something else between the braces."""
    if wrong := [words for name, text in parameters.items() for words in _wrong_with(name, text)]:
        known = ", ".join(f"{{{{ {name} }}}}" for name in NAMES)
        raise ValueError(" ".join([*wrong, _("A value may contain %(names)s.") % {"names": known}]))


def fill_templates(parameters: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The parameters with these values; a template without one is kept as it is."""
    return {
        name: _TEMPLATE.sub(lambda found: values.get(found[1].strip(), found[0]), text)
        for name, text in parameters.items()
    }


def tried_parameters(connection: Any) -> dict[str, str]:
    """Those of a pipeline as a verification tries them; a form may not say yet what it is for."""
    values = {
        "release.version": TRIED["VERSION"],
        "release.branch": TRIED["BRANCH"],
        COMMIT: "0" * 40,
        "build.id": TRIED_BUILD,
        "platform": connection.platform if connection.target_id else "",
    }
    return fill_templates(connection.parameters, values)


def needs_commit(parameters: Mapping[str, str]) -> bool:
    return any(COMMIT in _names_in(text) for text in parameters.values())


def _names_in(text: str) -> list[str]:
    return [name.strip() for name in _TEMPLATE.findall(text)]


def _wrong_with(name: str, text: str) -> Iterator[str]:
    for unknown in _names_in(text):
        if unknown not in NAMES:
            words = {"name": name, "unknown": unknown[:60]}
            yield _("%(name)s: delivr does not know {{ %(unknown)s }}.") % words
    if "{{" in _TEMPLATE.sub("", text):
        yield _("%(name)s: “{{” is not closed by “}}”.") % {"name": name}
