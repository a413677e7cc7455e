"""What Jenkins jobs send when a build starts and ends: in the background, to loopback only.

As with the Notification plugin the receiver's answer has no effect; it is only recorded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from sandbox.action_runs import Hook, Run
from sandbox.ci_jobs import Build, Job
from sandbox.github_json import actor_json, job_json, run_json
from sandbox.project_hooks import ProjectHook, event_headers
from sandbox.shared import Shared

logger = logging.getLogger(__name__)
TIMEOUT = 5  # seconds for connecting, and for each read
BASIC_USER = "delivr"


@dataclass(frozen=True)
class Delivery:
    url: str
    body: bytes
    headers: dict[str, str]
    facts: dict[str, Any]
    generation: int  # how many resets came before it
    provider: str = "jenkins"
    answered: Callable[[int | str], None] | None = None  # is told the answer


def is_loopback(url: str) -> bool:
    """True for http(s) URLs on this computer, by name or IP address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def signing_key(secret: str) -> bytes:
    """The HMAC key of a secret: base64 after `whsec_`; any other text is used unchanged.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    text = secret.removeprefix("whsec_")
    try:
        return (
            base64.b64decode(text, validate=True) if secret.startswith("whsec_") else text.encode()
        )
    except (binascii.Error, ValueError):
        return text.encode()


def signature(secret: str, message: bytes) -> bytes:
    return hmac.new(signing_key(secret), message, hashlib.sha256).digest()


def signed_headers(
    secret: str, body: bytes, *, timestamp: int, message_id: str = ""
) -> dict[str, str]:
    """Standard Webhooks headers, with a new id if none is given."""
    message_id = message_id or f"msg_{uuid.uuid4().hex}"
    digest = signature(secret, f"{message_id}.{timestamp}.".encode() + body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def plain_body(build: Build, status: str, build_url: str) -> dict[str, Any]:
    """The body that a Jenkinsfile's own `post` step sends."""
    body: dict[str, Any] = {"buildNumber": build.number, "status": status}
    if build.artifact:
        body["artifactUrl"] = f"s3://builds/{build.artifact}"
    body |= {"buildUrl": build_url, "queueId": build.queue_id}
    if build_id := build.parameters.get("DELIVR_BUILD_ID"):
        body["buildId"] = build_id
    return body


def notification_body(job: Job, build: Build, phase: str, build_url: str) -> dict[str, Any]:
    """The Notification plugin's body; null values are left out, as its Gson does.

    https://plugins.jenkins.io/notification/
    """
    path = "".join(f"job/{quote(part, safe='')}/" for part in job.full_name.split("/"))
    state: dict[str, Any] = {
        "full_url": build_url,
        "number": build.number,
        "queue_id": build.queue_id,
        "timestamp": int((build.ended_at or build.started_at) * 1000),
        "duration": int(((build.ended_at or build.started_at) - build.started_at) * 1000),
        "phase": phase,
        "url": f"{path}{build.number}/",
        "scm": {"changes": [], "culprits": []},
        "parameters": build.parameters,
        "log": "",
        "notes": "",
        "artifacts": _notification_artifacts(build, build_url),
    }
    if build.result and phase in ("COMPLETED", "FINALIZED"):
        state["status"] = build.result
    return {"name": job.name, "display_name": job.name, "url": path, "build": state}


def _notification_artifacts(build: Build, build_url: str) -> dict[str, Any]:
    if not build.artifact:
        return {}
    return {build.artifact: {"archive": f"{build_url}artifact/{build.artifact}"}}


