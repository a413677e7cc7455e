"""The sandbox is independent of delivr, so that it does not share delivr's mistakes."""

from __future__ import annotations

import ast
from pathlib import Path

FOLDER = Path(__file__).parents[1]
FORBIDDEN = {"delivr", "integrations", "releases", "builds", "submissions"}
MAY_USE_DJANGO = {"apps.py", "management/commands/sandbox.py"}
PROVIDER_CLIENTS = {"github", "slack_sdk", "jira", "google", "jenkins", "api4jenkins"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def sources() -> list[Path]:
    return [p for p in FOLDER.rglob("*.py") if "tests" not in p.relative_to(FOLDER).parts]


def test_it_imports_nothing_of_delivr():
    assert sources()
    assert {p.name: imports(p) & FORBIDDEN for p in sources() if imports(p) & FORBIDDEN} == {}


def test_only_the_command_knows_django():
    users = {str(p.relative_to(FOLDER)) for p in sources() if "django" in imports(p)}
    assert users == MAY_USE_DJANGO


def test_it_uses_no_client_library_of_a_provider():
    assert not any(imports(p) & PROVIDER_CLIENTS for p in sources())


def test_files_stay_small():
    assert {p.name for p in sources() if len(p.read_text().splitlines()) > 420} == set()
