"""GitHub as a host of repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, Links, Option, ProviderError, Registered, Registration
from ..http import DEADLINE, garbage, guarded, only_provider_errors
from ..scm import Branch, Comparison, HostedRelease, Ref, ReleaseDraft, ScmProvider
from ..verifying import first_contact, try_in_order
from .addresses import GITHUB, Repository, api_url, read_repository
from .branches import look_for
from .comparing import Comparing
from .drafting import draft_release, read_release
from .manifest import registered_from, registration_of
from .refs import HEADS, TAGS, Refs
from .refusals import NOT_FOR_APPS
from .sessions import App, Session
from .verification import MOVED, REPOSITORY_ID, may_push, name_now, verification_of

if TYPE_CHECKING:
    from .client import Answer, GitHubClient

PAGE = 50  # a repository takes 7 KB of a response, which may have 1 MB
PAGES = 4


class GitHub(ScmProvider):
    """One repository. `repository_url` may be empty if only `repositories` is called."""

    label = "GitHub"
    address_field = "repository_url"
    has_releases = True
    registers_apps = True
    discovered = (REPOSITORY_ID,)
    moved_code = MOVED
    deadline = DEADLINE

    def __init__(
        self, *, repository_url: str, access_token: str | Session, repository_id: str = ""
    ) -> None:
        self._repository = read_repository(repository_url)
        self._server = self._repository.server if self._repository else GITHUB
        self._credential = access_token
        self._repository_id = repository_id

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            repository_url=connection.repository_url,
            access_token=credential_of(connection),
            repository_id=connection.options.get(REPOSITORY_ID, ""),
        )

    def checks(self) -> Iterator[Check]:
        check = verification_of(self._credential)(
            self._client, self._name, known_id=self._repository_id
        )
        yield from try_in_order(
            self.label,
            [
                ("credentials", lambda: first_contact(self.label, check.sign_in)),
                ("account", check.account),
                ("repository", check.repository),
                (REPOSITORY_ID, check.identity),
                ("permission", check.permission),
                ("expiry", check.expiry),
            ],
        )
        self.expires_at = check.expires

    @only_provider_errors
    def repositories(self) -> list[Option]:
        """The repositories that the token's owner may write to, most recently pushed first; for an
        app, those that it was installed for.

        https://docs.github.com/en/rest/repos/repos#list-repositories-for-the-authenticated-user
        https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
        """
        client = self._client()
        if isinstance(self._credential, str):
            try:
                found = self._entries(lambda page: client.get("/user/repos", sort="pushed", **page))
            except ProviderError as error:
                if error.code != NOT_FOR_APPS:
                    raise
            else:
                return _options(self._server, filter(may_push, found))
        found = self._entries(lambda page: client.get("/installation/repositories", **page))
        return _options(self._server, found)

    @only_provider_errors
    def address_now(self) -> str:
        name = name_now(self._client(), self._repository_id)
        return f"{self._server}/{name}" if name else ""

    @only_provider_errors
    def branch(self, name: str, *, within: float) -> Branch:
        return look_for(self._client(within), self._name(), name)

    @only_provider_errors
    def default_branch(self) -> str:
        return self._refs().default_branch()

    @only_provider_errors
    def read_branch(self, name: str) -> Ref | None:
        return self._refs().read(HEADS, name)

    @only_provider_errors
    def create_branch(self, name: str, *, commit: str) -> Ref:
        return self._refs().create(HEADS, name, commit)

    @only_provider_errors
    def read_tag(self, name: str) -> Ref | None:
        return self._refs().read(TAGS, name)

    @only_provider_errors
    def create_tag(self, name: str, *, commit: str) -> Ref:
        return self._refs().create(TAGS, name, commit)

    @only_provider_errors
    def compare(self, base: str, head: str, *, most: int) -> Comparison:
        comparing = Comparing(self._client(), self._name(), self._server)
        return comparing.compare(base, head, most=most)

    @only_provider_errors
    def read_release(self, tag: str) -> HostedRelease | None:
        return read_release(self._client(), self._name(), tag)

    @only_provider_errors
    def draft_release(self, draft: ReleaseDraft) -> HostedRelease:
        return draft_release(self._client(), self._name(), draft)

    @classmethod
    def registration(cls, address: str, *, links: Links, state: str) -> Registration:
        return registration_of(_entered(address), links=links, state=state)

    @classmethod
    def registered(cls, address: str, *, code: str, state: str) -> Registered:
        from .client import converted

        server = _entered(address).server

        def exchange() -> Registered:
            data = converted(code, api_url=api_url(server), deadline=cls.deadline)
            return registered_from(data, server=server, state=state)

        return guarded(cls.label, exchange)

    def _refs(self) -> Refs:
        return Refs(self._client(), self._name(), self._server)

    def _entries(self, ask: Callable[[dict[str, int]], Answer]) -> list[dict[str, Any]]:
        """The repositories of all pages, within bounds. Raises ProviderError."""
        entries: list[dict[str, Any]] = []
        for page in range(1, PAGES + 1):
            data = ask({"per_page": PAGE, "page": page}).data
            listed = data.get("repositories") if isinstance(data, dict) else data
            if not isinstance(listed, list):
                raise garbage(self.label)
            entries += [entry for entry in listed if isinstance(entry, dict)]
            if len(listed) < PAGE:
                break
        return entries

    def _name(self) -> str:
        """`owner/name`."""
        return _known(self._repository).full_name

    def _client(self, seconds: float | None = None) -> GitHubClient:
        from .client import GitHubClient  # PyGithub costs 0.7 s to import

        deadline = self.deadline if seconds is None else seconds
        return GitHubClient(self._credential, api_url=api_url(self._server), deadline=deadline)


def credential_of(connection: Any) -> str | Session:
    """The access token of a repository's connection, or the session of its app."""
    app_id = connection.options.get("github_app_id")
    if not app_id:
        return str(connection.access_token.reveal()).strip()
    repository = read_repository(connection.repository_url)
    app = App(
        id=app_id,
        private_key=connection.private_key.reveal(),
        server=repository.server if repository else GITHUB,
        repository=repository.full_name if repository else "",
        installation=connection.options.get("github_installation_id", ""),
    )
    kept = connection.session_token
    return Session(
        app,
        token=kept.reveal() if kept else "",
        about=connection.session,
        keep=connection.keep_session,
    )


def _entered(address: str) -> Repository:
    return _known(read_repository(address))


def _known(repository: Repository | None) -> Repository:
    if repository is not None:
        return repository
    raise ProviderError.refused(
        "bad_repository",
        "This is not the address of a repository.",
        "Enter it like https://github.com/owner/name.",
    )


def _options(server: str, entries: Iterable[dict[str, Any]]) -> list[Option]:
    usable = (entry for entry in entries if not entry.get("archived") and not entry.get("disabled"))
    names = (entry.get("full_name") for entry in usable)
    return [
        Option(value=f"{server}/{name}", label=name)
        for name in names
        if isinstance(name, str) and read_repository(name)
    ]
