"""What people paste as the address of a repository."""

from __future__ import annotations

import pytest

from integrations.providers.github.addresses import GITHUB, api_url, read_repository
from integrations.providers.github.fields import clean_repository

SHA = "3f786850e387550fdab836ed7e6dc881de23001b"


@pytest.mark.parametrize(
    "typed",
    [
        "dream11/app",
        "/dream11/app",
        "dream11/app/",
        "dream11/app.git",
        "dream11/app/pull/12",
        "/dream11/app.git/",
        "github.com/dream11/app",
        "https://github.com/dream11/app",
        "https://github.com/dream11/app.git",
        "https://github.com/dream11/app/",
        "https://github.com/dream11/app.git/",
        "HTTPS://GitHub.com/dream11/app",
        "http://www.github.com/dream11/app",
        "https://github.com:443/dream11/app",
        "https://github.com./dream11/app",
        "https://github.com/dream11/app/tree/release/1.5.0",
        "https://github.com/dream11/app/pull/12/files#diff-1",
        f"https://github.com/dream11/app/commit/{SHA}",
        "https://github.com/dream11/app?tab=readme-ov-file",
        "https://github.com/dream11/app#readme",
        "https://github.com/dream11/app/settings/keys",
        "https://api.github.com/repos/dream11/app",
        "https://api.github.com/repos/dream11/app/branches/main",
        "https://raw.githubusercontent.com/dream11/app/main/README.md",
        "https://github.dev/dream11/app",
        "git@github.com:dream11/app.git",
        "git@github.com:/dream11/app.git",
        "github.com:dream11/app",
        "org-4711@github.com:dream11/app.git",
        "git@github.com-work:dream11/app.git",
        "git@ssh.github.com:443/dream11/app.git",
        "ssh://git@github.com/dream11/app.git",
        "ssh://git@github.com:22/dream11/app.git",
        "ssh://git@ssh.github.com:443/dream11/app.git",
        "ssh://git@github.com-work/dream11/app.git",
        "git://github.com/dream11/app.git",
        "git+ssh://git@github.com/dream11/app.git",
        "git+https://github.com/dream11/app.git",
        "https://octocat@github.com/dream11/app",
        " <https://github.com/dream11/app> ",
        '"https://github.com/dream11/app".',
        "https://github.com/dream11/app.",
        "https://github.com/dream11/app,",
        "git clone https://github.com/dream11/app.git",
        "git clone --depth 1 -b release/1.5 git@github.com:dream11/app.git app-1.5",
        "$ git clone ssh://git@github.com/dream11/app.git",
        "origin\thttps://github.com/dream11/app.git (fetch)",
        "gh repo clone dream11/app",
        "gh repo clone dream11/app -- --depth 1",
    ],
)
def test_an_address_of_the_browser_of_git_or_of_gh_is_understood(typed: str) -> None:
    assert clean_repository(typed) == "https://github.com/dream11/app"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a/b", "https://github.com/a/b"),
        ("a/b.js", "https://github.com/a/b.js"),
        ("https://8.8.8.8/a/b/", "https://8.8.8.8/a/b"),
        ("git@code.example.com:a/b.git", "https://code.example.com/a/b"),
        ("ssh://git@code.example.com:2222/a/b.git", "https://code.example.com/a/b"),
        ("Code.Example.com:8443/a_corp/b", "https://code.example.com:8443/a_corp/b"),
        ("https://code.example.com/a/b/pull/3", "https://code.example.com/a/b"),
        ("https://code.example.com:443/a/b", "https://code.example.com/a/b"),
        ("https://code.example.com/api/v3/repos/a/b", "https://code.example.com/a/b"),
        ("https://api.octo.ghe.com/repos/a/b", "https://octo.ghe.com/a/b"),
        ("git@octo.ghe.com:a/b.git", "https://octo.ghe.com/a/b"),
    ],
)
def test_the_host_of_a_repository_is_kept(typed: str, stored: str) -> None:
    assert clean_repository(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "https://SECRET@github.com/dream11/app",
        "https://octocat:SECRET@github.com/dream11/app.git",
        "https://x-access-token:SECRET@github.com/dream11/app",
        "https://oauth2:SEC@RET@github.com/dream11/app",
        "git clone https://SECRET:x-oauth-basic@github.com/dream11/app.git",
        "https://github.com/dream11/app?access_token=SECRET",
        "https://raw.githubusercontent.com/dream11/app/main/a.txt?token=SECRET",
    ],
)
def test_a_secret_in_an_address_is_left_out(typed: str) -> None:
    assert clean_repository(typed) == "https://github.com/dream11/app"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "app",
        "https://github.com/",
        "https://github.com/dream11",
        "https://github.com/dream11/..",
        "a/b/../..",
        "a/.",
        "a b/c",
        "a/b c/d",
        "file:///home/dream11/app",
        "javascript://github.com/dream11/app",
        "git@work:dream11/app.git",
        "git@code.example.com-work:dream11/app.git",
        "https://gist.github.com/dream11/4711",
        "https://dream11.github.io/app/",
        "https://github.com/orgs/dream11/repositories",
        "https://github.com/settings/tokens",
        "https://api.github.com/users/dream11/repos",
        "git clone",
        "git clone app",
        "https://SECRET@",
        "https://SECRET@github.com/dream11",
        "ghp_SECRET",
    ],
)
def test_an_address_without_a_repository_is_refused_and_not_repeated(typed: str) -> None:
    assert read_repository(typed) is None
    with pytest.raises(ValueError, match="Enter the repository like") as caught:
        clean_repository(typed)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "typed", ["https://169.254.169.254/a/b", "10.0.0.1/a/b", "code.example.com:99/a/b"]
)
def test_a_host_that_may_not_be_reached_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="OUTBOUND_ALLOW"):
        clean_repository(typed)


@pytest.mark.parametrize(
    ("server", "api"),
    [
        ("https://code.example.com", "https://code.example.com/api/v3"),
        ("https://octo.ghe.com", "https://api.octo.ghe.com"),
    ],
)
def test_each_servers_api_is_where_github_documents_it(server: str, api: str) -> None:
    assert api_url(server) == api


def test_a_clean_address_is_unchanged() -> None:
    for server in (GITHUB, "https://code.example.com:8443", "http://localhost:8000"):
        found = read_repository(f"{server}/dream11/app")
        assert found is not None
        assert found.url == f"{server}/dream11/app"
