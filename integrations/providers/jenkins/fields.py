from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_address, one_line
from integrations.providers.jenkins.paths import normalise_job_path
from integrations.providers.parameters import parameters_field

FIELDS = (
    ConnectionField(
        name="jenkins_url",
        column="server_url",
        label=gettext_lazy("Jenkins address"),
        audit_label=gettext_lazy("Jenkins URL"),
        placeholder="https://jenkins.example.com",
        clean=clean_address,
        shared=True,
        checks=("address",),
    ),
    ConnectionField(
        name="jenkins_username",
        column="username",
        label=gettext_lazy("User"),
        audit_label=gettext_lazy("Jenkins user"),
        clean=one_line,
        shared=True,
        checks=("account",),
    ),
    ConnectionField(
        name="jenkins_api_token",
        column="api_token",
        label=gettext_lazy("API token"),
        audit_label=gettext_lazy("Jenkins API token"),
        help=gettext_lazy(
            "Create it in Jenkins on the user's Security page. Do not enter the password."
        ),
        secret=True,
        clean=one_line,
        shared=True,
        checks=("credentials", "permission"),
    ),
    ConnectionField(
        name="jenkins_job_path",
        column="job",
        label=gettext_lazy("Job"),
        help=gettext_lazy("As in the job's address: /job/mobile/job/ios, or mobile/ios."),
        placeholder="/job/ios-prod",
        clean=normalise_job_path,
        options="jobs",
        load=gettext_lazy("Load jobs"),
        checks=("job", "parameters"),
    ),
    parameters_field(
        label=gettext_lazy("Additional parameters"),
        audit_label=gettext_lazy("Parameters"),
        help=gettext_lazy(
            "One NAME=value per line, sent with each build in addition to VERSION, BRANCH and "
            "DELIVR_BUILD_ID. For a value with several lines: NAME<<EOF, the lines, and EOF. A "
            "value may contain {{ release.version }}, {{ release.branch }}, {{ release.commit }}, "
            "{{ build.id }} and {{ platform }}."
        ),
        options="parameters",
        load=gettext_lazy("Load parameters"),
        checks=("own_parameters",),
    ),
    ConnectionField(
        name="jenkins_unstable",
        label=gettext_lazy("Unstable builds"),
        audit_label=gettext_lazy("Jenkins' unstable builds"),
        help=gettext_lazy("Jenkins marks a build as unstable, for example, if tests failed."),
        required=False,
        choices=(
            ("FAILED", gettext_lazy("count as failed")),
            ("GOOD_ENOUGH", gettext_lazy("are good enough: they count as success")),
        ),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same server as %(name)s")

NEEDS = gettext_lazy("an admin of your Jenkins")

# The names of its checks.
CHECKS = {
    "account": gettext_lazy("User"),
    "address": gettext_lazy("Reaching Jenkins"),
    "availability": gettext_lazy("Starting builds"),
    "correlation": gettext_lazy("Finding a build again"),
    "credentials": gettext_lazy("User and API token"),
    "job": gettext_lazy("Job"),
    "own_parameters": gettext_lazy("Additional parameters"),
    "parameters": gettext_lazy("Job parameters"),
    "permission": gettext_lazy("Permission to start the job"),
}
