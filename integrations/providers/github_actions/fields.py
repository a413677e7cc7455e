from functools import partial

from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, one_line
from integrations.providers.github_actions.inputs import LONGEST, MOST
from integrations.providers.github_actions.paths import normalise_workflow
from integrations.providers.parameters import clean_parameters, parameters_field

FIELDS = (
    ConnectionField(
        name="access_token",
        column="api_token",
        label=gettext_lazy("Access token"),
        audit_label=gettext_lazy("Pipeline's access token"),
        help=gettext_lazy(
            "If empty, the token of the repository's connection is used. The token needs the "
            "Actions permission (write)."
        ),
        placeholder="github_pat_…",
        required=False,
        secret=True,
        clean=one_line,
        checks=("credentials",),
    ),
    ConnectionField(
        name="workflow",
        column="job",
        label=gettext_lazy("Workflow"),
        help=gettext_lazy(
            "A file in .github/workflows with a workflow_dispatch trigger, such as ios.yml."
        ),
        placeholder="ios.yml",
        clean=normalise_workflow,
        options="jobs",
        checks=("workflow",),
        load=gettext_lazy("Load workflows"),
    ),
    parameters_field(
        label=gettext_lazy("Additional inputs"),
        audit_label=gettext_lazy("Inputs"),
        help=gettext_lazy(
            "One NAME=value per line, for inputs that the workflow declares. delivr sets version, "
            "branch and delivr_build_id if the workflow declares them. A value may contain "
            "{{ release.version }}, {{ release.branch }}, {{ release.commit }}, {{ build.id }} and "
            "{{ platform }}."
        ),
        clean=partial(clean_parameters, most=MOST, longest=LONGEST, in_any_case=True),
        options="parameters",
        load=gettext_lazy("Load inputs"),
        checks=("parameters",),
    ),
)

NEEDS = gettext_lazy("someone who can change the repository's workflows")

# The names of its checks.
CHECKS = {
    "account": gettext_lazy("Account"),
    "address": gettext_lazy("Reaching GitHub"),
    "concurrency": gettext_lazy("Concurrency group"),
    "correlation": gettext_lazy("Finding a run again"),
    "credentials": gettext_lazy("Access token"),
    "expiry": gettext_lazy("Token expiry"),
    "parameters": gettext_lazy("Workflow inputs"),
    "permission": gettext_lazy("Permission to start workflows"),
    "repository": gettext_lazy("Repository"),
    "workflow": gettext_lazy("Workflow"),
}
