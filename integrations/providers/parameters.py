"""A pipeline's own parameters, for servers that take any name."""

from typing import Any

from django.utils.translation import gettext as _

from integrations.providers.ci import OURS
from integrations.providers.fields import several_lines
from integrations.providers.templates import check_templates

MAX_NAME = 100
MAX_PARAMETERS = 50


def clean_parameters(value: Any) -> dict[str, str]:
    """The parameters, without the three that delivr sets. A value may have several lines. Raises
    ValueError."""
    parameters = {str(name).strip(): several_lines(str(text)) for name, text in value.items()}
    if taken := sorted(set(parameters) & set(OURS)):
        raise ValueError(
            _("Leave out %(names)s: delivr sets it automatically.") % {"names": ", ".join(taken)}
        )
    if len(parameters) > MAX_PARAMETERS:
        raise ValueError(_("At most %(most)d parameters.") % {"most": MAX_PARAMETERS})
    for name in parameters:
        # A server may allow any name; in the form the first "=" ends it.
        if not name or not name.isprintable() or "=" in name or len(name) > MAX_NAME:
            raise ValueError(_("“%(name)s” is not a valid parameter name.") % {"name": name})
    check_templates(parameters)
    return parameters
