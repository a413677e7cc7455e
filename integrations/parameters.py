"""The parameters of one build, and those that a CI server declares, for the form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from django.utils.translation import gettext as _

from integrations.providers.base import Option, Options
from integrations.providers.ci import OURS, Parameter
from integrations.providers.templates import COMMIT, fill_templates


def parameters_of(
    own: Mapping[str, str],
    *,
    version: str,
    branch: str,
    build_id: str,
    platform: str,
    commit: str | None,
) -> dict[str, str]:
    """The pipeline's own with their templates filled in, then ours, which take precedence. As long
    as the commit is unknown (None), its template stays as it is."""
    values = {
        "release.version": version,
        "release.branch": branch,
        "build.id": build_id,
        "platform": platform,
    }
    if commit is not None:
        values[COMMIT] = commit
    ours = dict(zip(OURS, (version, branch, build_id), strict=True))
    return {**fill_templates(own, values), **ours}


MAX_CHOICES = 20  # that are named
MAX_DEFAULT = 150


def declared_options(declared: Sequence[Parameter] | None, own: Mapping[str, str]) -> Options:
    """The parameters that a person may set, as lines for the form's field; the note names those of
    `own` that are not declared."""
    if declared is None:
        found = Options()
        found.note = _("It takes any name.")
        return found
    known = {parameter.name.casefold() for parameter in declared}
    free = [parameter for parameter in declared if parameter.name.upper() not in OURS]
    found = Options(Option(value=_line(one), label=_words(one)) for one in free)
    if unknown := [name for name in own if name.casefold() not in known]:
        found.note = _("Not declared there: %(names)s.") % {"names": ", ".join(unknown)}
    return found


def _line(parameter: Parameter) -> str:
    """`NAME=default`, without a default that is too long or has several lines."""
    default = parameter.default
    is_short = len(default) <= MAX_DEFAULT and default.isprintable()
    return f"{parameter.name}={default if is_short else ''}"


def _words(parameter: Parameter) -> str:
    return ". ".join(filter(None, (_head(parameter), parameter.description.strip())))


def _head(parameter: Parameter) -> str:
    facts = ", ".join(_facts(parameter))
    return f"{parameter.name} ({facts})" if facts else parameter.name


def _facts(parameter: Parameter) -> Iterator[str]:
    if parameter.kind:
        yield parameter.kind
    if parameter.is_required:
        yield _("required")
    if parameter.choices:
        yield _("one of: %(choices)s") % {"choices": " | ".join(parameter.choices[:MAX_CHOICES])}
