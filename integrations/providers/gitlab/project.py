"""One project: its part of the API and of the pages, and what its refusals mean.

https://docs.gitlab.com/api/projects/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import Outcome, ProviderError
from ..http import garbage
from .addresses import enc
from .refusals import LABEL, MOVED, MOVED_HINT, NO_PROJECT

if TYPE_CHECKING:
    from .client import GitLabClient

REPORTER, DEVELOPER = 20, 30  # https://docs.gitlab.com/api/access_requests/#valid-access-levels
ROLES = {5: "Minimal Access", 10: "Guest", 15: "Planner", REPORTER: "Reporter"}


@dataclass(frozen=True)
class Project:
    """`path` is its own with its groups."""

    client: GitLabClient
    path: str

    @property
    def page(self) -> str:
        """Where people open it."""
        return f"{self.client.server}/{self.path}"

    def get(self, below: str = "", **query: Any) -> Any:
        return self._explained(lambda: self.client.get(self._path(below), **query).data)

    def post(self, below: str, **body: Any) -> Any:
        return self._explained(lambda: self.client.post(self._path(below), **body).data)

    def pages(
        self, below: str, *, size: int, most: int, **query: Any
    ) -> Iterator[list[dict[str, Any]]]:
        pages = self.client.pages(self._path(below), size=size, most=most, **query)
        while (page := self._explained(lambda: next(pages, None))) is not None:
            yield page

    def _path(self, below: str) -> str:
        return f"/projects/{enc(self.path)}{below}"

    def _explained(self, call: Any) -> Any:
        try:
            return call()
        except ProviderError as error:
            failure = error
        if failure.code == MOVED:
            raise moved(self.path)
        raise not_found(self.path) if failure.code == NO_PROJECT else failure

    def read(self) -> dict[str, Any]:
        """The project itself. Raises ProviderError."""
        data = self.get()
        if not isinstance(data, dict) or not isinstance(data.get("id"), int):
            raise garbage(LABEL)
        return data

    def why_forbidden(self, failure: ProviderError) -> ProviderError:
        """GitLab reports neither that a project is archived nor which role is missing."""
        try:
            data = self.read()
        except ProviderError:
            return failure
        if data.get("archived") is True:
            return archived(self.path)
        level = access_level(data)
        return failure if level is None or level >= DEVELOPER else no_push(self.path, level)


def access_level(project: dict[str, Any]) -> int | None:
    """The role of the token's user; None if GitLab does not report it, as for administrators and
    for invited groups."""
    about = project.get("permissions")
    about = about if isinstance(about, dict) else {}
    ways = (about.get(name) for name in ("project_access", "group_access"))
    levels = [way.get("access_level") for way in ways if isinstance(way, dict)]
    return max((level for level in levels if isinstance(level, int)), default=None)


def not_found(path: str) -> ProviderError:
    return ProviderError.refused(
        "repository_not_found",
        f"GitLab has no project {path}, or this token may not see it.",
        "Check the spelling, with all groups. The token must belong to this project or to a group "
        "above it, or its user must be a member of the project.",
    )


def moved(path: str) -> ProviderError:
    return ProviderError.refused(MOVED, f"{path} was renamed or moved.", MOVED_HINT)


def archived(path: str) -> ProviderError:
    return ProviderError.refused(
        "archived",
        f"{path} is archived: nothing can be pushed to it.",
        "Choose another project, or unarchive this one on GitLab.",
    )


def no_push(path: str, level: int) -> ProviderError:
    role = ROLES.get(level, "too low")
    return ProviderError(
        "no_push",
        f"The role of the token's user in {path} is {role}, which cannot push.",
        "Give it the Developer role, or Maintainer where branches or tags are protected, or enter "
        "another token.",
        outcome=Outcome.CREDENTIALS,
    )
