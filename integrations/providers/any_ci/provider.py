"""Any CI: a receiver of the tenant's own, which is told to build and reports back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from django.utils import timezone

from integrations.webhook_secrets import live

from ..base import Check, Option, Outcome, ProviderError
from ..ci import OURS, BuildHandle, BuildRequest, BuildState, BuildStatus, CiProvider, Parameter
from ..fields import host_and_path
from ..http import DEADLINE, only_provider_errors
from ..verifying import try_in_order
from .addresses import is_same_server, status_address
from .answers import accepted_build, read_status
from .client import LABEL, ReceiverClient
from .headers import read_headers
from .verification import Verification

SILENCE = timedelta(hours=3)


class AnyCi(CiProvider):
    """`secrets`: the pipeline's valid webhook secrets, with which each request is signed.
    `callback_url`: where builds are reported to. `status_url` may be empty."""

    label = LABEL
    sender = "builds"
    address_field = "trigger_url"
    can_cancel = False
    has_log = False
    lists_builds = False
    deadline = DEADLINE

    def __init__(
        self,
        *,
        trigger_url: str,
        secrets: Sequence[str],
        callback_url: str,
        headers: Mapping[str, str] | None = None,
        status_url: str = "",
    ) -> None:
        self._trigger_url = trigger_url
        self._secrets = secrets
        self._callback_url = callback_url
        self._headers = headers or {}
        self._status_url = status_url

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        headers = connection.api_token
        return cls(
            trigger_url=connection.server_url,
            secrets=live(connection, timezone.now),
            callback_url=connection.webhook_url,
            headers=read_headers(headers.reveal()) if headers else {},
            status_url=_status_url_of(connection),
        )

    @classmethod
    def home_of(cls, connection: Any) -> str | None:
        """A receiver passes builds on: their pages are elsewhere."""
        return None

    @classmethod
    def report_timeout(cls, connection: Any) -> timedelta | None:
        return None if _status_url_of(connection) else SILENCE

    @staticmethod
    def job_name(values: Mapping[str, Any]) -> str:
        return host_and_path(values.get("trigger_url") or "")

    def checks(self) -> Iterator[Check]:
        check = Verification(
            self._client(),
            trigger_url=self._trigger_url,
            has_status=bool(self._status_url),
            keeps_headers=self._status_headers != self._headers,
            ask=self._ask,
        )
        return try_in_order(
            self.label,
            [
                ("address", check.address),
                ("credentials", check.credentials),
                ("status", check.status),
            ],
        )

    def jobs(self) -> list[Option]:
        return []

    def parameters(self) -> list[Parameter] | None:
        return None

    @only_provider_errors
    def trigger(self, request: BuildRequest) -> BuildState:
        """One POST. Its `webhook-id` is the build's id: it stays the same when it is sent again, so
        that a receiver can tell a repeat."""
        if not self._secrets:
            raise ProviderError(
                "secret_unreadable",
                "The webhook secret that signs the trigger cannot be read.",
                "Rotate the pipeline's webhook secret and give the new one to the receiver.",
                outcome=Outcome.CREDENTIALS,
            )
        answer = self._client().post(
            self._trigger_url,
            message_id=request.build_id,
            document={"type": "build.trigger", "data": self._data(request)},
            headers=self._headers,
        )
        return accepted_build(answer)

    def _data(self, request: BuildRequest) -> dict[str, Any]:
        own = {name: value for name, value in request.parameters.items() if name not in OURS}
        return {
            "buildId": request.build_id,
            "version": request.version,
            "branch": request.branch,
            "commit": request.commit or None,
            "platform": request.platform,
            "parameters": own,
            "callbackUrl": self._callback_url,
        }

    @only_provider_errors
    def find(self, request: BuildRequest, *, since: datetime) -> BuildState | None:
        if not self._status_url:
            raise ProviderError.refused(
                "cannot_correlate",
                "The receiver's response was lost, and it has reported nothing since.",
                "Check on your CI whether the build started. Then adopt it, or retry: the same "
                "trigger is sent again with the same webhook-id, so a receiver builds it once.",
            )
        return self._ask(request.build_id)

    @only_provider_errors
    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        """Without a status address it is what a person says of a build: its number, and that it was
        started. Its reports tell the rest."""
        if self._status_url and not build_id:
            raise ProviderError.refused(
                "not_by_number",
                "The status address identifies builds by delivr's ids, not by their numbers.",
                "Retry it, or trigger it again.",
            )
        if self._status_url:
            return self._ask(build_id)
        return BuildState(status=BuildStatus.QUEUED, number=handle.number)

    # --- What is asked ----------------------------------------------------------------------------

    def _ask(self, build_id: str) -> BuildState | None:
        answer = self._client().get(
            status_address(self._status_url, build_id),
            message_id=build_id,
            headers=self._status_headers,
        )
        return read_status(answer, build_id=build_id)

    @property
    def _status_headers(self) -> Mapping[str, str]:
        """They are secrets for the trigger's server alone."""
        url = self._status_url
        return self._headers if url and is_same_server(self._trigger_url, url) else {}

    def _client(self) -> ReceiverClient:
        return ReceiverClient(secrets=self._secrets, deadline=self.deadline)


def _status_url_of(connection: Any) -> str:
    return str(connection.options.get("status_url", ""))
