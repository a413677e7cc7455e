"""The commit that a build was made of."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.providers.jenkins.reading import read_build

OURS, LIBRARY = "a" * 40, "b" * 40


def checkout(sha: object, *branches: str) -> dict[str, Any]:
    return {"lastBuiltRevision": {"SHA1": sha, "branch": [{"name": name} for name in branches]}}


def commit_of(*actions: Any) -> str:
    given = {"parameters": [{"name": "BRANCH", "value": "release/1.5.0"}]}
    document = {"number": 7, "result": "SUCCESS", "actions": [given, *actions]}
    found = read_build(document, job_url="http://jenkins/job/ios")
    assert found is not None
    return found.commit


@pytest.mark.parametrize(
    ("actions", "commit"),
    [
        ([], ""),
        ([checkout(OURS, "refs/remotes/origin/release/1.5.0")], OURS),
        ([checkout(OURS, "detached")], OURS),
        ([checkout(LIBRARY, "master"), checkout(OURS, "origin/release/1.5.0")], OURS),
        ([checkout(LIBRARY, "master"), checkout(OURS, "detached")], ""),
        ([checkout(LIBRARY, "x-release/1.5.0"), checkout(OURS, "origin/release/1.5.0")], OURS),
        ([checkout(OURS, "main"), checkout(OURS, "main")], OURS),
        ([checkout("no hash"), {"lastBuiltRevision": 7}, None, 7], ""),
    ],
)
def test_of_several_checkouts_that_of_the_builds_branch_counts(actions: Any, commit: str) -> None:
    assert commit_of(*actions) == commit
