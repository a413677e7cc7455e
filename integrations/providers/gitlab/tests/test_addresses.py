"""What people paste as the address of a project, and where its GitLab may be."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.providers.gitlab.addresses import read_address
from integrations.providers.gitlab.fields import clean_project

LAB = "https://git.example.com"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://gitlab.com/group/app", "https://gitlab.com/group/app"),
        ("gitlab.com/group/sub/app.git", "https://gitlab.com/group/sub/app"),
        ("group/sub/app", "https://gitlab.com/group/sub/app"),
        (
            "https://www.gitlab.com/group/app/-/tree/main?ref_type=heads",
            "https://gitlab.com/group/app",
        ),
        ("https://oauth2:glpat-secret@git.example.com/group/app.git", f"{LAB}/group/app"),
        ("git@git.example.com:group/sub/app.git", f"{LAB}/group/sub/app"),
        ("ssh://git@git.example.com:2222/group/app.git", f"{LAB}/group/app"),
        ("git clone git@git.example.com:group/app.git", f"{LAB}/group/app"),
        ("origin  https://git.example.com/group/app.git (fetch)", f"{LAB}/group/app"),
        (
            "http://git.example.com:8080/gitlab/group/app/",
            "http://git.example.com:8080/gitlab/group/app",
        ),
        ("https://git.example.com:443/group/app", f"{LAB}/group/app"),
        ("git.example.com", LAB),
        ("https://git.example.com/gitlab", f"{LAB}/gitlab"),
    ],
)
def test_every_usual_form_is_understood(text: str, url: str) -> None:
    assert clean_project(text) == url


@pytest.mark.parametrize(
    "text", ["", "app", "ftp://git.example.com/group/app", f"{LAB}/a/../b", f"{LAB}/gr oup/app"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"group/project"):
        clean_project(text)


@pytest.mark.parametrize(
    ("text", "servers", "project"),
    [
        ("https://gitlab.com/group/app", ["https://gitlab.com"], "group/app"),
        (f"{LAB}/group/app", [LAB, f"{LAB}/group", f"{LAB}/group/app"], "group/app"),
        (f"{LAB}/a/b/c/d/e", [LAB, f"{LAB}/a", f"{LAB}/a/b", f"{LAB}/a/b/c"], "a/b/c/d/e"),
        (LAB, [LAB], ""),
    ],
)
def test_gitlab_may_be_below_a_path(text: str, servers: list[str], project: str) -> None:
    address: Any = read_address(text)
    assert list(address.servers()) == servers
    assert address.project(servers[0]) == project
    if len(servers) == 4:
        assert address.project(servers[1]) == "b/c/d/e"
