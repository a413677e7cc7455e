"""A pytest plugin (`-p delivr.tests.browser_alone`): reads only the files with browser tests.

To import all others and leave their tests out would take several seconds.
"""

from __future__ import annotations

from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """None leaves the decision to others."""
    is_tests = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_tests and "mark.browser" not in collection_path.read_text() else None
