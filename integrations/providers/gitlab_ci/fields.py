from functools import partial

from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, one_line
from integrations.providers.parameters import clean_parameters, parameters_field

MOST = 100
LONGEST = 65_535  # characters of all values

FIELDS = (
    ConnectionField(
        name="access_token",
        column="api_token",
        label=gettext_lazy("Access token"),
        audit_label=gettext_lazy("Pipeline's access token"),
        help=gettext_lazy(
            "Left empty, that of the project's connection is used: it needs the scope api and the "
            "Developer role, or Maintainer where the branch is protected."
        ),
        placeholder="glpat-…",
        required=False,
        secret=True,
        clean=one_line,
        checks=("credentials", "account", "expiry"),
    ),
    parameters_field(
        label=gettext_lazy("Additional inputs or variables"),
        audit_label=gettext_lazy("Inputs or variables"),
        help=gettext_lazy(
            "One NAME=value per line. They are inputs if the CI file declares any, else variables. "
            "delivr sets version, branch and delivr_build_id itself. A value may contain "
            "{{ release.version }}, {{ release.branch }}, {{ release.commit }}, {{ build.id }} and "
            "{{ platform }}."
        ),
        clean=partial(clean_parameters, most=MOST, longest=LONGEST, in_any_case=True),
        options="parameters",
        load=gettext_lazy("Load inputs"),
        checks=("parameters",),
    ),
)

NEEDS = gettext_lazy("someone who can change the project's CI file and its webhooks")

# The names of its checks.
CHECKS = {
    "account": gettext_lazy("Account"),
    "address": gettext_lazy("Reaching GitLab"),
    "ci_file": gettext_lazy("CI file"),
    "correlation": gettext_lazy("Finding a pipeline again"),
    "credentials": gettext_lazy("Access token"),
    "expiry": gettext_lazy("Expiry of the token"),
    "parameters": gettext_lazy("Inputs or variables"),
    "permission": gettext_lazy("Permission to run pipelines"),
    "repository": gettext_lazy("Project"),
    "server": gettext_lazy("Address of GitLab"),
    "version": gettext_lazy("Version of GitLab"),
    "webhook": gettext_lazy("Webhook"),
}
