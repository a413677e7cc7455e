"""A folder of fake packages for pip, with the names, versions and requirements of a lock file, and
a newer version of each package."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import re
import tarfile
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

NEWER = "99999"
REAL = ("pip", "setuptools")  # real packages, since they install and build
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)( ;[^\\\n]*)?", re.M)


def imitate(
    lock: str, copy: Path, packages: Path, as_source: Collection[str] = ()
) -> set[tuple[str, str]]:
    """Write the packages of a lock file's text, for every Python and system, and a copy of the lock
    with their hashes."""
    lines, sure = [], set()
    for name, version, marker in PIN.findall(lock):
        write = _source if name in as_source else _offer
        package = write(packages, name, version)
        _wheel(packages, name, NEWER, _made_up(name, NEWER))
        hashed = hashlib.sha256(package.read_bytes()).hexdigest()
        lines.append(f"{name}=={version}{marker.rstrip()} --hash=sha256:{hashed}")
        if not marker:
            sure.add((name, version))
    copy.write_text("\n".join(lines) + "\n")
    return sure


def installed(environment: Path) -> set[tuple[str, str]]:
    """Names as in a lock file, and versions."""
    [folder] = environment.glob("lib/python3*/site-packages")
    found = importlib.metadata.distributions(path=[str(folder)])
    return {(re.sub(r"[-_.]+", "-", d.name).lower(), d.version) for d in found}


def _offer(packages: Path, name: str, version: str) -> Path:
    files = _files if name in REAL else _made_up
    return _wheel(packages, name, version, files(name, version))


def _wheel(packages: Path, name: str, version: str, files: Mapping[str, bytes]) -> Path:
    stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
    info = f"{stem}.dist-info"
    whole = {f"{info}/{file}" if "/" not in file else file: data for file, data in files.items()}
    whole[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [f"{file},sha256={_digest(data)},{len(data)}" for file, data in whole.items()]
    whole[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = packages / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in whole.items():
            archive.writestr(zipfile.ZipInfo(file), data)  # always of one date, so of one hash
    return path


def _made_up(name: str, version: str) -> dict[str, bytes]:
    """A wheel's metadata; the requirements are those of the package that is installed here."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    try:
        said = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:  # only for another Python or system
        said = importlib.metadata.metadata("pip")
    for field in ("Provides-Extra", "Requires-Dist"):
        lines += [f"{field}: {value}" for value in said.get_all(field, [])]
    return {"METADATA": "\n".join([*lines, ""]).encode()}


def _files(name: str, version: str) -> dict[str, bytes]:
    """The files of the package as it is installed here."""
    distribution = importlib.metadata.distribution(name)
    assert distribution.version == version, f"{name} is not the lock's: make install-dev"
    info = f"{name}-{version}.dist-info/"
    kept = [f for f in distribution.files or () if f.suffix != ".pyc" and ".." not in f.parts]
    files = {str(f).removeprefix(info): Path(str(f.locate())).read_bytes() for f in kept}
    made_anew = ("RECORD", "WHEEL", "INSTALLER", "REQUESTED")
    return {file: data for file, data in files.items() if file not in made_anew}


def _source(packages: Path, name: str, version: str) -> Path:
    path = packages / f"{name.replace('-', '_')}-{version}.tar.gz"
    setup = f"from setuptools import setup\nsetup(name={name!r}, version={version!r})\n".encode()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-{version}/setup.py")
        member.size = len(setup)
        archive.addfile(member, io.BytesIO(setup))
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
