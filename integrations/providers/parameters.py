"""A pipeline's own parameters."""

from typing import Any

from django.utils.translation import gettext as _

from integrations.providers.ci import OURS
from integrations.providers.fields import ConnectionField, several_lines
from integrations.providers.templates import check_templates

MAX_NAME = 100
MAX_PARAMETERS = 50


def clean_parameters(
    value: Any, *, most: int = MAX_PARAMETERS, longest: int = 0, in_any_case: bool = False
) -> dict[str, str]:
    """The parameters, without the three that delivr sets, `in_any_case` of their names' letters. A
    value may have several lines; all together have at most `longest` characters (0: any number).
    Raises ValueError."""
    parameters = {str(name).strip(): several_lines(str(text)) for name, text in value.items()}
    if taken := sorted(n for n in parameters if (n.upper() if in_any_case else n) in OURS):
        raise ValueError(
            _("Leave out %(names)s: delivr sets it automatically.") % {"names": ", ".join(taken)}
        )
    if len(parameters) > most:
        raise ValueError(_("At most %(most)d parameters.") % {"most": most})
    for name in parameters:
        # A server may allow any name; in the form the first "=" ends it.
        if not name or not name.isprintable() or "=" in name or len(name) > MAX_NAME:
            raise ValueError(_("“%(name)s” is not a valid parameter name.") % {"name": name})
    if longest and sum(map(len, parameters.values())) > longest:
        raise ValueError(_("All values together may have %(most)d characters.") % {"most": longest})
    check_templates(parameters)
    return parameters


def parameters_field(*, clean: Any = clean_parameters, **values: Any) -> ConnectionField:
    """The field for them: one NAME=value per line, in the words and limits of a provider."""
    return ConnectionField(
        name="parameters",
        column="parameters",
        required=False,
        kind="mapping",
        clean=clean,
        **values,
    )
