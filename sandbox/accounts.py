"""The credentials that the stand-ins accept.

Tokens are constants that are obviously fake. The two private keys are created on first use and kept
in the state directory, because the stand-ins check real signatures with them.
"""

# ruff: noqa: S105 -- these "passwords" are valid only in this sandbox

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

GITHUB_REPOSITORY = "https://github.com/dream11/app"
GITHUB_PUSH_TOKEN = "ghp_sandbox_push_token"
GITHUB_READ_TOKEN = "ghp_sandbox_read_token"
GITHUB_FINE_GRAINED_TOKEN = "github_pat_sandbox_fine_grained_token"
GITHUB_APP_TOKEN = "ghs_sandbox_installation_token"

GITLAB_PROJECT = "dream11/mobile/app"
GITLAB_TOKEN = "glpat-sandbox-maintainer-token"
GITLAB_DEVELOPER_TOKEN = "glpat-sandbox-developer-token"
GITLAB_REPORTER_TOKEN = "glpat-sandbox-reporter-token"  # its role may not push
GITLAB_READ_TOKEN = "glpat-sandbox-read-token"  # its scope is read_api
GITLAB_OAUTH_TOKEN = "sandbox-gitlab-oauth-token"  # taken as Bearer only
GITLAB_EXPIRED_TOKEN = "glpat-sandbox-expired-token"

JENKINS_JOB_PATHS = ("/job/ios-prod", "/job/android-prod")
WORKFLOWS = ("ios.yml", "android.yml")
JENKINS_USER = "delivr"
JENKINS_API_TOKEN = "11sandbox00jenkins00api00token0000"
JENKINS_PASSWORD = "sandbox-jenkins-password"
JENKINS_READER = "reader"  # sees jobs, may not build or cancel
JENKINS_READER_API_TOKEN = "11sandbox00jenkins00reader00token0"
JENKINS_GUEST = "guest"  # signed in, may not even see jobs
JENKINS_GUEST_API_TOKEN = "11sandbox00jenkins00guest00token00"

RECEIVERS = ("ios", "android")
ANY_CI_TOKEN = "sandbox-any-ci-token"
# Base64 of a text that says so. A pipeline in delivr has a secret of its own instead.
ANY_CI_SECRET = "whsec_c2FuZGJveC1hbnktY2ktc2VjcmV0LTAxMjM0NTY3ODk="

SLACK_BOT_TOKEN = "xoxb-sandbox-bot-token"
SLACK_NO_HISTORY_TOKEN = "xoxb-sandbox-no-history-token"
SLACK_NO_WRITE_TOKEN = "xoxb-sandbox-no-write-token"
SLACK_CHANNELS = ("C123", "C456")

TEAMS_SIGNATURE = "sandbox-workflow-signature"
EMAIL_RECIPIENTS = ("team@sandbox.example", "qa@sandbox.example")

JIRA_EMAIL = "delivr@sandbox.example"
JIRA_API_TOKEN = "ATATT-sandbox-jira-api-token"
JIRA_SCOPED_TOKEN = "ATATT-sandbox-jira-scoped-token"  # accepted by the gateway only
JIRA_BLOCKED_TOKEN = "ATATT-sandbox-jira-blocked-token"  # of an account behind an IP allowlist
JIRA_PERSONAL_TOKEN = "sandbox-jira-personal-access-token"  # of Jira Data Center, at /dc/jira
JIRA_PROJECT = "MOBILE"

SLACK_APP_TOKEN = "xapp-1-sandbox-socket-mode"

SENTRY_ORGANIZATION = "dream11"
SENTRY_PROJECT = "mobile-app"
SENTRY_TOKEN = "sntrys_sandbox_token"
SENTRY_NARROW_TOKEN = "sntrys_sandbox_narrow_token"  # may read nothing of the organization

APP_IDENTIFIER = "com.dream11.app"
APPLE_ISSUER_ID = "5a5d0b0c-0000-4000-8000-5a4db0c50001"
APPLE_KEY_ID = "SANDBOX001"
APPLE_FORBIDDEN_KEY_ID = "SANDBOX403"  # same key file; its role may not read apps
APPLE_DEVELOPER_KEY_ID = "SANDBOXDEV"  # same key file; its role may read, and not submit
APPLE_NO_AGREEMENT_KEY_ID = "SANDBOXAGR"  # same key file; a paid-apps agreement is missing

GOOGLE_CLIENT_EMAIL = "delivr@sandbox-project.iam.gserviceaccount.com"
GOOGLE_CI_CLIENT_EMAIL = "ci@sandbox-project.iam.gserviceaccount.com"  # a second account
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"


