from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, matching
from integrations.providers.play_store.keys import check_service_account

FIELDS = (
    ConnectionField(
        name="app_identifier",
        column="app_identifier",
        label=gettext_lazy("Package name"),
        audit_label=gettext_lazy("App"),
        placeholder="com.example.app",
        clean=matching(
            r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+",
            gettext_lazy("A package name looks like com.example.app."),
        ),
        checks=("app",),
    ),
    ConnectionField(
        name="google_service_account",
        column="credentials",
        label=gettext_lazy("Service account (JSON)"),
        audit_label=gettext_lazy("Service account"),
        help=gettext_lazy("The whole text of the service account's key file."),
        secret=True,
        kind="textarea",
        file=".json",
        file_mark='"private_key"',
        accepts_object=True,
        clean=check_service_account,
        shared=True,
        checks=("key", "credentials"),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same service account as %(name)s")

NEEDS = gettext_lazy("an admin of the Play Console")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching Google Play"),
    "app": gettext_lazy("App"),
    "credentials": gettext_lazy("Service account"),
    "key": gettext_lazy("Key file"),
}
