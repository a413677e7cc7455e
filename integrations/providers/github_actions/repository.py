"""The repository whose workflows run, and the addresses of its pages in the browser."""

from __future__ import annotations

from dataclasses import dataclass

from ..github.addresses import Repository, pages_of


@dataclass(frozen=True)
class Pages:
    repository: Repository

    @property
    def server(self) -> str:
        return pages_of(self.repository.server)

    def run(self, run: int, attempt: int = 1) -> str:
        page = f"{self.server}/{self.repository.full_name}/actions/runs/{run}"
        return page if attempt == 1 else f"{page}/attempts/{attempt}"
