"""The state of the Jira stand-in: fixed projects, and the issues that were created."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.shared import Shared

SEARCH_LAG = 3.0  # seconds until a search finds a new issue
FIRST_ISSUE_ID = 10100
EPIC_NAME_FIELD = "customfield_10011"
READ = frozenset({"BROWSE_PROJECTS"})
BASIC = READ | {"CREATE_ISSUES"}
WRITE = BASIC | {
    "EDIT_ISSUES",
    "LINK_ISSUES",
    "ADD_COMMENTS",
    "TRANSITION_ISSUES",
    "ADMINISTER_PROJECTS",
}
# The keys of status categories by the names of their statuses.
# https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-workflow-status-categories/
CATEGORIES = {
    "To Do": "new",
    "In Progress": "indeterminate",
    "Done": "done",
    "Released": "done",
    "Rejected": "done",
}


@dataclass(frozen=True)
class IssueType:
    id: str
    name: str
    level: int  # hierarchyLevel: 1 epic, 0 standard, -1 subtask


@dataclass(frozen=True)
class CustomField:
    """A required field that an administrator added to the create screen of epics."""

    id: str
    name: str
    kind: str  # the type in the field's schema: option, array, string …
    values: tuple[str, ...] = ()

    @property
    def allowed(self) -> list[dict[str, str]]:
        return [{"id": f"{n}", "value": value} for n, value in enumerate(self.values, start=10100)]


@dataclass(frozen=True)
class Project:
    id: str
    key: str
    name: str
    issue_types: tuple[IssueType, ...]
    team_managed: bool = True
    permissions: frozenset[str] = WRITE
    epic_fields: tuple[CustomField, ...] = ()
    statuses: tuple[str, ...] = ("To Do", "In Progress", "Done")  # any may follow any other
    has_versions: bool = True  # the field is on the screens

    @property
    def epic_name_required(self) -> bool:
        return not self.team_managed

    def issue_type(self, wanted: dict[str, Any]) -> IssueType | None:
        """Find a type by `id`, else by `name`."""
        for issue_type in self.issue_types:
            if wanted.get("id") == issue_type.id or (
                "id" not in wanted and wanted.get("name") == issue_type.name
            ):
                return issue_type
        return None


EPIC_ONLY = (IssueType("10000", "Epic", 1),)
FRENCH = (IssueType("10042", "Tâche", 0), IssueType("10041", "Épopée", 1))
NO_EPIC = (IssueType("10052", "Task", 0),)
SEVERAL = (IssueType("10061", "Program Epic", 1), IssueType("10062", "Épopée", 1))
CAPITALS = (IssueType("10071", "Feature", 1), IssueType("10072", "EPIC", 1))
TEAM = CustomField("customfield_10050", "Team", "option", ("Mobile",))
TIER = CustomField("customfield_10051", "Tier", "option", ("Gold", "Silver"))
COST_CENTRE = CustomField("customfield_10052", "Cost centre", "string")

PROJECTS = (
    Project(
        "10001",
        "MOBILE",
        "Mobile app",
        (
            IssueType("10013", "Subtask", -1),
            IssueType("10012", "Task", 0),
            IssueType("10011", "Epic", 1),
        ),
    ),
    Project(
        "10002",
        "CLASSIC",
        "Company-managed app",
        (
            IssueType("10000", "Epic", 1),
            IssueType("10021", "Story", 0),
            IssueType("10023", "Sub-task", -1),
        ),
        team_managed=False,
    ),
    Project("10003", "READONLY", "Look, do not touch", EPIC_ONLY, permissions=READ),
    Project("10004", "INTL", "Application mobile", FRENCH),
    Project("10005", "FLAT", "Without epics", NO_EPIC),
    Project("10006", "HIDDEN", "Nobody may browse it", EPIC_ONLY, permissions=frozenset()),
    Project("10007", "PROGRAM", "Two types at the level of epics", SEVERAL),
    Project("10008", "CAPS", "Its epics are in capitals", CAPITALS),
    Project("10009", "TEAMED", "Asks for the one team that it has", EPIC_ONLY, epic_fields=(TEAM,)),
    Project(
        "10010",
        "STRICT",
        "Asks for fields of its own",
        EPIC_ONLY,
        epic_fields=(TEAM, TIER, COST_CENTRE),
    ),
    Project("10011", "WEB", "Another project, named by some commits", EPIC_ONLY),
    Project("10012", "BASIC", "The account may only create issues", EPIC_ONLY, permissions=BASIC),
    Project(
        "10013",
        "ENDINGS",
        "Two statuses count as done, and no screen has versions",
        EPIC_ONLY,
        statuses=("To Do", "Released", "Rejected"),
        has_versions=False,
    ),
    Project("10014", "OPEN", "Nothing is ever done", EPIC_ONLY, statuses=("To Do", "In Progress")),
)
# Tickets that commits of the sandbox's repositories name, and a person created long ago.
BACKLOG = (
    ("MOBILE-101", "Wallet on the home screen", "Done"),
    ("MOBILE-102", "The session is lost on an update", "Done"),
    ("MOBILE-104", "Crash on opening a deep link", "Done"),
    ("MOBILE-107", "Mute a contest", "Done"),
    ("MOBILE-110", "Faster list of players", "In Progress"),
    ("MOBILE-112", "Countdown in the widget", "Done"),
    ("MOBILE-115", "Layout on tablets", "Done"),
    ("MOBILE-117", "Wrong price of a ticket", "Done"),
    ("MOBILE-121", "Pay with saved cards", "To Do"),
    ("MOBILE-124", "Leak in the video player", "Done"),
    ("MOBILE-126", "Share a team by link", "Done"),
    ("MOBILE-131", "Restore purchases", "Done"),
    ("WEB-12", "Share a team by link, on the web", "In Progress"),
)
FIRST_VERSION_ID = 10300


@dataclass
class Issue:
    id: str
    key: str
    project: str
    issue_type: str  # id
    summary: str
    created_at: float
    updated_at: float
    labels: list[str] = field(default_factory=list)
    description: Any = None
    parent: str = ""
    epic_name: str = ""
    status: str = "To Do"
    links: dict[str, dict[str, Any]] = field(default_factory=dict)  # by globalId
    comments: list[dict[str, Any]] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)  # ids
    properties: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)


@dataclass
class Version:
    id: str
    name: str
    project: str  # key
    description: str = ""
    released: bool = False
    archived: bool = False
    release_date: str = ""


class Tickets:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.issues: list[Issue] = []
        self.backlog = [
            Issue(
                id=str(9000 + number),
                key=key,
                project=key.split("-")[0],
                issue_type="10012",
                summary=summary,
                created_at=0.0,
                updated_at=0.0,
                status=status,
            )
            for number, (key, summary, status) in enumerate(BACKLOG)
        ]
        self.versions: list[Version] = []
        self.search_lag = SEARCH_LAG

    def project(self, wanted: str) -> Project | None:
        """Find a project by key or id, if the sandbox's user may browse it."""
        return next((p for p in self.browsable() if wanted in (p.key, p.id)), None)

    def browsable(self) -> list[Project]:
        return [p for p in PROJECTS if "BROWSE_PROJECTS" in p.permissions]

    def issue(self, wanted: str) -> Issue | None:
        """Find an issue by key or id: at once, unlike by a search."""
        everything = (*self.issues, *self.backlog)
        return next((i for i in everything if wanted.upper() in (i.key, i.id)), None)

    def searchable(self, also: frozenset[str] = frozenset()) -> list[Issue]:
        """The issues in the search index, newest first, and those with the ids in `also`."""
        indexed_until = self._shared.clock() - self.search_lag
        everything = (*self.issues[::-1], *self.backlog[::-1])
        return [i for i in everything if i.created_at <= indexed_until or i.id in also]

    def create(self, project: Project, issue_type: IssueType, **facts: Any) -> Issue:
        now = self._shared.clock()
        number = 1 + sum(1 for issue in self.issues if issue.project == project.key)
        issue = Issue(
            id=str(FIRST_ISSUE_ID + len(self.issues)),
            key=f"{project.key}-{number}",
            project=project.key,
            issue_type=issue_type.id,
            created_at=now,
            updated_at=now,
            **facts,
        )
        self.issues.append(issue)
        self._record("issue.created", issue)
        return issue

    def update(self, issue: Issue, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(issue, name, value)
        issue.updated_at = self._shared.clock()
        self._record("issue.updated", issue)

    def link(self, issue: Issue, global_id: str, facts: dict[str, Any]) -> bool:
        """True if the link is new. One with the same `globalId` is replaced."""
        is_new = global_id not in issue.links
        issue.links[global_id] = facts
        kind = "link.created" if is_new else "link.updated"
        self._shared.record(kind, "jira", key=issue.key, globalId=global_id, title=facts["title"])
        return is_new

    def comment(self, issue: Issue, body: Any) -> dict[str, Any]:
        number = sum(len(i.comments) for i in (*self.issues, *self.backlog))
        comment = {"id": str(10500 + number), "body": body, "created": self._shared.clock()}
        issue.comments.append(comment)
        self._shared.record("comment.created", "jira", key=issue.key, body=str(body))
        return comment

    def move(self, issue: Issue, status: str) -> None:
        issue.status, issue.updated_at = status, self._shared.clock()
        self._shared.record("issue.moved", "jira", key=issue.key, status=status)

    def version(self, wanted: str) -> Version | None:
        return next((v for v in self.versions if v.id == wanted), None)

    def versions_of(self, project: Project) -> list[Version]:
        return [v for v in self.versions if v.project == project.key]

    def create_version(self, project: Project, **facts: Any) -> Version:
        number = FIRST_VERSION_ID + len(self.versions)
        version = Version(id=str(number), project=project.key, **facts)
        self.versions.append(version)
        self._shared.record(
            "version.created", "jira", id=version.id, name=version.name, project=project.key
        )
        return version

    def change_version(self, version: Version, **changes: Any) -> None:
        was_released = version.released
        for name, value in changes.items():
            setattr(version, name, value)
        if version.released and not was_released:
            self._shared.record("version.released", "jira", name=version.name, id=version.id)

    def plan(self, issue: Issue, versions: list[str]) -> None:
        added = [v for v in versions if v not in issue.versions]
        issue.versions = versions
        for version in added:
            self._shared.record("issue.planned", "jira", key=issue.key, version=version)

    def in_version(self, version: Version) -> list[Issue]:
        return [i for i in (*self.issues, *self.backlog) if version.id in i.versions]

    def _record(self, kind: str, issue: Issue) -> None:
        self._shared.record(
            kind, "jira", key=issue.key, summary=issue.summary, labels=list(issue.labels)
        )

    def dump(self) -> dict[str, Any]:
        return {
            "issues": [asdict(i) for i in self.issues],
            "backlog": [asdict(i) for i in self.backlog],
            "versions": [asdict(v) for v in self.versions],
            "search_lag": self.search_lag,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.issues = [Issue(**item) for item in data["issues"]]
        if "versions" in data:  # an older snapshot has none
            self.backlog = [Issue(**item) for item in data["backlog"]]
            self.versions = [Version(**item) for item in data["versions"]]
        self.search_lag = data["search_lag"]
