import re

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, one_line

_REPOSITORY = re.compile(
    r"(?:(?:https?://)?[A-Za-z0-9.-]+(?::\d+)?/|git@[A-Za-z0-9.-]+:)?"
    r"(?P<owner>[A-Za-z0-9][A-Za-z0-9-]{0,38})/(?P<name>[A-Za-z0-9._-]{1,100}?)(?:\.git)?/?"
)


def clean_repository(value: str) -> str:
    """`https://github.com/owner/name`, from any way in which people write it."""
    match = _REPOSITORY.fullmatch(one_line(value))
    if match is None or match["name"] in (".", ".."):
        raise ValueError(_("Enter the repository like https://github.com/owner/name."))
    return f"https://github.com/{match['owner']}/{match['name']}"


FIELDS = (
    ConnectionField(
        name="access_token",
        label=gettext_lazy("Access token"),
        help=gettext_lazy(
            "A fine-grained token with Contents, Actions and Metadata access to the repository, "
            "or a classic one with the repo scope."
        ),
        placeholder="github_pat_…",
        secret=True,
        clean=one_line,
    ),
    ConnectionField(
        name="repository_url",
        label=gettext_lazy("Repository"),
        placeholder="https://github.com/owner/name",
        clean=clean_repository,
        options="repositories",
    ),
)
