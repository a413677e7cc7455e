"""The checks of a GitLab connection. They only read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..base import Check, ProviderError
from ..http import garbage
from ..verifying import expiry_checks
from .project import DEVELOPER, Project, access_level, archived, moved, no_push
from .refusals import LABEL, missing_scope

if TYPE_CHECKING:
    from .client import GitLabClient


class Verification:
    """`find_server` tells where GitLab is, `project` is called after that."""

    def __init__(self, find_server: Callable[[], str], project: Callable[[], Project]) -> None:
        self._find_server = find_server
        self._make_project = project
        self.expires: datetime | None = None
        self._scopes: frozenset[str] | None = None

    def address(self) -> list[Check]:
        """What is found is kept, see `GitLab.discovered`."""
        server = self._find_server()
        return [
            Check(name="address", ok=True),
            Check(name="server", ok=True, message=server),
        ]

    def credentials(self) -> list[Check]:
        """https://docs.gitlab.com/api/users/#retrieve-the-current-user"""
        self._project = self._make_project()
        user = self._client.get("/user").data
        if not isinstance(user, dict) or not isinstance(user.get("username"), str):
            raise garbage(LABEL)
        self._login = self._client.words(user["username"])
        return []

    @property
    def _client(self) -> GitLabClient:
        return self._project.client

    def account(self) -> list[Check]:
        return [Check(name="account", ok=True, message=f"Signed in as {self._login}.")]

    def repository(self) -> list[Check]:
        """GitLab redirects reads of a moved project, and a proxy may follow."""
        path = self._project.path
        self._data = self._project.read()
        if str(self._data.get("path_with_namespace")).casefold() != path.casefold():
            raise moved(path)
        if self._data.get("archived") is True:
            raise archived(path)
        if self._data.get("repository_access_level") == "disabled":
            raise ProviderError.refused(
                "disabled",
                f"{path} has no repository: this feature is turned off.",
                "Turn it on in GitLab under Settings > General > Visibility, or choose another "
                "project.",
            )
        return []

    def permission(self) -> list[Check]:
        self._read_token()
        if self._scopes is not None and "api" not in self._scopes:
            raise missing_scope()
        level = access_level(self._data)
        if level is not None and level < DEVELOPER:
            raise no_push(self._project.path, level)
        if self._scopes is None or level is None:
            return [Check.untested("permission", _NEEDS)]
        return []

    def _read_token(self) -> None:
        """Unknown to OAuth and to GitLab before 15.5:
        https://docs.gitlab.com/api/personal_access_tokens/#self-inform"""
        try:
            token = self._client.get("/personal_access_tokens/self").data
        except ProviderError as error:
            if error.is_temporary:
                raise
            return
        scopes = token.get("scopes") if isinstance(token, dict) else None
        if isinstance(scopes, list):
            self._scopes = frozenset(scope for scope in scopes if isinstance(scope, str))
            self.expires = _beginning_of(token.get("expires_at"))

    def expiry(self) -> list[Check]:
        return expiry_checks(self.expires, LABEL)


_NEEDS = (
    "GitLab does not report the permissions of this token. It needs the api scope, and its "
    "user the Developer role, or Maintainer if branches or tags are protected."
)


def _beginning_of(day: Any) -> datetime | None:
    """Tokens end at midnight UTC of their last day: https://docs.gitlab.com/security/tokens/"""
    try:
        return datetime.strptime(str(day), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
