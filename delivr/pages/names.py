"""The labels on pages for the stored names of checks and changed fields; those of one provider are
in its `fields.py` and are added when the application starts."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

NAMES: dict[str, str | Promise] = {
    # Checks of a verification
    "account": _("Account"),
    "address": _("Address"),
    "correlation": _("Finding a build again"),
    "credentials": _("Credentials"),
    "expiry": _("Expiry"),
    "permission": _("Permission"),
    # Changed fields in the audit log: of people and workspaces
    "email": _("Email address"),
    "expires_at": _("Expires"),
    "factor": _("Second factor"),
    "inviter": _("Invited by"),
    "name": _("Name"),
    "owner": _("Owner"),
    "password": _("Password"),
    "recovery_codes": _("Recovery codes"),
    "requires_second_factor": _("Second factor required"),
    "revoked_at": _("Revoked"),
    "role": _("Role"),
    "needsMe": _("What needs me"),
    "failures": _("Failures"),
    "milestones": _("Milestones"),
    "everything": _("Everything"),
    "skipped_steps": _("Skipped steps"),
    # … of connections
    "display_name": _("Name"),
    "recipient": _("Recipient"),
    "same_server": _("Credentials copied from"),
    "scm": _("Repository"),
    "target": _("Target"),
    "verification_error": _("Error"),
    "verification_status": _("Verification"),
    "webhook_secret": _("Webhook secret"),
    # … of releases, builds and effects
    "attempts": _("Attempts"),
    "branch": _("Branch"),
    "number": _("Number"),
    "queue_id": _("Queue item"),
    "state": _("Status"),
    "status": _("Status"),
}
