from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_full_address
from integrations.providers.outgoing_webhook.events import clean_events

FIELDS = (
    ConnectionField(
        name="url",
        label=gettext_lazy("Address"),
        audit_label=gettext_lazy("Address of the endpoint"),
        help=gettext_lazy(
            "delivr sends a signed POST here for each event. Members can see the address, so put "
            "no secret in it: the signature is what proves where an event comes from."
        ),
        placeholder="https://hooks.example.com/delivr",
        clean=clean_full_address,
        checks=("address", "endpoint"),
    ),
    ConnectionField(
        name="events",
        label=gettext_lazy("Events"),
        audit_label=gettext_lazy("Events of the endpoint"),
        help=gettext_lazy("One per line; leave it empty for all of them."),
        placeholder="build.failed",
        required=False,
        kind="list",
        clean=clean_events,
        options="events",
        load=gettext_lazy("Show events"),
    ),
    ConnectionField(
        name="signing_secret",
        column="token",
        label=gettext_lazy("Signing secret"),
        secret=True,
        generated=True,
    ),
)

NEEDS = gettext_lazy("a program of yours that accepts a POST")

# The names of its checks.
CHECKS = {
    "endpoint": gettext_lazy("Turned on"),
    "address": gettext_lazy("Reaching the endpoint"),
    "credentials": gettext_lazy("Signature"),
}
