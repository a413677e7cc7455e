from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_address, matching, one_line

MAX_FIELDS = 30
MAX_NAME = 80
MAX_VALUE = 1000


def clean_fields(value: Any) -> dict[str, str]:
    """Fields of new epics, by name or id, with the text for each."""
    fields = {one_line(str(name)): _text(str(text)) for name, text in value.items()}
    if len(fields) > MAX_FIELDS:
        raise ValueError(_("At most %(most)d fields.") % {"most": MAX_FIELDS})
    for name, text in fields.items():
        if not name or not text:
            raise ValueError(_("Each field needs a name and a value."))
        if len(name) > MAX_NAME or len(text) > MAX_VALUE:
            raise ValueError(_("The field “%(name)s” is too long.") % {"name": name[:60]})
    if len({name.casefold() for name in fields}) < len(fields):
        raise ValueError(_("A field is listed twice."))
    return fields


def _text(value: str) -> str:
    """Text of several lines without control characters. Raises ValueError."""
    return "\n".join(one_line(line) for line in value.strip().splitlines())


def clean_email(value: str) -> str:
    text = one_line(value)
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError(_("Enter the email address of the Jira account.")) from None
    return text


FIELDS = (
    ConnectionField(
        name="jira_url",
        column="server_url",
        label=gettext_lazy("Jira address"),
        audit_label=gettext_lazy("Jira URL"),
        help=gettext_lazy(
            "The site's own address, or that of the API gateway: "
            "https://api.atlassian.com/ex/jira/<cloud id>. For Data Center with its path, if it "
            "has one."
        ),
        placeholder="https://company.atlassian.net",
        clean=clean_address,
        shared=True,
        checks=("address", "site"),
    ),
    ConnectionField(
        name="jira_email",
        column="username",
        label=gettext_lazy("Account email"),
        audit_label=gettext_lazy("Jira account email"),
        help=gettext_lazy("Leave it empty for Jira Data Center with a personal access token."),
        required=False,
        clean=clean_email,
        shared=True,
    ),
    ConnectionField(
        name="jira_api_token",
        column="api_token",
        label=gettext_lazy("API token"),
        audit_label=gettext_lazy("Jira API token"),
        help=gettext_lazy(
            "Create it at id.atlassian.com under Security. Tokens with scopes also work. For Data "
            "Center: a personal access token."
        ),
        secret=True,
        clean=one_line,
        shared=True,
        checks=("credentials",),
    ),
    ConnectionField(
        name="jira_project_key",
        column="project",
        label=gettext_lazy("Project"),
        audit_label=gettext_lazy("Jira project"),
        help=gettext_lazy("Its key: the part before the dash in its issue keys."),
        placeholder="MOBILE",
        clean=matching(
            r"[A-Z][A-Z0-9_]{1,39}",
            gettext_lazy("A project key consists of capital letters and digits, like MOBILE."),
        ),
        options="projects",
        load=gettext_lazy("Load projects"),
        checks=("project", "permission"),
    ),
    ConnectionField(
        name="jira_epic_type_name",
        label=gettext_lazy("Epic type"),
        help=gettext_lazy(
            "Only for a project with several epic-level issue types: the name of the one to use."
        ),
        placeholder="Epic",
        required=False,
        clean=matching(r".{1,80}", gettext_lazy("The name of a type has at most 80 characters.")),
        options="epic_types",
        load=gettext_lazy("Load types"),
        checks=("issue_type",),
    ),
    ConnectionField(
        name="jira_fields",
        label=gettext_lazy("Epic fields"),
        help=gettext_lazy(
            "Only for fields that the project requires: one NAME=value per line, with the "
            "field's name or id. Separate several values with commas, and write a value below "
            "another one after it: Mobile > iOS."
        ),
        placeholder="Team=Mobile",
        required=False,
        kind="mapping",
        clean=clean_fields,
        checks=("fields", "unused_fields"),
    ),
    ConnectionField(
        name="jira_done_status",
        label=gettext_lazy("Done status"),
        help=gettext_lazy(
            "Only for a workflow with several statuses that count as done: the name of the one to "
            "which epics are moved, if releases move them."
        ),
        placeholder="Done",
        required=False,
        clean=matching(r".{1,80}", gettext_lazy("The name of a status has at most 80 characters.")),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same account as %(name)s")

NEEDS = gettext_lazy("an account in Jira that may create issues in the project")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching Jira"),
    "correlation": gettext_lazy("Finding an epic again"),
    "credentials": gettext_lazy("Account and API token"),
    "deployment": gettext_lazy("Deployment"),
    "field": gettext_lazy("Field %(subject)s"),
    "fields": gettext_lazy("Required epic fields"),
    "following": gettext_lazy("Following releases"),
    "issue_type": gettext_lazy("Epic type"),
    "permission": gettext_lazy("Permission to create issues"),
    "project": gettext_lazy("Project"),
    "site": gettext_lazy("Site address"),
    "unused_fields": gettext_lazy("Unused fields"),
}
