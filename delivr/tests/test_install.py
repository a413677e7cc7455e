"""`make` installs exactly what the locks pin, whatever pip a Python contains and whatever newer
releases the package index offers. `make pips` runs it with several versions of pip."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from delivr.tests.package_index import NEWER, imitate, installed

pytestmark = pytest.mark.slow
ROOT = Path(settings.BASE_DIR)
PYTHON = Path(sys._base_executable)  # type: ignore[attr-defined] # not the environment's link
BUNDLED = "as the Python brings it"
PIPS = sorted(map(str, Path(os.environ.get("PIPS", "/nowhere")).glob("pip-*.whl"))) or [BUNDLED]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile with a lock for pip; the packages are put beside it."""
    folder = tmp_path / "checkout"
    (folder / "packages").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    lock(folder, "requirements-pip.lock")
    return folder


def lock(checkout: Path, name: str) -> set[tuple[str, str]]:
    return imitate((ROOT / name).read_text(), checkout / name, checkout / "packages")


@pytest.mark.parametrize("pip", PIPS, ids=lambda pip: Path(pip).name)
def test_make_installs_what_the_locks_pin_and_nothing_newer(pip: str, checkout: Path) -> None:
    pinned = lock(checkout, "requirements.lock") | lock(checkout, "requirements-dev.lock")

    answer = make(checkout, "install-dev", python_with(pip, checkout))

    assert answer.returncode == 0, answer.stdout[-3000:]
    found = installed(checkout / ".venv")
    assert pinned <= found
    assert NEWER not in {version for _name, version in found}


def test_source_packages_are_built_with_the_setuptools_of_the_lock(checkout: Path) -> None:
    setuptools = importlib.metadata.version("setuptools")
    text = f"made-up==1.0\nsetuptools=={setuptools}\n"
    (checkout / "requirements.lock").touch()
    imitate(text, checkout / "requirements-dev.lock", checkout / "packages", as_source={"made-up"})

    answer = make(checkout, "install-dev", PYTHON)

    assert answer.returncode == 0, answer.stdout[-3000:]
    assert ("made-up", "1.0") in installed(checkout / ".venv")


def make(checkout: Path, target: str, python: Path) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(checkout),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout / "packages"),
    }
    command = ["make", target, f"PYTHON={python}"]
    return subprocess.run(
        command, cwd=checkout, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def python_with(pip: str, folder: Path) -> Path:
    """A Python whose environments start with this pip."""
    if pip == BUNDLED:
        return PYTHON
    script = folder / "python"
    script.write_text(
        f"""#!/bin/sh -e
case "$*" in
"-m venv "*)
  {PYTHON} "$@" --without-pip
  "$3/bin/python" {pip}/pip install --quiet --no-index --no-deps {pip} ;;
*) exec {PYTHON} "$@" ;;
esac
"""
    )
    script.chmod(0o755)
    return script
