from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField

FIELDS: tuple[ConnectionField, ...] = ()  # the app's service account is all that it needs

# To take the shared fields over from another connection
SAME = gettext_lazy("Same service account as %(name)s")

NEEDS = gettext_lazy("a connected app whose service account may view app information")

# The names of its checks.
CHECKS = {
    "address": gettext_lazy("Reaching Google"),
    "credentials": gettext_lazy("Service account"),
    "figures": gettext_lazy("Figures of the newest version"),
    "freshness": gettext_lazy("Age of the figures"),
    "key": gettext_lazy("Key file"),
}
