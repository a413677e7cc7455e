"""GitHub as the place where the code lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, Option, Outcome, ProviderError, ScmProvider
from ..http import DEADLINE, garbage, only_provider_errors
from ..verifying import first_contact, try_in_order
from .addresses import GITHUB, api_url, read_repository
from .verification import Verification

if TYPE_CHECKING:
    from .client import GitHubClient

PAGE = 50  # a repository takes 7 KB of an answer that may have 1 MB
PAGES = 4


class GitHub(ScmProvider):
    """One repository. `repository_url` may be empty as long as only `repositories` is asked."""

    label = "GitHub"
    secret_fields = ("access_token",)
    address_field = "repository_url"
    deadline = DEADLINE

    def __init__(self, *, repository_url: str, access_token: str) -> None:
        self._repository = read_repository(repository_url)
        self._server = self._repository.server if self._repository else GITHUB
        self._token = access_token.strip()

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            repository_url=connection.repository_url,
            access_token=connection.access_token.reveal(),
        )

    def checks(self) -> Iterator[Check]:
        check = Verification(self._client, self._name)
        yield from try_in_order(
            self.label,
            [
                ("credentials", lambda: first_contact(self.label, check.sign_in)),
                ("account", check.account),
                ("repository", check.repository),
                ("permission", check.permission),
                ("expiry", check.expiry),
            ],
        )
        self.expires_at = check.expires

    @only_provider_errors
    def repositories(self) -> list[Option]:
        """Those that the token's owner may write to, the most recently pushed first.

        https://docs.github.com/en/rest/repos/repos#list-repositories-for-the-authenticated-user
        """
        client, options = self._client(), []
        for page in range(1, PAGES + 1):
            answer = client.get("/user/repos", sort="pushed", per_page=PAGE, page=page)
            if not isinstance(answer.data, list):
                raise garbage(self.label)
            found = (_option(self._server, entry) for entry in answer.data)
            options += [option for option in found if option]
            if len(answer.data) < PAGE:
                break
        return options

    def _name(self) -> str:
        """`owner/name`."""
        if self._repository is not None:
            return self._repository.full_name
        raise ProviderError(
            "bad_repository",
            "This is no address of a repository.",
            "Enter it like https://github.com/owner/name.",
            outcome=Outcome.REFUSED,
        )

    def _client(self) -> GitHubClient:
        from .client import GitHubClient  # PyGithub costs 0.7 s to import

        return GitHubClient(self._token, api_url=api_url(self._server), deadline=self.deadline)


def _option(server: str, entry: object) -> Option | None:
    if not isinstance(entry, dict) or entry.get("archived") or entry.get("disabled"):
        return None
    name, permissions = entry.get("full_name"), entry.get("permissions")
    may_push = isinstance(permissions, dict) and permissions.get("push") is True
    if not may_push or not isinstance(name, str) or read_repository(name) is None:
        return None
    return Option(value=f"{server}/{name}", label=name)
