from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField

MAX_RECIPIENTS = 50


def clean_recipients(value: list[str]) -> list[str]:
    """Addresses without duplicates, in the given order. Upper and lower case do not make two:
    no server in use tells them apart."""
    found: dict[str, str] = {}
    for item in value:
        if address := str(item).strip():
            found.setdefault(address.lower(), _valid(address))
    if not found:
        raise ValueError(_("Enter at least one address."))
    if len(found) > MAX_RECIPIENTS:
        words = _("At most %(most)d addresses. Use a mailing list for more.")
        raise ValueError(words % {"most": MAX_RECIPIENTS})
    return list(found.values())


def _valid(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError:
        words = _("“%(address)s” is not an email address.") % {"address": address[:80]}
        raise ValueError(words) from None
    return address


FIELDS = (
    ConnectionField(
        name="recipients",
        column="recipients",
        label=gettext_lazy("Recipients"),
        audit_label=gettext_lazy("Recipients of emails"),
        help=gettext_lazy("One address per line. Each gets its own email."),
        placeholder="team@example.com",
        kind="list",
        clean=clean_recipients,
        checks=("recipients", "recipient"),
    ),
)

# To take the shared fields over from another connection: it has none.
SAME = gettext_lazy("Same as %(name)s")

NEEDS = gettext_lazy("the addresses of the people to notify")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching the mail server"),
    "credentials": gettext_lazy("User name of the mail server"),
    "recipients": gettext_lazy("Recipients"),
    "recipient": gettext_lazy("Recipient %(subject)s"),
}
