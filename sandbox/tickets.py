"""The state of the Jira stand-in: fixed projects, and the issues that were created."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.shared import Shared

SEARCH_LAG = 3.0  # seconds until a search finds a new issue
FIRST_ISSUE_ID = 10100
EPIC_NAME_FIELD = "customfield_10011"
READ, WRITE = (
    frozenset({"BROWSE_PROJECTS"}),
    frozenset({"BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES"}),
)


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
)


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
    properties: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)


class Tickets:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.issues: list[Issue] = []
        self.search_lag = SEARCH_LAG

    def project(self, wanted: str) -> Project | None:
        """Find a project by key or id, if the sandbox's user may browse it."""
        return next((p for p in self.browsable() if wanted in (p.key, p.id)), None)

    def browsable(self) -> list[Project]:
        return [p for p in PROJECTS if "BROWSE_PROJECTS" in p.permissions]

    def issue(self, wanted: str) -> Issue | None:
        """Find an issue by key or id: at once, unlike by a search."""
        return next((i for i in self.issues if wanted.upper() in (i.key, i.id)), None)

    def searchable(self, also: frozenset[str] = frozenset()) -> list[Issue]:
        """The issues in the search index, newest first, and those with the ids in `also`."""
        indexed_until = self._shared.clock() - self.search_lag
        return [i for i in self.issues[::-1] if i.created_at <= indexed_until or i.id in also]

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

    def _record(self, kind: str, issue: Issue) -> None:
        self._shared.record(
            kind, "jira", key=issue.key, summary=issue.summary, labels=list(issue.labels)
        )

    def dump(self) -> dict[str, Any]:
        return {"issues": [asdict(i) for i in self.issues], "search_lag": self.search_lag}

    def load(self, data: dict[str, Any]) -> None:
        self.issues = [Issue(**item) for item in data["issues"]]
        self.search_lag = data["search_lag"]
