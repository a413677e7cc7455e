"""The keys that `make run` generates: once, private, never overwritten."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

from delivr.run import keys


@pytest.fixture
def unset(monkeypatch: Any) -> None:
    for name in ("SECRET_KEY", "FERNET_KEYS"):
        monkeypatch.delenv(name, raising=False)


def kept(data_dir: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (data_dir / "keys").iterdir()}


def test_missing_keys_are_generated(unset: None, tmp_path: Path) -> None:
    keys.ensure(tmp_path)
    made = kept(tmp_path)
    assert set(made) == {"secret_key", "fernet_keys"}
    assert len(made["secret_key"]) >= 50
    Fernet(made["fernet_keys"])


def test_keys_are_only_readable_by_their_owner(unset: None, tmp_path: Path) -> None:
    keys.ensure(tmp_path / "new")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new/keys").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "new/keys").stat().st_mode) == 0o700


def test_existing_keys_are_kept(unset: None, tmp_path: Path) -> None:
    keys.ensure(tmp_path)
    before = kept(tmp_path)
    keys.ensure(tmp_path)
    assert kept(tmp_path) == before


def test_given_keys_are_not_stored(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SECRET_KEY", "given")
    monkeypatch.setenv("FERNET_KEYS", "given")
    keys.ensure(tmp_path)
    assert not (tmp_path / "keys").exists()


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from delivr.run import keys;"
        "print(keys.keep(Path(sys.argv[1]), keys.new_fernet_key))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "keys" / "fernet_keys")]
    racers = [
        subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE) for _ in range(8)
    ]
    said = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(said) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["fernet_keys"]
