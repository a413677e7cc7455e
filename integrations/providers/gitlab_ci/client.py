"""What pipelines need of GitLab's API beyond JSON: refusals to be read, and files.

https://docs.gitlab.com/api/jobs/#get-a-log-file
https://docs.gitlab.com/api/job_artifacts/
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from delivr import outbound
from delivr.outbound import Download, OutboundError, open_download

from ..base import ProviderError
from ..gitlab.client import GitLabClient
from ..gitlab.project import Project
from ..gitlab.refusals import LABEL, Refusal
from ..http import guarded

LONGEST_LOG = 64 * 1024 * 1024  # bytes that are read to reach its end


class PipelineClient(GitLabClient):
    """All calls together take at most the `deadline`, but for downloads, which have their own."""

    def open(self, path: str) -> Download:
        """Open a file, which GitLab sends itself, or leads to by an address that is a credential in
        itself: our token must not be sent there. A tenant's server must not lead to another one
        within the operator's network."""
        try:
            download = open_download(self._url(path), auth=self._sign)
        except OutboundError as error:
            if error.code != "redirect":
                raise
        else:
            return _checked(download)
        address = self._address_of(path)
        is_elsewhere = urlsplit(address).hostname != urlsplit(self.server).hostname
        return _checked(open_download(address, only_public=is_elsewhere))

    def _address_of(self, path: str) -> str:
        with outbound.session(deadline=self._budget.left(), keep_redirects=True) as session:
            answer = session.get(self._url(path), auth=self._sign)
        address = answer.headers.get("Location", "")
        outbound.check_url(address.partition("?")[0])  # what follows is the storage's signature
        return address

    def end_of(self, path: str, most: int) -> bytes:
        """The last `most` bytes of a file. GitLab knows no ranges of logs, so all of it is read, in
        parts; b"" for one that is longer than can be read."""
        parts, size, kept = deque[bytes](), 0, 0
        download = self.open(path)
        try:
            for part in download:
                size, kept = size + len(part), kept + len(part)
                parts.append(part)
                while kept - len(parts[0]) >= most:
                    kept -= len(parts.popleft())
                if size > LONGEST_LOG or not self._budget.left():
                    return b""
        finally:
            download.close()
        return b"".join(parts)[-most:]

    def _url(self, path: str) -> str:
        return f"{self.server}/api/v4{path}"

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class PipelineProject(Project):
    """`path` may also be the project's number."""

    client: PipelineClient

    def post_once(self, below: str, body: dict[str, Any]) -> Refusal:
        """POST once, and answer whatever the status is."""
        return guarded(
            LABEL, lambda: self.client.exchange(method="POST", path=self._path(below), json=body)
        )

    def open(self, below: str) -> Download:
        return guarded(LABEL, lambda: self.client.open(self._path(below)))

    def end_of(self, below: str, most: int) -> bytes:
        return guarded(LABEL, lambda: self.client.end_of(self._path(below), most))


def _checked(download: Download) -> Download:
    if download.status == 200:
        return download
    download.close()
    raise ProviderError.refused(
        "file_gone",
        f"GitLab does not have this file (any more) (HTTP {download.status}).",
        "Open the job in GitLab.",
    )
