"""The repository whose workflows run, and the addresses of its pages in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..github.addresses import GITHUB, Repository, api_url
from .paths import PUBLIC_API


@dataclass(frozen=True)
class Pages:
    repository: Repository

    @property
    def server(self) -> str:
        """Where its pages are. A stand-in for github.com's API shows pages of its own."""
        api = api_url(self.repository.server)
        if self.repository.server == GITHUB and api != PUBLIC_API:
            parts = urlsplit(api)
            return f"{parts.scheme}://{parts.netloc}"
        return self.repository.server

    def run(self, run: int, attempt: int = 1) -> str:
        page = f"{self.server}/{self.repository.full_name}/actions/runs/{run}"
        return page if attempt == 1 else f"{page}/attempts/{attempt}"
