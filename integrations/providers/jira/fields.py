from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_address, matching, one_line


def clean_email(value: str) -> str:
    text = one_line(value)
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError(_("Enter the e-mail address of the Jira account.")) from None
    return text


FIELDS = (
    ConnectionField(
        name="jira_url",
        label=gettext_lazy("Jira address"),
        placeholder="https://company.atlassian.net",
        clean=clean_address,
    ),
    ConnectionField(
        name="jira_email", label=gettext_lazy("E-mail of the account"), clean=clean_email
    ),
    ConnectionField(
        name="jira_api_token",
        label=gettext_lazy("API token"),
        help=gettext_lazy("Made at id.atlassian.com under Security; scoped tokens work too."),
        secret=True,
        clean=one_line,
    ),
    ConnectionField(
        name="jira_project_key",
        label=gettext_lazy("Project"),
        help=gettext_lazy("Its key: what stands before the dash of its issues."),
        placeholder="MOBILE",
        clean=matching(
            r"[A-Z][A-Z0-9_]{1,39}",
            gettext_lazy("A project key is capital letters and digits, like MOBILE."),
        ),
        options="projects",
    ),
)