@dataclass(frozen=True)
class Accounts:
    """What a person types into delivr to use the sandbox. Keys live in `state_dir`."""

    state_dir: Path

    @cached_property
    def apple_api_key(self) -> str:
        """The `.p8` file: an EC P-256 private key as PKCS8 PEM."""
        return _keep(self.state_dir / "app-store-connect.p8", _new_apple_key)

    @cached_property
    def google_service_account(self) -> dict[str, str]:
        """The service account's JSON, with Google's real `token_uri` as in a downloaded file."""
        document = _keep(self.state_dir / "google-service-account.json", _new_service_account)
        parsed: dict[str, str] = json.loads(document)
        return parsed

    @cached_property
    def apple_public_key(self) -> ec.EllipticCurvePublicKey:
        key = serialization.load_pem_private_key(self.apple_api_key.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("app-store-connect.p8 holds no EC key")
        return key.public_key()

    @cached_property
    def google_ci_service_account(self) -> dict[str, str]:
        """A second account with a key of its own, as CI has one beside delivr's."""
        path = self.state_dir / "google-ci-service-account.json"
        document = _keep(path, lambda: _new_service_account(GOOGLE_CI_CLIENT_EMAIL))
        parsed: dict[str, str] = json.loads(document)
        return parsed

    @cached_property
    def google_public_key(self) -> rsa.RSAPublicKey:
        return _public_key(self.google_service_account)

    @cached_property
    def google_ci_public_key(self) -> rsa.RSAPublicKey:
        return _public_key(self.google_ci_service_account)

    def as_dict(self, base_url: str) -> dict[str, Any]:
        """All credentials by family, with the field names of delivr's API; `workflows` and
        `receivers` are pipelines, too, `gitlab` is another SCM, and `email`, `teams` and
        `endpoint` are further communications."""
        base_url = base_url.rstrip("/")
        return {
            "scm": {
                "scmType": "GITHUB",
                "repositoryUrl": GITHUB_REPOSITORY,
                "accessToken": GITHUB_PUSH_TOKEN,
            },
            "gitlab": {
                "scmType": "GITLAB",
                "repositoryUrl": f"{base_url}/gitlab/{GITLAB_PROJECT}",
                "accessToken": GITLAB_TOKEN,
            },
            "targets": self._targets(),
            "pipelines": [_pipeline(base_url, path) for path in JENKINS_JOB_PATHS],
            "workflows": [
                {"pipelineType": "GITHUB_ACTIONS", "workflow": name} for name in WORKFLOWS
            ],
            "receivers": [_receiver(base_url, name) for name in RECEIVERS],
            "communication": {
                "communicationType": "SLACK",
                "slackBotToken": SLACK_BOT_TOKEN,
                "slackAppToken": SLACK_APP_TOKEN,
                "slackChannels": list(SLACK_CHANNELS),
            },
            "teams": {
                "communicationType": "TEAMS",
                "workflowUrl": f"{base_url}/teams/workflows/releases/invoke?sig={TEAMS_SIGNATURE}",
            },
            "endpoint": {"communicationType": "WEBHOOK", "url": f"{base_url}/listener/events"},
            "email": {"communicationType": "EMAIL", "recipients": list(EMAIL_RECIPIENTS)},
            "tickets": {
                "ticketType": "JIRA",
                "jiraUrl": f"{base_url}/jira",
                "jiraEmail": JIRA_EMAIL,
                "jiraApiToken": JIRA_API_TOKEN,
                "jiraProjectKey": JIRA_PROJECT,
            },
            "health": {
                "healthType": "SENTRY",
                "sentryUrl": f"{base_url}/sentry",
                "sentryToken": SENTRY_TOKEN,
                "sentryOrganization": SENTRY_ORGANIZATION,
                "sentryProject": SENTRY_PROJECT,
            },
            "vitals": {"healthType": "PLAY_VITALS"},
        }

    def _targets(self) -> list[dict[str, Any]]:
        return [
            {
                "targetType": "APP_STORE",
                "appIdentifier": APP_IDENTIFIER,
                "appleIssuerId": APPLE_ISSUER_ID,
                "appleKeyId": APPLE_KEY_ID,
                "appleApiKey": self.apple_api_key,
            },
            {
                "targetType": "PLAY_STORE",
                "appIdentifier": APP_IDENTIFIER,
                "googleServiceAccount": self.google_service_account,
            },
        ]

    def settings(self, base_url: str) -> dict[str, str]:
        """The environment variables that point a delivr installation at this sandbox."""
        base_url = base_url.rstrip("/")
        return {
            "GITHUB_API_URL": f"{base_url}/github",
            "SLACK_API_URL": f"{base_url}/slack/api/",
            "APP_STORE_CONNECT_URL": f"{base_url}/appstore",
            "GOOGLE_PLAY_URL": f"{base_url}/play",
            "GOOGLE_PLAY_REPORTING_URL": f"{base_url}/playreporting",
            "GOOGLE_TOKEN_URL": f"{base_url}/google/token",
            "OUTBOUND_ALLOW": base_url.split("://", 1)[-1],
        }


def load(state_dir: Path) -> Accounts:
    """The accounts of a state directory. If two processes call this at once, both get the same
    keys."""
    state_dir = Path(state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    return Accounts(state_dir=state_dir)


def _pipeline(base_url: str, job_path: str) -> dict[str, str]:
    return {
        "pipelineType": "JENKINS",
        "jenkinsUrl": f"{base_url}/jenkins",
        "jenkinsUsername": JENKINS_USER,
        "jenkinsApiToken": JENKINS_API_TOKEN,
        "jenkinsJobPath": job_path,
    }


def _receiver(base_url: str, name: str) -> dict[str, Any]:
    return {
        "pipelineType": "WEBHOOK",
        "triggerUrl": f"{base_url}/anyci/hooks/{name}",
        "triggerHeaders": {"Authorization": f"Bearer {ANY_CI_TOKEN}"},
        "statusUrl": f"{base_url}/anyci/status/{{buildId}}",
    }


def _keep(path: Path, make: Any) -> str:
    """Read `path`, or create it. A hard link appears atomically, so of two processes one wins and
    both read the winner's file."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _new_apple_key() -> str:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _public_key(account: dict[str, str]) -> rsa.RSAPublicKey:
    key = serialization.load_pem_private_key(account["private_key"].encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the service account's file holds no RSA key")
    return key.public_key()


def _new_service_account(email: str = GOOGLE_CLIENT_EMAIL) -> str:
    document = {
        "type": "service_account",
        "project_id": "sandbox-project",
        "private_key_id": secrets.token_hex(20),
        "private_key": _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "client_email": email,
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": GOOGLE_TOKEN_URI,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    }
    return json.dumps(document, indent=2)
