from django.utils.translation import gettext_lazy

from integrations.providers.any_ci.addresses import clean_status_url, clean_trigger_url
from integrations.providers.any_ci.headers import clean_headers
from integrations.providers.fields import ConnectionField
from integrations.providers.parameters import parameters_field

FIELDS = (
    ConnectionField(
        name="trigger_url",
        column="server_url",
        label=gettext_lazy("Trigger address"),
        help=gettext_lazy(
            "delivr sends a signed POST here for each build. Members can see the address, so put "
            "secrets in headers."
        ),
        placeholder="https://ci.example.com/delivr",
        clean=clean_trigger_url,
        checks=("address",),
    ),
    ConnectionField(
        name="trigger_headers",
        column="api_token",
        label=gettext_lazy("Headers"),
        audit_label=gettext_lazy("Trigger headers"),
        help=gettext_lazy(
            "If the receiver requires any: one Name: value per line. They are never shown again."
        ),
        placeholder="Authorization: Bearer …",
        required=False,
        secret=True,
        kind="textarea",
        accepts_object=True,
        clean=clean_headers,
        checks=("credentials",),
    ),
    ConnectionField(
        name="status_url",
        label=gettext_lazy("Status address"),
        help=gettext_lazy(
            "Where delivr asks for a build's status, with {buildId} in it. With it, a lost "
            "response or report costs only time."
        ),
        placeholder="https://ci.example.com/delivr/{buildId}",
        required=False,
        clean=clean_status_url,
        checks=("status",),
    ),
    parameters_field(
        label=gettext_lazy("Additional parameters"),
        audit_label=gettext_lazy("Parameters"),
        help=gettext_lazy(
            "One NAME=value per line, sent with each build. Version, branch, commit and platform "
            "are always sent. A value may contain {{ release.version }}, {{ release.branch }}, "
            "{{ release.commit }}, {{ build.id }} and {{ platform }}."
        ),
    ),
)

NEEDS = gettext_lazy("someone who can run a small receiver for your CI")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching the receiver"),
    "credentials": gettext_lazy("Signature and headers"),
    "status": gettext_lazy("Status address"),
}
