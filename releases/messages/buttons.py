"""The buttons below a message, where the connection can receive presses."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.utils.translation import gettext as _

from integrations.models import CommunicationIntegration
from integrations.providers.chat import Button
from releases.messages.notices import Notice

TRIGGER_AGAIN = "trigger_again"
_FAILURES = (Notice.BUILD_FAILED, Notice.BUILD_NOT_STARTED)


def buttons_of(
    connection: CommunicationIntegration, notice: Notice, *, release_id: str, build_id: str
) -> Sequence[Button]:
    """For a failed build: trigger it again, and open the release. `build_id` is the build of the
    message: once there is a newer one, pressing has no effect."""
    chat = connection.provider_class
    if notice not in _FAILURES or not chat.has_buttons or not connection.app_token:
        return ()
    page = f"{settings.BASE_URL}/releases/{release_id}"
    question = _("A new build is triggered on the CI server.")
    return (
        Button(label=_("Trigger again"), action=TRIGGER_AGAIN, value=build_id, confirm=question),
        Button(label=_("Open"), url=page),
    )
