"""The state of the GitLab stand-in: projects, their branches and tags, and who may do what."""

from __future__ import annotations

import fnmatch
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox import accounts
from sandbox.history import WORK, History, Pull, RepositoryHistory, digest
from sandbox.shared import Shared

APP = 4201  # the project with a history
NOBODY, REPORTER, DEVELOPER, MAINTAINER = 0, 20, 30, 40
DAY = 86_400
FIRST_BRANCHES = ("main", "develop", "release/1.4.0")
BROUGHT_BY = "\n\nSee merge request {name}!{number}"


@dataclass(frozen=True)
class Token:
    """`level` is the role of its user in every project that it sees."""

    id: int
    name: str
    username: str
    level: int
    scopes: tuple[str, ...]
    is_oauth: bool = False  # taken as Bearer only, and unknown to /personal_access_tokens/self
    days: float = 60  # until it expires, counted from the sandbox's start


TOKENS = {
    accounts.GITLAB_TOKEN: Token(71, "delivr", "project_4201_bot_5f2c", MAINTAINER, ("api",)),
    accounts.GITLAB_DEVELOPER_TOKEN: Token(72, "dev", "project_4201_bot_91ab", DEVELOPER, ("api",)),
    accounts.GITLAB_REPORTER_TOKEN: Token(73, "watch", "priya", REPORTER, ("api",)),
    accounts.GITLAB_READ_TOKEN: Token(74, "read", "priya", MAINTAINER, ("read_api",)),
    accounts.GITLAB_OAUTH_TOKEN: Token(75, "", "priya", MAINTAINER, ("api",), is_oauth=True),
    accounts.GITLAB_EXPIRED_TOKEN: Token(76, "old", "priya", MAINTAINER, ("api",), days=-1),
}


@dataclass
class Protected:
    """A protected branch or tag, or a wildcard. `level`: the lowest role that may create it."""

    name: str
    kind: str = "heads"
    level: int = MAINTAINER


@dataclass
class Project:
    id: int
    path: str  # with its groups
    private: bool = True
    archived: bool = False
    visible: bool = True  # to the sandbox's tokens
    default_branch: str | None = "main"  # None: it is empty
    protected: list[Protected] = field(default_factory=lambda: [Protected("main")])
    merge_requests_enabled: bool = True
    ci_config_path: str = ""
    builds_enabled: bool = True
    variables_role: str = "developer"  # or maintainer, owner, no_one_allowed: who may set variables
    earlier_paths: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        return self.path.rpartition("/")[0]

    def protecting(self, kind: str, name: str) -> Protected | None:
        fitting = (
            p for p in self.protected if p.kind == kind and fnmatch.fnmatchcase(name, p.name)
        )
        return next(fitting, None)


def first_projects() -> list[Project]:
    return [
        Project(APP, "dream11/mobile/app"),
        Project(4202, "dream11/mobile/legacy-app", archived=True),
        Project(4203, "dream11/backend", private=False),
        Project(4204, "dream11/mobile/empty", default_branch=None, protected=[]),
        Project(4205, "rival/secret-app", visible=False),
    ]


