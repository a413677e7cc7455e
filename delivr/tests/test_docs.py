"""The documentation names files and functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)[^)]*\)")
NAME = re.compile(r"`(\w+)`")


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_documentation_lead_to_what_they_name(document: Path) -> None:
    for text, target in LINK.findall(document.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        linked = document.parent / target
        assert linked.exists(), f"{document.name}: {target} is not there"
        name = NAME.fullmatch(text)
        if name and linked.suffix == ".py":
            defined = re.search(rf"^\s*(def|class) {name[1]}\b", linked.read_text(), re.M)
            assert defined, f"{document.name}: {target} defines no {name[1]}"
