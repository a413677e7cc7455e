"""The address of a workflow: which hosts it may have, and which addresses no longer work."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from django.utils.translation import gettext as _

from delivr.outbound import OutboundError, is_allowed_by_operator, origin

# https://learn.microsoft.com/power-automate/triggers-introduction : addresses of triggers by HTTP
HOSTS = (".environment.api.powerplatform.com", ".logic.azure.com")
# Office 365 connectors: https://devblogs.microsoft.com/microsoft365dev/retirement-of-office-365-connectors-within-microsoft-teams/
_CONNECTOR_HOST = "webhook.office.com"
_OUTLOOK = ("outlook.office.com", "outlook.office365.com")


def clean_workflow_url(value: str) -> str:
    """The address of a workflow with its signature. Raises ValueError, which never repeats it."""
    text = value.strip()
    try:
        origin(text)
    except OutboundError:
        raise ValueError(
            _("Copy the whole address of the workflow: it begins with https://.")
        ) from None
    parts = urlsplit(text)
    host = (parts.hostname or "").lower()
    if _is_connector(host, parts.path):
        raise ValueError(
            _(
                "This is the address of an Office 365 connector. Microsoft has retired them. In "
                "the channel, choose Workflows, create “When a Teams webhook request is received”, "
                "and enter the address of that."
            )
        )
    if not is_allowed_by_operator(text) and not (parts.scheme == "https" and host.endswith(HOSTS)):
        raise ValueError(
            _(
                "This is not the address of a workflow. It begins with https://, and its host "
                "ends in %(hosts)s."
            )
            % {"hosts": ", ".join(host.removeprefix(".") for host in HOSTS)}
        )
    if not any(parse_qs(parts.query).get("sig", [])):
        raise ValueError(_("The address is not complete: it has to contain sig=…. Copy all of it."))
    return text


def _is_connector(host: str, path: str) -> bool:
    is_outlook = host in _OUTLOOK and path.lower().startswith("/webhook")
    return is_outlook or host == _CONNECTOR_HOST or host.endswith(f".{_CONNECTOR_HOST}")
