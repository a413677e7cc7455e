from django.utils.translation import gettext_lazy

from integrations.providers.app_store.keys import check_api_key
from integrations.providers.fields import ConnectionField, matching

FIELDS = (
    ConnectionField(
        name="app_identifier",
        column="app_identifier",
        label=gettext_lazy("Bundle ID"),
        audit_label=gettext_lazy("App"),
        placeholder="com.example.app",
        clean=matching(
            r"[A-Za-z0-9][A-Za-z0-9._-]{1,154}",
            gettext_lazy("A bundle ID looks like com.example.app."),
        ),
        checks=("app",),
    ),
    ConnectionField(
        name="apple_issuer_id",
        column="issuer_id",
        label=gettext_lazy("Issuer ID"),
        help=gettext_lazy("In App Store Connect under Users and Access > Integrations."),
        clean=matching(
            r"[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
            gettext_lazy("An issuer ID is a UUID, like 57246542-96fe-1a63-e053-0824d011072a."),
        ),
        shared=True,
        checks=("credentials",),
    ),
    ConnectionField(
        name="apple_key_id",
        column="key_id",
        label=gettext_lazy("Key ID"),
        placeholder="2X9R4HXF34",
        clean=matching(
            r"[A-Za-z0-9]{4,20}",
            gettext_lazy("A key ID consists of letters and digits, like 2X9R4HXF34."),
        ),
        shared=True,
    ),
    ConnectionField(
        name="apple_api_key",
        column="credentials",
        label=gettext_lazy("API key (.p8)"),
        audit_label=gettext_lazy("API key"),
        help=gettext_lazy("The whole text of the file that Apple lets you download once."),
        secret=True,
        kind="textarea",
        file=".p8",
        file_mark="-----BEGIN PRIVATE KEY-----",
        clean=check_api_key,
        shared=True,
        checks=("key",),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same key as %(name)s")

NEEDS = gettext_lazy("an admin of App Store Connect")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching App Store Connect"),
    "app": gettext_lazy("App"),
    "app_id": gettext_lazy("Apple ID of the app"),
    "credentials": gettext_lazy("Issuer and key"),
    "key": gettext_lazy("Key file"),
}
