"""Requests to the API, and its problem responses."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

SCM = {
    "scmType": "GITHUB",
    "repositoryUrl": "https://github.com/dream11/app",
    "accessToken": "ghp_one",
}
SCMS = "/api/v1/integrations/scm"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Asserts a complete problem with this status and code (RFC 9457)."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "errors"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    assert isinstance(body["errors"], dict)
    return body


def bearer(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client
