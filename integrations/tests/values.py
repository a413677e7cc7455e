"""What a person enters to connect each system."""

from __future__ import annotations

from typing import Any

from delivr.tests import factories

GITHUB = {"repository_url": "https://github.com/dream11/app", "access_token": "ghp_secret"}
SLACK = {"slack_bot_token": "xoxb-secret", "slack_channels": ["C123"]}
JIRA = {
    "jira_url": "http://127.0.0.1/jira",
    "jira_email": "delivr@example.com",
    "jira_api_token": "jira-secret",
    "jira_project_key": "MOBILE",
}
JENKINS = {
    "jenkins_url": "http://127.0.0.1:8080/jenkins",
    "jenkins_username": "delivr",
    "jenkins_api_token": "jenkins-secret",
    "jenkins_job_path": "/job/ios-prod",
}


def complaints(error: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = error.value.message_dict
    return found


def jenkins_values(tenant: Any, **changes: Any) -> dict[str, Any]:
    target = factories.AppStoreFactory(tenant=tenant)
    scm = factories.ScmFactory(tenant=tenant)
    return {**JENKINS, "scm": scm.pk, "target": target.pk, **changes}
