from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, clean_address, matching, one_line
from integrations.providers.github.addresses import GITHUB, read_repository
from integrations.providers.github.keys import check_private_key


def clean_repository(value: str) -> str:
    """`https://github.com/owner/name`, or on a GitHub Enterprise server's host, from any usual
    form. Raises ValueError."""
    repository = read_repository(one_line(" ".join(value.split())))
    if repository is None:
        raise ValueError(_("Enter the repository like https://github.com/owner/name."))
    if repository.server != GITHUB:
        clean_address(repository.url)
    return repository.url


APP = gettext_lazy("Use a GitHub App instead of a token")

FIELDS = (
    ConnectionField(
        name="access_token",
        column="access_token",
        label=gettext_lazy("Access token"),
        help=gettext_lazy(
            "A fine-grained token with Contents, Actions and Metadata access to the repository, "
            "or a classic token with the repo scope."
        ),
        placeholder="github_pat_…",
        secret=True,
        clean=one_line,
        shared=True,
        unless="github_app_id",
        checks=("credentials", "account", "permission", "expiry"),
    ),
    ConnectionField(
        name="github_app_id",
        label=gettext_lazy("App ID"),
        audit_label=gettext_lazy("GitHub App"),
        help=gettext_lazy("In the app's settings on GitHub, under About."),
        placeholder="123456",
        required=False,
        clean=matching(r"[0-9]{1,18}", gettext_lazy("An ID of GitHub is a number.")),
        shared=True,
        group=APP,
    ),
    ConnectionField(
        name="github_installation_id",
        label=gettext_lazy("Installation ID"),
        help=gettext_lazy("Without it, the app's installation for the repository is looked up."),
        required=False,
        clean=matching(r"[0-9]{1,18}", gettext_lazy("An ID of GitHub is a number.")),
        shared=True,
        along_with="github_app_id",
        group=APP,
    ),
    ConnectionField(
        name="github_private_key",
        column="private_key",
        label=gettext_lazy("Private key (.pem)"),
        audit_label=gettext_lazy("Private key"),
        help=gettext_lazy("The whole text of the file that GitHub let you download once."),
        secret=True,
        kind="textarea",
        clean=check_private_key,
        file=".pem",
        file_mark="PRIVATE KEY",
        shared=True,
        along_with="github_app_id",
        group=APP,
    ),
    ConnectionField(
        name="repository_url",
        column="repository_url",
        label=gettext_lazy("Repository"),
        help=gettext_lazy("On github.com, or on your GitHub Enterprise server."),
        placeholder="https://github.com/owner/name",
        clean=clean_repository,
        options="repositories",
        load=gettext_lazy("Load repositories"),
        checks=("address", "repository"),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same token or app as %(name)s")

NEEDS = gettext_lazy("an account on GitHub that may write to the repository")

# The names of its checks.
CHECKS = {
    "account": gettext_lazy("Account"),
    "address": gettext_lazy("Reaching GitHub"),
    "credentials": gettext_lazy("Access token"),
    "expiry": gettext_lazy("Token expiry"),
    "permission": gettext_lazy("Write permission"),
    "repository": gettext_lazy("Repository"),
    "repository_id": gettext_lazy("ID of the repository"),
}
