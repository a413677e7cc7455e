import pytest

from integrations.providers.jira.addresses import Cloud, api_base, is_gateway, site_in
from integrations.providers.jira.adf import document

CLOUD_ID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("entered", "site"),
    [
        ("dream11.atlassian.net", "https://dream11.atlassian.net"),
        (" https://dream11.atlassian.net/ ", "https://dream11.atlassian.net"),
        ("http://dream11.atlassian.net", "https://dream11.atlassian.net"),
        ("https://dream11.atlassian.net/jira/software/projects/X", "https://dream11.atlassian.net"),
        ("http://127.0.0.1:8091/jira/", "http://127.0.0.1:8091/jira"),
        ("http://[broken", "http://[broken"),
        (f"api.atlassian.com/ex/jira/{CLOUD_ID}/", f"https://api.atlassian.com/ex/jira/{CLOUD_ID}"),
        (
            f"https://api.atlassian.com/ex/jira/{CLOUD_ID}/rest/api/3/myself",
            f"https://api.atlassian.com/ex/jira/{CLOUD_ID}",
        ),
    ],
)
def test_the_site_is_read_from_what_people_enter(entered, site):
    assert api_base(entered) == site


@pytest.mark.parametrize(
    ("site", "is_atlassians"),
    [
        ("https://x.atlassian.net", True),
        ("https://x.atlassian.net.evil.example", False),
        ("https://evil.example/.atlassian.net", False),
        ("https://evilatlassian.net", False),
    ],
)
def test_only_atlassians_own_sites_have_the_gateway(site, is_atlassians):
    assert Cloud().hosts(site) is is_atlassians


@pytest.mark.parametrize(
    ("base", "yes"),
    [
        (f"https://api.atlassian.com/ex/jira/{CLOUD_ID}", True),
        (f"http://127.0.0.1:8091/ex/jira/{CLOUD_ID}", True),
        ("https://dream11.atlassian.net", False),
        ("https://jira.example.com/ex/jira", False),
    ],
)
def test_the_gateway_is_known_by_its_path(base, yes):
    assert is_gateway(base) is yes


@pytest.mark.parametrize(
    ("base_url", "site"),
    [
        ("https://dream11.atlassian.net", "https://dream11.atlassian.net"),
        ("https://jira.dream11.com/", "https://jira.dream11.com"),
        (f"https://api.atlassian.com/ex/jira/{CLOUD_ID}", ""),
        ("javascript:alert(1)", ""),
        ("https://user:pw@dream11.atlassian.net", ""),
        ("https://x.atlassian.net/?a=b", ""),
        (None, ""),
        (["https://x.atlassian.net"], ""),
    ],
)
def test_only_an_address_that_a_browser_opens_is_taken_for_the_site(base_url, site):
    assert site_in({"baseUrl": base_url}) == site


def test_paragraphs_and_lines_are_kept():
    first, second = document("one\ntwo\n\nthree")["content"]
    assert [node["type"] for node in first["content"]] == ["text", "hardBreak", "text"]
    assert second["content"] == [{"type": "text", "text": "three"}]


def test_markup_is_kept_as_text():
    text = "h1. *bold* [link|javascript:alert(1)] {html}<b>"
    assert document(text)["content"][0]["content"] == [{"type": "text", "text": text}]


def test_urls_become_links_without_a_trailing_full_stop():
    nodes = document("See https://delivr.example.com/releases/1.")["content"][0]["content"]
    address = "https://delivr.example.com/releases/1"
    assert nodes == [
        {"type": "text", "text": "See "},
        {"type": "text", "text": address, "marks": [{"type": "link", "attrs": {"href": address}}]},
        {"type": "text", "text": "."},
    ]


def test_no_text_is_an_empty_document():
    assert document(" \n ") == {"type": "doc", "version": 1, "content": []}
