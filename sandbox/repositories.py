"""The state of the GitHub stand-in: repositories and their refs."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Any

from sandbox import accounts
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
    return hashlib.sha1("/".join(parts).encode(), usedforsecurity=False).hexdigest()


class Repositories:
    """Repositories by full name in lower case, refs by repository, and when tokens expire, in real
    time (people see it) and not kept over a restart.

    Unless `cuts_releases` is False, each branch `release/<version>` is created when it is first
    requested, as a team would have done before its release; those in `removed` are not.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.refs: dict[str, dict[str, str]] = {
            repo.full_name: {f"refs/heads/{b}": fake_sha(repo.full_name, b) for b in FIRST_BRANCHES}
            for repo in REPOSITORIES
        }
        self.cuts_releases = True
        self.refuses = ""  # a reason, in GitHub's words
        self.removed: set[tuple[str, str]] = set()
        self.token_ends: dict[str, float] = {}
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
        return [repo for repo in REPOSITORIES if repo.visible]

    def ref(self, repo: Repository, ref: str) -> str | None:
        """The commit that a ref points to; None if there is no such ref."""
        refs = self.refs[repo.full_name]
        is_wanted = self.cuts_releases and (repo.full_name, ref) not in self.removed
        if ref not in refs and is_wanted and CUT_BY_ITSELF.fullmatch(ref):
            refs[ref] = fake_sha(repo.full_name, ref)
            self._shared.touch()
        return refs.get(ref)

    def remove_ref(self, repo: Repository, ref: str) -> None:
        self.refs[repo.full_name].pop(ref, None)
        self.removed.add((repo.full_name, ref))
        self._shared.touch()

    def create_ref(self, repo: Repository, ref: str, sha: str) -> None:
        self.refs[repo.full_name][ref] = sha
        self.removed.discard((repo.full_name, ref))
        self._shared.record("ref.created", "github", repository=repo.full_name, ref=ref, sha=sha)

    def knows(self, repo: Repository, sha: str) -> bool:
        return sha in self.refs[repo.full_name].values()

    def dump(self) -> dict[str, Any]:
        return {
            "refs": self.refs,
            "cuts_releases": self.cuts_releases,
            "removed": sorted(self.removed),
        }

    def load(self, data: dict[str, Any]) -> None:
        self.refs.update(data["refs"])
        self.cuts_releases = data.get("cuts_releases", True)
        self.removed = {(name, ref) for name, ref in data.get("removed", [])}