class Sender:
    """A background thread that sends deliveries in the order in which they were queued."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._waiting: queue.Queue[Delivery | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._generation = 0
        self._held: dict[int, Delivery] = {}  # by hook: sent after the next one

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send what is queued, then end."""
        self._waiting.put(None)
        if self._thread:
            self._thread.join(timeout=2 * TIMEOUT)

    def forget(self) -> None:
        """Reset: what is queued is not sent, what is being sent is not recorded."""
        self._generation += 1
        self._held.clear()

    def github(self, hooks: Iterable[Hook], event: str, run: Run, action: str) -> None:
        """Tell each of the repository's hooks of a run or its job."""
        for hook in hooks:
            if hook.url and event in hook.events and hook.trouble != "dropped":
                self._to_hook(hook, self._github_delivery(hook, event, run, action))

    def _to_hook(self, hook: Hook, delivery: Delivery) -> None:
        if hook.trouble == "shuffled" and hook.id not in self._held:
            self._held[hook.id] = delivery
            return
        times = 2 if hook.trouble == "doubled" else 1
        for one in [delivery] * times + [d for d in [self._held.pop(hook.id, None)] if d]:
            self._waiting.put(one)

    def _github_delivery(self, hook: Hook, event: str, run: Run, action: str) -> Delivery:
        """https://docs.github.com/en/webhooks/webhook-events-and-payloads"""
        urls = {"api": f"{self._shared.base_url}/github", "web": self._shared.base_url}
        shown = (
            job_json(run, run.last, **urls)
            if event == "workflow_job"
            else run_json(run, run.last, workflow_id=0, **urls)
        )
        body = _encode(
            {
                "action": action,
                event: shown,
                "repository": {"id": 700001, "full_name": run.repository, "private": True},
                "sender": actor_json(run.last.actor, urls["api"]),
            }
        )
        mac = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/sandbox",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-GitHub-Hook-ID": str(hook.id),
            "X-Hub-Signature-256": f"sha256={mac}",
        }
        facts = {"run": run.id, "number": run.number, "event": event, "action": action}
        return Delivery(hook.url, body, headers, facts, self._generation, "github")

    def gitlab(self, hook: ProjectHook, told: dict[str, Any]) -> None:
        """Tell one of a project's hooks of a pipeline. Too many refusals switch the hook off."""
        body, headers = _encode(told), event_headers(hook, f"{self._shared.base_url}/gitlab")
        if hook.signing_token:
            headers |= signed_headers(
                hook.signing_token,
                body,
                timestamp=int(time.time()),
                message_id=headers["Idempotency-Key"],
            )
        about = told["object_attributes"]
        facts = {"pipeline": about["id"], "number": about["id"], "status": about["status"]}
        delivery = Delivery(
            hook.url,
            body,
            headers,
            facts,
            self._generation,
            "gitlab",
            lambda answer: hook.answered(answer, self._shared.clock()),
        )
        self._waiting.put(delivery)

    def report(self, url: str, body: dict[str, Any], secret: str, facts: dict[str, Any]) -> None:
        """A report of Any CI, signed."""
        content = _encode(body)
        headers = signed_headers(secret, content, timestamp=int(time.time()))
        headers["Content-Type"] = "application/json"
        self._waiting.put(Delivery(url, content, headers, facts, self._generation, "any_ci"))

    def deliver(
        self,
        url: str,
        body: bytes,
        headers: dict[str, str],
        facts: dict[str, Any],
        *,
        provider: str,
        answered: Callable[[int | str], None] | None = None,
    ) -> None:
        """Queue a delivery that its provider has signed itself."""
        self._waiting.put(Delivery(url, body, headers, facts, self._generation, provider, answered))

    def build_started(self, job: Job, build: Build) -> None:
        self._report(job, build, "RUNNING", ("QUEUED", "STARTED"))

    def build_ended(self, job: Job, build: Build) -> None:
        self._report(job, build, build.result or "", ("COMPLETED", "FINALIZED"))

    def _report(self, job: Job, build: Build, status: str, phases: tuple[str, ...]) -> None:
        if job.webhook.style == "signed":
            self._sign(job, build, status)
        elif job.webhook.style == "notification":
            for phase in phases:
                self._notify(job, build, phase)

    def _sign(self, job: Job, build: Build, status: str) -> None:
        body = _encode(plain_body(build, status, self._build_url(build)))
        headers = signed_headers(job.webhook.secret, body, timestamp=int(time.time()))
        self._put(job, build, body, headers, status=status)

    def _notify(self, job: Job, build: Build, phase: str) -> None:
        body = _encode(notification_body(job, build, phase, self._build_url(build)))
        user = base64.b64encode(f"{BASIC_USER}:{job.webhook.secret}".encode()).decode()
        self._put(job, build, body, {"Authorization": f"Basic {user}"}, phase=phase)

    def _build_url(self, build: Build) -> str:
        path = "/job/".join(build.job.replace("%", "%25").split("/"))
        return f"{self._shared.base_url}/jenkins/job/{path}/{build.number}/"

    def _put(
        self, job: Job, build: Build, body: bytes, headers: dict[str, str], **facts: Any
    ) -> None:
        facts |= {"job": job.full_name, "number": build.number, "style": job.webhook.style}
        headers = {"Content-Type": "application/json", **headers}
        self._waiting.put(Delivery(job.webhook.url, body, headers, facts, self._generation))

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            if delivery.generation == self._generation:
                self._record(delivery, self._send(delivery))

    def _record(self, delivery: Delivery, answer: int | str) -> None:
        with self._shared.lock:
            if delivery.generation == self._generation:
                if delivery.answered is not None:
                    delivery.answered(answer)
                facts = {"url": _bare(delivery.url), "answer": answer, **delivery.facts}
                self._shared.record("webhook.sent", delivery.provider, **facts)

    @staticmethod
    def _send(delivery: Delivery) -> int | str:
        """The status of the answer, or the name of the error."""
        if not is_loopback(delivery.url):
            return "refused: only loopback addresses"
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    delivery.url,
                    data=delivery.body,
                    headers=delivery.headers,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            return answer.status_code
        except requests.RequestException as error:
            return type(error).__name__


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _bare(url: str) -> str:
    """The URL without user, query and fragment, which may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
