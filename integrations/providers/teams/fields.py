from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField
from integrations.providers.teams.addresses import clean_workflow_url

FIELDS = (
    ConnectionField(
        name="workflow_url",
        column="token",
        label=gettext_lazy("Workflow address"),
        audit_label=gettext_lazy("Teams workflow address"),
        help=gettext_lazy(
            "The address that the workflow shows after it was saved. Whoever has it can post, so "
            "it is stored encrypted and never shown again."
        ),
        placeholder="https://….environment.api.powerplatform.com/…&sig=…",
        secret=True,
        clean=clean_workflow_url,
        checks=("address", "credentials"),
    ),
)

NEEDS = gettext_lazy("leave to create a workflow in your team")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching Power Automate"),
    "credentials": gettext_lazy("Posting to the channel"),
}
