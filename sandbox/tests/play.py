"""Requests to the Google Play stand-in, for its tests."""

from __future__ import annotations

import time
from typing import Any

import jwt
import requests

from sandbox import accounts
from sandbox.play import bundles
from sandbox.server import SandboxServer

SCOPE = "https://www.googleapis.com/auth/androidpublisher"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
API = "androidpublisher/v3/applications/com.dream11.app"
ERROR_IF_IN_REVIEW = {"changesInReviewBehavior": "ERROR_IF_IN_REVIEW"}


class Play:
    """Google Play over HTTP as one service account, and the sandbox's acts."""

    def __init__(
        self, sandbox: SandboxServer, account: dict[str, str] | None = None, *, scope: str = SCOPE
    ) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.scope = scope
        self.account = account or sandbox.accounts.google_service_account
        self.session.headers["Authorization"] = f"Bearer {self._token()}"

    def _token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.account["client_email"],
            "scope": self.scope,
            "aud": accounts.GOOGLE_TOKEN_URI,
            "iat": now,
            "exp": now + 600,
        }
        assertion = jwt.encode(claims, self.account["private_key"], algorithm="RS256")
        form = {"grant_type": GRANT, "assertion": assertion}
        answer = self.session.post(f"{self.sandbox.url}/google/token", data=form, timeout=10)
        return answer.json()["access_token"]

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        url = f"{self.sandbox.url}/play/{API}{path}"
        return self.session.request(method, url, timeout=10, **more)

    def edit(self) -> str:
        return self("POST", "/edits", json={}).json()["id"]

    def put(self, edit: str, track: str, *releases: dict) -> requests.Response:
        body = {"track": track, "releases": list(releases)}
        return self("PUT", f"/edits/{edit}/tracks/{track}", json=body)

    def commit(self, edit: str, **params: Any) -> requests.Response:
        return self("POST", f"/edits/{edit}:commit", params=params)

    def release(self, track: str, *releases: dict, **params: Any) -> requests.Response:
        """In an edit of its own: the answer of the step that fails, or of the commit."""
        edit = self.edit()
        answer = self.put(edit, track, *releases)
        return answer if answer.status_code != 200 else self.commit(edit, **params)

    def track(self, name: str = "production") -> list[dict]:
        """The releases of a track, read in an edit."""
        edit = self.edit()
        found = self("GET", f"/edits/{edit}/tracks/{name}").json().get("releases", [])
        self("DELETE", f"/edits/{edit}")
        return found

    def states(self, name: str = "production") -> dict[str, str]:
        """The lifecycle of each release, by its name."""
        listed = self("GET", f"/tracks/{name}/releases").json().get("releases", [])
        prefix = "RELEASE_LIFECYCLE_STATE_"
        return {r["releaseName"]: r["releaseLifecycleState"].removeprefix(prefix) for r in listed}

    def act(self, act: str, **facts: Any) -> dict[str, Any]:
        url = f"{self.sandbox.url}/sandbox/api/play/acts/{act}"
        answer = self.session.post(url, json=facts, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, edit: str, raw: bytes) -> requests.Response:
        url = f"{self.sandbox.url}/play/upload/{API}/edits/{edit}/bundles?uploadType=media"
        return self.session.post(url, data=raw, timeout=10)

    def code(self, code: int = 150, version: str = "1.5.0") -> None:
        """A bundle that CI has brought."""
        self.act("upload", version=version, number=code)

    def out(self, code: int = 150, version: str = "1.5.0", fraction: float = 1) -> None:
        """A release in production that is approved and published."""
        self.code(code, version)
        assert self.release("production", staged(code, fraction, version)).status_code == 200
        self.act("approve")


def staged(code: int = 150, fraction: float = 1, name: str = "1.5.0", **more: Any) -> dict:
    """A release for a share of the users; 1 is all of them."""
    status = {"status": "completed"} if fraction == 1 else {"status": "inProgress"}
    share = {} if fraction == 1 else {"userFraction": fraction}
    return {"name": name, "versionCodes": [str(code)], **status, **share, **more}


def words(answer: requests.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return answer.json()["error"]["message"]


def bundle(code: int = 150, package: str = accounts.APP_IDENTIFIER, **more: Any) -> bytes:
    return bundles.make(package, code, "1.5.0", **more)
