"""The labels on pages for the stored names of checks and changed fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NAMES: dict[str, StrOrPromise] = {
    # Checks of a verification
    "account": _("Account"),
    "address": _("Address"),
    "app": _("App"),
    "channels": _("Channels"),
    "correlation": _("Finding a build again"),
    "credentials": _("Credentials"),
    "expiry": _("Expiry"),
    "fields": _("Fields"),
    "issue_type": _("Issue type"),
    "job": _("Job"),
    "key": _("Key"),
    "parameters": _("Parameters"),
    "permission": _("Permission"),
    "project": _("Project"),
    "repository": _("Repository"),
    "scopes": _("Scopes"),
    "site": _("Site"),
    "token": _("Token"),
    "unused_fields": _("Fields without use"),
    # Changed fields in the audit log: of people and workspaces
    "email": _("E-mail address"),
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
    "skipped_steps": _("Skipped steps"),
    # … of connections
    "access_token": _("Access token"),
    "app_identifier": _("App"),
    "apple_api_key": _("API key"),
    "apple_issuer_id": _("Issuer id"),
    "apple_key_id": _("Key id"),
    "display_name": _("Name"),
    "google_service_account": _("Service account"),
    "jenkins_api_token": _("Jenkins API token"),
    "jenkins_job_path": _("Job"),
    "jenkins_url": _("Jenkins URL"),
    "jenkins_username": _("Jenkins user"),
    "jira_api_token": _("Jira API token"),
    "jira_email": _("E-mail of the Jira account"),
    "jira_project_key": _("Jira project"),
    "jira_epic_type_name": _("Type of epics"),
    "jira_fields": _("Fields of epics"),
    "jira_url": _("Jira URL"),
    "repository_url": _("Repository"),
    "scm": _("Repository"),
    "slack_bot_token": _("Slack bot token"),
    "slack_channels": _("Slack channels"),
    "target": _("Target"),
    "verification_error": _("What was wrong"),
    "verification_status": _("Verification"),
    "webhook_secret": _("Webhook secret"),
    # … of releases, builds and effects
    "attempts": _("Attempts"),
    "branch": _("Branch"),
    "number": _("Number"),
    "queue_id": _("Number in the queue"),
    "state": _("State"),
    "status": _("Status"),
}