class Projects:
    """Refs by the project's id, histories by its path. `version` is the server's; `calls_left` of
    the rate limit, if it is to be reached."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.version = "18.6.1-ee"
        self.calls_left: int | None = None
        self.projects = {project.id: project for project in first_projects()}
        self.refs: dict[int, dict[str, str]] = {}
        self.history = History(shared, brought_by=BROUGHT_BY)
        for project in self.projects.values():
            self._begin(project)
        self.token_ends = {t: time.time() + about.days * DAY for t, about in TOKENS.items()}
        self.revoked: set[str] = set()

    def _begin(self, project: Project) -> None:
        branches = FIRST_BRANCHES if project.default_branch else ()
        refs = {f"refs/heads/{name}": digest(project.path, name) for name in branches}
        self.refs[project.id] = refs
        if refs:
            work = WORK if project.id == APP else WORK[:1]
            self.history.begin(project.path, refs, work)
        else:
            self.history.of[project.path] = RepositoryHistory()

    def find(self, id_or_path: str) -> Project | None:
        """By its number or its path, also an earlier one; names are case-insensitive."""
        visible = [project for project in self.projects.values() if project.visible]
        if id_or_path.isdecimal():
            return next((p for p in visible if p.id == int(id_or_path)), None)
        wanted = id_or_path.lower()
        now = (p for p in visible if p.path.lower() == wanted)
        earlier = (p for p in visible if wanted in (path.lower() for path in p.earlier_paths))
        return next(now, None) or next(earlier, None)

    def move(self, project: Project, path: str) -> None:
        self.history.rename(project.path, path)
        project.earlier_paths.append(project.path)
        project.path = path
        self._shared.touch()

    def end_token(self, token: str, days: float) -> None:
        """Let the token expire in so many days; 0: it has expired."""
        self.token_ends[token] = time.time() + days * DAY

    def history_of(self, project: Project) -> RepositoryHistory:
        return self.history.of[project.path]

    def commit(self, project: Project, ref: str) -> str | None:
        """The commit of a branch, a tag, or an id, which may be abbreviated."""
        refs, history = self.refs[project.id], self.history_of(project)
        for kind in ("heads", "tags"):
            if (sha := refs.get(f"refs/{kind}/{ref}")) is not None:
                return history.tags.get(sha, sha)
        full = refs.get(ref) or refs.get(f"refs/{ref}")
        if full:
            return history.tags.get(full, full)
        return next((c for c in history.commits if len(ref) >= 7 and c.startswith(ref)), None)

    def create_ref(self, project: Project, ref: str, sha: str) -> None:
        self.refs[project.id][ref] = sha
        self._shared.record("ref.created", "gitlab", repository=project.path, ref=ref, sha=sha)

    def remove_ref(self, project: Project, ref: str) -> None:
        self.refs[project.id].pop(ref, None)
        self._shared.touch()

    def push(self, project: Project, branch: str, **about: Any) -> str:
        """New commits on a branch (see `History.push`); the id of the last one. Raises LookupError
        if there is no such branch."""
        ref = f"refs/heads/{branch}"
        sha = self.history.push(project.path, self.refs[project.id][ref], **about)
        self.refs[project.id][ref] = sha
        return sha

    def merge(self, project: Project, *, count: int, fast_forward: bool = False) -> list[str]:
        """A merge request of so many commits, which are taken as they are; without `fast_forward` a
        merge commit brings them. The ids of all, oldest first."""
        history, ref = self.history_of(project), f"refs/heads/{project.default_branch}"
        number, before = max(history.pulls, default=0) + 1, self.refs[project.id][ref]
        title = f"Request {number}"
        last = self.history.push(project.path, before, count=count, message=title)
        made = [commit.sha for commit in history.only_in(last, before)]
        if not fast_forward:
            words = f"Merge branch 'request-{number}' into '{project.default_branch}'"
            last = self.history.push(project.path, before, message=words)
            history.commits[last].parents.append(made[-1])
            history.commits[last].at = history.commits[made[-1]].at + 0.001
            made.append(last)
        for sha in made:
            history.commits[sha].pull = number
        history.pulls[number] = Pull(number, title, "", f"request-{number}", "priya")
        self.refs[project.id][ref] = last
        self._shared.touch()
        return made

    def dump(self) -> dict[str, Any]:
        return {
            "projects": [asdict(project) for project in self.projects.values()],
            "refs": {str(key): refs for key, refs in self.refs.items()},
            "history": self.history.dump(),
            "version": self.version,
        }

    def load(self, data: dict[str, Any]) -> None:
        found = [
            Project(**{**p, "protected": [Protected(**rule) for rule in p["protected"]]})
            for p in data["projects"]
        ]
        self.projects = {project.id: project for project in found}
        self.refs = {int(key): refs for key, refs in data["refs"].items()}
        self.history.load(data["history"])
        self.version = data["version"]
