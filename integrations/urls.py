from django.urls import path, register_converter

from integrations.models import FAMILIES
from integrations.views import (
    connections,
    endpoints,
    listening,
    options,
    recipients,
    registering,
    store_webhook,
    webhook_secret,
    wizard,
)


class FamilyConverter:
    """Matches a family's name, as in the API's paths."""

    regex = "|".join(FAMILIES)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(FamilyConverter, "family")

_ENDPOINT = "integrations/communication/<str:endpoint_id>"
_ONE = "integrations/<family:family>/<str:connection_id>"
urlpatterns = [
    path("", wizard.home, name="home"),
    path("setup", wizard.setup, name="setup"),
    path("setup/done", wizard.setup_done, name="setup_done"),
    path("setup/<family:family>", wizard.setup_step, name="setup_step"),
    path("setup/<family:family>/skip", wizard.setup_skip, name="setup_skip"),
    path("integrations", connections.integrations, name="integrations"),
    path("integrations/<family:family>/new", connections.integration_new, name="integration_new"),
    path(
        "integrations/<family:family>/options",
        options.integration_options,
        name="integration_options",
    ),
    path("integrations/<family:family>/app", registering.app_new, name="app_new"),
    path(
        "integrations/<family:family>/app/registered",
        registering.app_registered,
        name="app_registered",
    ),
    path(
        "integrations/<family:family>/app/installed",
        registering.app_installed,
        name="app_installed",
    ),
    path(_ONE, connections.integration, name="integration"),
    path(f"{_ONE}/verify", connections.integration_verify, name="integration_verify"),
    path(f"{_ONE}/move", connections.integration_move, name="integration_move"),
    path(f"{_ONE}/disconnect", connections.integration_disconnect, name="integration_disconnect"),
    path(
        "integrations/communication/<str:connection_id>/recipient",
        recipients.recipient_again,
        name="recipient_again",
    ),
    path("unsubscribe/<str:token>", recipients.mail_unsubscribe, name=recipients.VIEW),
    path(
        "integrations/pipelines/<str:connection_id>/listening",
        listening.listening,
        name="listening",
    ),
    path(
        "integrations/pipelines/<str:connection_id>/rotate-secret",
        webhook_secret.rotate_secret,
        name="rotate_secret",
    ),
    path(
        "integrations/pipelines/<str:connection_id>/give-to-sandbox",
        webhook_secret.give_to_sandbox,
        name="give_to_sandbox",
    ),
    path(
        "integrations/targets/<str:connection_id>/webhook-secret",
        store_webhook.store_secret,
        name="store_secret",
    ),
    path(
        "integrations/targets/<str:connection_id>/webhook-to-sandbox",
        store_webhook.store_to_sandbox,
        name="store_to_sandbox",
    ),
    path(f"{_ENDPOINT}/log", endpoints.endpoint_log, name="endpoint_log"),
    path(
        f"{_ENDPOINT}/log/<str:attempt_id>/resend",
        endpoints.endpoint_resend,
        name="endpoint_resend",
    ),
    path(f"{_ENDPOINT}/test-event", endpoints.endpoint_test, name="endpoint_test"),
    path(f"{_ENDPOINT}/rotate-signing-secret", endpoints.endpoint_rotate, name="endpoint_rotate"),
    path(f"{_ENDPOINT}/turn-on", endpoints.endpoint_turn_on, name="endpoint_turn_on"),
]
