"""Requests to the App Store Connect stand-in, for its tests."""

from __future__ import annotations

import time
from typing import Any

import jwt
import requests

from sandbox import accounts
from sandbox.server import SandboxServer

APP = {"type": "apps", "id": "6450000001"}


class Apple:
    """App Store Connect over HTTP with a valid token, and the sandbox's acts."""

    def __init__(self, sandbox: SandboxServer, key_id: str = accounts.APPLE_KEY_ID) -> None:
        self.sandbox = sandbox
        self.key_id = key_id
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        now = int(time.time())
        claims = {"iss": accounts.APPLE_ISSUER_ID, "iat": now - 30, "exp": now + 600}
        token = jwt.encode(
            {**claims, "aud": "appstoreconnect-v1"},
            self.sandbox.accounts.apple_api_key,
            algorithm="ES256",
            headers={"kid": self.key_id},
        )
        url = path if path.startswith("http") else f"{self.sandbox.url}/appstore{path}"
        headers = {"Authorization": f"Bearer {token}"}
        return self.session.request(method, url, headers=headers, timeout=10, **more)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = self("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, kind: str, attributes: Any = None, **related: dict) -> requests.Response:
        return self("POST", f"/v1/{kind}", json={"data": _data(kind, attributes, related)})

    def patch(self, thing: dict, **attributes: Any) -> requests.Response:
        data = {"type": thing["type"], "id": thing["id"], "attributes": attributes}
        return self("PATCH", f"/v1/{thing['type']}/{thing['id']}", json={"data": data})

    def delete(self, thing: dict) -> requests.Response:
        return self("DELETE", f"/v1/{thing['type']}/{thing['id']}")

    def again(self, thing: dict) -> dict[str, Any]:
        """Its attributes now."""
        return self.get(f"/v1/{thing['type']}/{thing['id']}")["data"]["attributes"]

    def act(self, act: str, **facts: Any) -> dict[str, Any]:
        answer = self.try_act(act, **facts)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def try_act(self, act: str, **facts: Any) -> requests.Response:
        url = f"{self.sandbox.url}/sandbox/api/appstore/acts/{act}"
        return self.session.post(url, json=facts, timeout=10)

    # Steps that many tests take

    def build(self, version: str = "1.5.0", number: str = "245", **facts: Any) -> dict:
        build = self.act("upload", version=version, number=number, **facts)
        return self.act("process", id=build["id"])

    def version(self, number: str = "1.5.0", **attributes: Any) -> dict:
        self.act("settings", hidden_reads=0)
        values = {"platform": "IOS", "versionString": number, **attributes}
        answer = self.post("appStoreVersions", values, app=APP)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def ready_version(self, **attributes: Any) -> dict:
        """With a build, release notes and everything else that a review needs."""
        number = attributes.pop("versionString", "1.5.0")
        build = self.build(number, "246", encryption=False)
        version = self.version(number, **attributes)
        path = f"/v1/appStoreVersions/{version['id']}"
        data = {"type": "builds", "id": build["id"]}
        answer = self("PATCH", f"{path}/relationships/build", json={"data": data})
        assert answer.status_code == 204, answer.text
        for words in self.get(f"{path}/appStoreVersionLocalizations")["data"]:
            assert self.patch(words, whatsNew="Faster.").status_code == 200
        return version

    def submission(self, version: dict) -> dict:
        """With the version in it, ready to be submitted."""
        made = self.post("reviewSubmissions", {"platform": "IOS"}, app=APP).json()["data"]
        item = self.post("reviewSubmissionItems", reviewSubmission=made, appStoreVersion=version)
        assert item.status_code == 201, item.text
        self.sandbox.state.advance(1)
        return made

    def submitted(self, **attributes: Any) -> tuple[dict, dict]:
        """A version that waits for review, and its submission."""
        version = self.ready_version(**attributes)
        submission = self.submission(version)
        answer = self.patch(submission, submitted=True)
        assert answer.status_code == 200, answer.text
        return version, submission

    def state(self, version: dict) -> str:
        return self.again(version)["appVersionState"]


def _data(kind: str, attributes: Any, related: dict[str, dict]) -> dict[str, Any]:
    data: dict[str, Any] = {"type": kind}
    if attributes is not None:
        data["attributes"] = attributes
    if related:
        data["relationships"] = {
            name: {"data": {"type": one["type"], "id": one["id"]}} for name, one in related.items()
        }
    return data


def problem(answer: requests.Response) -> tuple[int, str]:
    """The status and the words of a refusal."""
    errors = answer.json()["errors"]
    return answer.status_code, errors[0].get("detail", errors[0]["title"])
