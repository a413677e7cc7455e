"""Names of workflow files. GitHub looks for them only directly below `.github/workflows`.

https://docs.github.com/en/actions/concepts/workflows-and-actions/workflows
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

FOLDER = ".github/workflows/"
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,199}\.ya?ml")


def normalise_workflow(value: str) -> str:
    """`ios.yml`, from a file name, a path in the repository, or the address of either page in the
    browser. Raises ValueError."""
    text = value.strip().partition("?")[0].partition("#")[0].rstrip("/")
    name = text.rpartition("/")[2]
    if not _FILE.fullmatch(name) or ".." in text.split("/"):
        raise ValueError(
            _("Enter the name of a file in .github/workflows that ends in .yml or .yaml.")
        )
    return name


def file_of(path: object) -> str:
    """The file name of a run's or workflow's `path`; "" if it is no file, such as `dynamic/…`.

    A required or reusable workflow's path may end in `@ref`.
    """
    text = path.partition("@")[0] if isinstance(path, str) else ""
    name = text.removeprefix(FOLDER)
    return name if text.startswith(FOLDER) and _FILE.fullmatch(name) else ""
