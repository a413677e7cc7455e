from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, one_line, several_lines
from integrations.providers.gitlab_ci.inputs import MAX_NAME, OURS

MOST = 100
LONGEST = 65_535  # characters of all values


def clean_parameters(value: Any) -> dict[str, str]:
    """The pipeline's own inputs or variables, without the three that delivr sets."""
    found = {str(name).strip(): several_lines(str(text)) for name, text in value.items()}
    if taken := sorted(name for name in found if name.upper() in OURS):
        raise ValueError(
            _("delivr sets %(names)s itself: leave it out.") % {"names": ", ".join(taken)}
        )
    if len(found) > MOST:
        raise ValueError(_("At most %(most)d of them.") % {"most": MOST})
    for name in found:
        if not name or not name.isprintable() or "=" in name or len(name) > MAX_NAME:
            raise ValueError(_("“%(name)s” is no name of an input or variable.") % {"name": name})
    if sum(map(len, found.values())) > LONGEST:
        raise ValueError(_("All values together are longer than is allowed here."))
    return found


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
    ConnectionField(
        name="parameters",
        column="parameters",
        label=gettext_lazy("Own inputs or variables"),
        audit_label=gettext_lazy("Inputs or variables"),
        help=gettext_lazy(
            "One NAME=value a line. Where the CI file declares inputs, they are inputs, else "
            "variables. delivr sets the version, the branch and delivr_build_id itself."
        ),
        required=False,
        kind="mapping",
        clean=clean_parameters,
        checks=("parameters",),
    ),
)

NEEDS = gettext_lazy("somebody who may change the project's CI file and its webhooks")

# What its checks are called: what each of them tries
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
    "version": gettext_lazy("Version of GitLab"),
    "webhook": gettext_lazy("Webhook"),
}
