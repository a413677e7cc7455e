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

# The names of what is checked before a submission.
PREFLIGHT = {
    "app": gettext_lazy("App"),
    "build": gettext_lazy("Build"),
    "encryption": gettext_lazy("Export compliance"),
    "version": gettext_lazy("Version"),
    "release_type": gettext_lazy("Publication"),
    "submission": gettext_lazy("Other submissions"),
    "notes": gettext_lazy("What is new"),
    "age_rating": gettext_lazy("Age rating"),
    "app_information": gettext_lazy("App information"),
    "review_contact": gettext_lazy("Contact for the review"),
    "testers": gettext_lazy("TestFlight"),
    "role": gettext_lazy("Role of the key"),
    "screenshots": gettext_lazy("Screenshots"),
    "rest": gettext_lazy("Prices and privacy"),
    "submit": gettext_lazy("What Apple reported"),
}

STEPS = {
    "build": gettext_lazy("Wait until Apple has processed the build"),
    "encryption": gettext_lazy("Answer about encryption"),
    "groups": gettext_lazy("Give the build to testers"),
    "test_notes": gettext_lazy("Write what to test"),
    "beta_review": gettext_lazy("Submit to beta review"),
    "version": gettext_lazy("Create the version"),
    "attach": gettext_lazy("Attach the build"),
    "release_type": gettext_lazy("Set when it is published"),
    "notes": gettext_lazy("Write what is new"),
    "phased": gettext_lazy("Switch on the phased release"),
    "review": gettext_lazy("Prepare the submission"),
    "item": gettext_lazy("Add the version to it"),
    "submit": gettext_lazy("Submit to review"),
}
