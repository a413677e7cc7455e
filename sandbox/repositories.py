"""The state of the GitHub stand-in: repositories and their refs."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Any

from sandbox import accounts
from sandbox.history import WORK, History, RepositoryHistory, digest
from sandbox.shared import Shared


@dataclass(frozen=True)
class Repository:
    id: int
    owner: str
    name: str
    private: bool = True
    archived: bool = False
    visible: bool = True  # to the sandbox's tokens
    description: str = ""
    default_branch: str = "main"

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


REPOSITORIES = (
    Repository(700001, "dream11", "app", description="The mobile app, iOS and Android"),
    Repository(700002, "dream11", "legacy-app", archived=True, description="Moved to dream11/app"),
    Repository(700003, "dream11", "backend", private=False, description="Services behind the app"),
    Repository(700004, "rival", "secret-app", visible=False),
)
DAY = 86_400
# Days until the tokens expire, counted from the sandbox's start.
TOKENS_LAST = {accounts.GITHUB_PUSH_TOKEN: 60, accounts.GITHUB_FINE_GRAINED_TOKEN: 14}
FIRST_BRANCHES = ("main", "develop", "release/1.4.0")
CUT_BY_ITSELF = re.compile(r"refs/heads/release/\d[\w.+-]*")


def fake_sha(*parts: str) -> str:
    return digest(*parts)


class Repositories:
    """Repositories by full name in lower case, refs by repository, and when tokens expire, in real
    time (people see it) and not kept over a restart.

    Unless `cuts_releases` is False, each branch `release/<version>` is created when it is first
    requested, as a team would have done before its release; those in `removed` are not. Until
    something has been built from it, it is only promised, and can still be created.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.refs: dict[str, dict[str, str]] = {
            repo.full_name: {f"refs/heads/{b}": fake_sha(repo.full_name, b) for b in FIRST_BRANCHES}
            for repo in REPOSITORIES
        }
        self.history = History(shared)
        for repo in REPOSITORIES:
            work = WORK if repo is REPOSITORIES[0] else WORK[:1]
            self.history.begin(repo.full_name, self.refs[repo.full_name], work)
        self.renamed: dict[str, str] = {}  # old full names -> new ones
        self.cuts_releases = True
        self.refuses = ""  # a reason, in GitHub's words
        self.removed: set[tuple[str, str]] = set()
        self.promised: set[tuple[str, str]] = set()
        self.token_ends: dict[str, float] = {}
        self.used = 0  # requests that count against the hourly limit, of all tokens
        for token, days in TOKENS_LAST.items():
            self.end_token(token, days)

    def end_token(self, token: str, days: float) -> None:
        """Let the token expire in so many days; 0: it has expired."""
        self.token_ends[token] = time.time() + days * DAY

    def find(self, owner: str, name: str) -> Repository | None:
        """The repository if the sandbox's tokens may see it; names are case-insensitive."""
        wanted = f"{owner}/{name}".lower()
        return next((r for r in self.visible() if r.full_name.lower() == wanted), None)

    def visible(self) -> list[Repository]:
        return [self._as_named(repo) for repo in REPOSITORIES if repo.visible]

    def _as_named(self, repo: Repository) -> Repository:
        owner, _slash, name = self.renamed.get(repo.full_name, repo.full_name).partition("/")
        return replace(repo, owner=owner, name=name)

    def moved(self, owner: str, name: str) -> Repository | None:
        """The repository that had this name before it was renamed."""
        wanted = f"{owner}/{name}".lower()
        found = (new for old, new in self.renamed.items() if old.lower() == wanted)
        return next((self.find(*new.split("/")) for new in found), None)

    def rename(self, old: str, new: str) -> None:
        first = next((o for o, n in self.renamed.items() if n == old), old)
        self.refs[new] = self.refs.pop(old)
        self.history.rename(old, new)
        self.renamed[first] = new
        self._shared.touch()

    def history_of(self, repo: Repository) -> RepositoryHistory:
        """Its history, with a commit for each ref."""
        refs = self.refs[repo.full_name]
        main = refs.get(f"refs/heads/{repo.default_branch}", "")
        tags = self.history.of[repo.full_name].tags
        for ref, sha in refs.items():
            if sha in tags:
                continue
            self.history.note(repo.full_name, sha, main, f"Prepare {ref.split('/', 2)[2]}")
        return self.history.of[repo.full_name]

    def ref(self, repo: Repository, ref: str) -> str | None:
        """The commit that a ref points to; None if there is no such ref."""
        refs = self.refs[repo.full_name]
        is_wanted = self.cuts_releases and (repo.full_name, ref) not in self.removed
        if ref not in refs and is_wanted and CUT_BY_ITSELF.fullmatch(ref):
            refs[ref] = fake_sha(repo.full_name, ref)
            self.promised.add((repo.full_name, ref))
            self._shared.touch()
        return refs.get(ref)

    def head_to_build(self, repo: Repository, ref: str) -> str | None:
        """`ref` of a build, which is then no longer only promised."""
        self.promised.discard((repo.full_name, ref))
        return self.ref(repo, ref)

    def is_taken(self, repo: Repository, ref: str) -> bool:
        return ref in self.refs[repo.full_name] and (repo.full_name, ref) not in self.promised

    def remove_ref(self, repo: Repository, ref: str) -> None:
        self.refs[repo.full_name].pop(ref, None)
        self.removed.add((repo.full_name, ref))
        self._shared.touch()

    def create_ref(self, repo: Repository, ref: str, sha: str) -> None:
        self.refs[repo.full_name][ref] = sha
        self.removed.discard((repo.full_name, ref))
        self.promised.discard((repo.full_name, ref))
        self._shared.record("ref.created", "github", repository=repo.full_name, ref=ref, sha=sha)

    def knows(self, repo: Repository, sha: str) -> bool:
        return sha in self.history_of(repo).commits

    def dump(self) -> dict[str, Any]:
        return {
            "refs": self.refs,
            "cuts_releases": self.cuts_releases,
            "removed": sorted(self.removed),
            "promised": sorted(self.promised),
            "renamed": self.renamed,
            "history": self.history.dump(),
        }

    def load(self, data: dict[str, Any]) -> None:
        self.refs.update(data["refs"])
        self.cuts_releases = data.get("cuts_releases", True)
        self.removed = {(name, ref) for name, ref in data.get("removed", [])}
        self.promised = {(name, ref) for name, ref in data.get("promised", [])}
        self.renamed = data.get("renamed", {})
        self.history.load(data.get("history", {}))
