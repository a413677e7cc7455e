"""Error messages of fields, shared by the form, the API and the operations."""

from typing import Any

from django.utils.translation import gettext_lazy as _

FILL_IN = _("Fill this in.")
NO_CONNECTION = _("This connection does not exist.")
# Django's validators and the API's fields name the limit differently.
FORM_ERRORS = {
    "required": FILL_IN,
    "max_length": _("At most %(limit_value)d characters."),
    "invalid_choice": NO_CONNECTION,
}
API_ERRORS: dict[str, Any] = {"max_length": _("At most {max_length} characters.")}
