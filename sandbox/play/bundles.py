"""App bundles: as small as a sandbox needs them, but really zip files with a manifest in them.

In a bundle of Google's tools the manifest is XML in protocol buffers; here it is plain XML:
https://developer.android.com/guide/app-bundle/app-bundle-format
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from typing import IO

from sandbox.play.trouble import Trouble, bad, forbidden

MANIFEST = "base/manifest/AndroidManifest.xml"
SIGNATURE = "META-INF/UPLOAD.RSA"
ASSETS = "base/assets/films.bin"
LARGEST_CODE = 2_100_000_000
PIECE = 1 << 20  # bytes
_FACTS = re.compile(r'package="([^"]*)" android:versionCode="(\d+)" android:versionName="([^"]*)"')


@dataclass(frozen=True)
class Bundle:
    package: str
    code: int
    name: str
    sha1: str
    sha256: str

    @property
    def hashes(self) -> dict[str, str]:
        return {"sha1": self.sha1, "sha256": self.sha256}


def make(package: str, code: int, name: str, *, is_signed: bool = True, size: int = 0) -> bytes:
    """A bundle of at least `size` bytes, which is the same for the same facts."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        facts = f'package="{package}" android:versionCode="{code}" android:versionName="{name}"'
        _add(archive, MANIFEST, f"<manifest {facts}/>\n")
        _add(archive, "BundleConfig.pb", "")
        if size:
            _add(archive, ASSETS, bytes(size))
        if is_signed:
            _add(archive, SIGNATURE, "sandbox")
    return raw.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), content)  # without the time


def read(file: IO[bytes]) -> Bundle:
    """What is in an uploaded file, which is never in memory as a whole. Raises Trouble."""
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE):
        sha1.update(piece)
        sha256.update(piece)
    package, code, name = _facts(file)
    if not 0 < code <= LARGEST_CODE:
        raise bad(f"APK specifies a version code that is not valid: {code}")
    return Bundle(package, code, name, sha1.hexdigest(), sha256.hexdigest())


def _facts(file: IO[bytes]) -> tuple[str, int, str]:
    try:
        with zipfile.ZipFile(file) as archive:
            text = archive.read(MANIFEST).decode()
            is_signed = SIGNATURE in archive.namelist()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        raise bad("APK is not a valid ZIP archive.") from None
    found = _FACTS.search(text)
    if found is None:
        raise bad("APK has no readable manifest.")
    if not is_signed:
        raise forbidden("You uploaded an APK or Android App Bundle that is not signed.")
    return found[1], int(found[2]), found[3]


def check_package(bundle: Bundle, package: str) -> None:
    if bundle.package != package:
        words = f"APK has the wrong package name: {bundle.package} instead of {package}."
        raise Trouble(403, words, "PERMISSION_DENIED", "apkWrongPackage", "androidpublisher")
