from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_address, matching, one_line


def clean_server(value: str) -> str:
    """The address of a Sentry server, also if a page of it was copied. Raises ValueError."""
    address = clean_address(one_line(value))
    return address.partition("/organizations/")[0].removesuffix("/api/0")


_SLUG = matching(r"[A-Za-z0-9_-]{1,100}", gettext_lazy("Enter the slug, as in Sentry's addresses."))


def clean_slug(value: str) -> str:
    """https://docs.sentry.io/concepts/key-terms/key-terms/"""
    if "/" in value:
        raise ValueError(_("Enter the slug alone, not an address."))
    return _SLUG(value)


FIELDS = (
    ConnectionField(
        name="sentry_url",
        column="server_url",
        label=gettext_lazy("Address of Sentry"),
        help=gettext_lazy("Of your region, or of your own server."),
        placeholder="https://us.sentry.io",
        clean=clean_server,
        shared=True,
        checks=("address",),
    ),
    ConnectionField(
        name="sentry_token",
        column="api_token",
        label=gettext_lazy("Token"),
        help=gettext_lazy(
            "Of an internal integration with the permission to read the organization."
        ),
        placeholder="sntrys_…",
        secret=True,
        clean=one_line,
        shared=True,
        checks=("credentials",),
    ),
    ConnectionField(
        name="sentry_organization",
        column="organization",
        label=gettext_lazy("Organization"),
        help=gettext_lazy("Its slug, as in the address of its pages."),
        placeholder="example",
        clean=clean_slug,
        shared=True,
        checks=("organization",),
    ),
    ConnectionField(
        name="sentry_project",
        column="project",
        label=gettext_lazy("Project"),
        help=gettext_lazy("The slug of the app's project."),
        placeholder="mobile-app",
        clean=clean_slug,
        options="projects",
        load=gettext_lazy("Load projects"),
        checks=("project", "project_id"),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same organization and token as %(name)s")

NEEDS = gettext_lazy("a token of a Sentry organization")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching Sentry"),
    "credentials": gettext_lazy("Token"),
    "figures": gettext_lazy("Figures of the newest version"),
    "organization": gettext_lazy("Organization"),
    "project": gettext_lazy("Project"),
    "project_id": gettext_lazy("Number of the project"),
}
