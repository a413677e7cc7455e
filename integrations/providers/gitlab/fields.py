from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_address, one_line
from integrations.providers.gitlab.addresses import read_address


def clean_project(value: str) -> str:
    """`https://host/group/project`, from any usual form. An address without a project is kept, so
    that the projects of its server can be listed; the verification asks for one. Raises
    ValueError."""
    address = read_address(one_line(" ".join(value.split())))
    if address is None:
        raise ValueError(_("Enter the project like https://gitlab.com/group/project."))
    return clean_address(address.url)


FIELDS = (
    ConnectionField(
        name="access_token",
        column="access_token",
        label=gettext_lazy("Access token"),
        help=gettext_lazy(
            "A project, group or personal access token with the api scope and the Developer role, "
            "or Maintainer if branches or tags are protected."
        ),
        placeholder="glpat-…",
        secret=True,
        clean=one_line,
        shared=True,
        checks=("credentials", "account", "permission", "expiry"),
    ),
    ConnectionField(
        name="repository_url",
        column="repository_url",
        label=gettext_lazy("Repository"),
        help=gettext_lazy(
            "A project on gitlab.com or on your own GitLab server. To list the projects of your "
            "own server, enter its address first."
        ),
        placeholder="https://gitlab.com/group/project",
        clean=clean_project,
        options="repositories",
        load=gettext_lazy("Load projects"),
        checks=("address", "server", "repository"),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same token as %(name)s")

NEEDS = gettext_lazy("an account on GitLab that may write to the project")

# The names of its checks.
CHECKS = {
    "account": gettext_lazy("Account"),
    "address": gettext_lazy("Reaching GitLab"),
    "credentials": gettext_lazy("Access token"),
    "expiry": gettext_lazy("Token expiry"),
    "permission": gettext_lazy("Write permission"),
    "repository": gettext_lazy("Repository"),
    "server": gettext_lazy("Address of GitLab"),
}
