"""GitLab as a host of repositories, on gitlab.com or any other host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from django.utils.translation import gettext_lazy, ngettext_lazy

from ..base import Check, Option, Options, ProviderError
from ..http import DEADLINE, Budget, only_provider_errors
from ..scm import Branch, Comparison, HostedRelease, Ref, ReleaseDraft, ScmProvider
from ..verifying import try_in_order
from .addresses import GITLAB, Address, read_address
from .branches import look_for
from .client import GitLabClient, find_server
from .comparing import Comparing
from .project import DEVELOPER, Project
from .refs import BRANCH, TAG, Kind, Refs
from .upcoming import prepare_release, read_release
from .verification import Verification

PAGE, PAGES = 50, 4  # projects, of some KB each


class GitLab(ScmProvider):
    """One project. `server` is where a verification found GitLab; without it, it is looked for.
    `repository_url` may name a server only, or be empty, if only `repositories` is called."""

    label = "GitLab"
    address_field = "repository_url"
    discovered = ("server",)
    has_releases = True
    pull_words = ngettext_lazy("%(count)d merge request", "%(count)d merge requests", "count")
    pull_mark = "!"
    draft_words = gettext_lazy("Upcoming release of %(tag)s")
    draft_note = gettext_lazy(
        "GitLab has no drafts: delivr creates an upcoming release with its tag, visible to "
        "everyone who can see the project. To publish it, set its release date on GitLab."
    )
    deadline = DEADLINE

    def __init__(self, *, repository_url: str, access_token: str, server: str = "") -> None:
        self._address = read_address(repository_url) or Address(GITLAB)
        self._token = access_token.strip()
        is_known = server in self._address.servers()
        self._server = server if is_known else ""

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            repository_url=connection.repository_url,
            access_token=connection.access_token.reveal(),
            server=connection.options.get("server", ""),
        )

    def checks(self) -> Iterator[Check]:
        check = Verification(self._find_server, self.project)
        yield from try_in_order(
            self.label,
            [
                ("address", check.address),
                ("credentials", check.credentials),
                ("account", check.account),
                ("repository", check.repository),
                ("permission", check.permission),
                ("expiry", check.expiry),
            ],
        )
        self.expires_at = check.expires

    @only_provider_errors
    def repositories(self) -> Options:
        """The projects to which the token's user may push, most recently used first.

        https://docs.gitlab.com/api/projects/#list-all-projects
        """
        client = self.client()
        pages = client.pages(
            "/projects",
            size=PAGE,
            most=PAGES,
            membership="true",
            min_access_level=DEVELOPER,
            archived="false",
            order_by="last_activity_at",
        )
        paths = [entry.get("path_with_namespace") for page in pages for entry in page]
        found = [
            Option(value=f"{client.server}/{path}", label=path)
            for path in paths
            if isinstance(path, str) and read_address(f"{client.server}/{path}")
        ]
        return Options.cut(found, PAGE * PAGES - 1)

    @only_provider_errors
    def branch(self, name: str, *, within: float) -> Branch:
        return look_for(self.project(within), name)

    @only_provider_errors
    def default_branch(self) -> str:
        return Refs(self.project()).default_branch()

    @only_provider_errors
    def read_branch(self, name: str) -> Ref | None:
        return self._read(BRANCH, name)

    @only_provider_errors
    def create_branch(self, name: str, *, commit: str) -> Ref:
        return Refs(self.project()).create(BRANCH, name, commit)

    @only_provider_errors
    def read_tag(self, name: str) -> Ref | None:
        return self._read(TAG, name)

    @only_provider_errors
    def create_tag(self, name: str, *, commit: str) -> Ref:
        return Refs(self.project()).create(TAG, name, commit)

    @only_provider_errors
    def compare(self, base: str, head: str, *, most: int) -> Comparison:
        return Comparing(self.project()).compare(base, head, most=most)

    @only_provider_errors
    def read_release(self, tag: str) -> HostedRelease | None:
        return read_release(self.project(), tag)

    @only_provider_errors
    def draft_release(self, draft: ReleaseDraft) -> HostedRelease:
        return prepare_release(self.project(), draft)

    def _read(self, kind: Kind, name: str) -> Ref | None:
        return Refs(self.project()).read(kind, name)

    def project(self, seconds: float | None = None) -> Project:
        """Raises ProviderError if the address names none."""
        client = self.client(seconds)
        if path := self._address.project(client.server):
            return Project(client, path)
        raise ProviderError.refused(
            "bad_repository",
            "This is not the address of a project.",
            "Enter it like https://gitlab.com/group/project, with all groups.",
        )

    def client(self, seconds: float | None = None) -> GitLabClient:
        budget = Budget(self.label, self.deadline if seconds is None else seconds)
        server = self._server or self._find_server(budget)
        return GitLabClient(self._token, server=server, deadline=budget.left())

    def _find_server(self, budget: Budget | None = None) -> str:
        seconds = budget.left() if budget else self.deadline
        self._server = find_server(self._address.servers(), deadline=seconds)
        return self._server
