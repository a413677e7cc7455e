"""Uploading a bundle into an edit, piece by piece, so that no more than one piece is in memory.

A piece whose response is lost is not sent blindly again: Google says how much has arrived.
https://developers.google.com/android-publisher/upload#resumable
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..base import Outcome, ProviderError
from ..http import garbage
from ..stores import BuildFile
from .refusals import LABEL

if TYPE_CHECKING:
    from .client import PlayClient

PIECE = 4 * 1024 * 1024  # bytes; a multiple of 256 KiB
_ZIP = b"PK\x03\x04"  # a bundle is a zip file
_LOST = 5  # pieces whose response may be lost in one upload
_ARRIVED = re.compile(r"bytes=0-(\d+)")


def upload(client: PlayClient, path: str, file: BuildFile) -> tuple[int, str]:
    """Pass the file on; returns the version code and the SHA-256 that Google read from it.

    Nothing of it counts before the edit is committed. Raises ProviderError: REFUSED if it is not
    what was expected, NOT_YET if something more urgent came between.
    """
    session = _Session(client, path)
    found: dict[str, Any] = {}
    digest = hashlib.sha256()
    with closing(file.open()) as parts:
        for piece, is_last in pieces(parts):
            if not session.sent and not piece.startswith(_ZIP):
                raise not_a_bundle(file.name)
            if not file.may_go_on():
                raise interrupted()
            digest.update(piece)
            found = session.send(piece, is_last=is_last)
    code, hashed = found.get("versionCode"), found.get("sha256")
    if not isinstance(code, int) or not isinstance(hashed, str):
        raise garbage(LABEL)
    if hashed != digest.hexdigest():
        raise ProviderError(
            "damaged",
            f"{file.name} was damaged on the way to Google Play.",
            "delivr uploads it again.",
            outcome=Outcome.NOT_SENT,
        )
    return code, hashed


def hash_of(file: BuildFile) -> str:
    """The SHA-256 of a file that is only read."""
    digest = hashlib.sha256()
    with closing(file.open()) as parts:
        for piece, _is_last in pieces(parts):
            if not file.may_go_on():
                raise interrupted()
            digest.update(piece)
    return digest.hexdigest()


def pieces(parts: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The parts put together to pieces of one size, and whether each is the last one."""
    held = bytearray()
    for part in parts:
        if len(held) >= PIECE and part:
            yield bytes(held[:PIECE]), False
            del held[:PIECE]
        held += part
    yield bytes(held), True


class _Session:
    """A resumable upload; its address is Google's, and a capability: it is never stored."""

    def __init__(self, client: PlayClient, path: str) -> None:
        self._client = client
        self._address = client.begin_upload(path)
        self._lost = 0
        self.sent = 0  # bytes that Google has

    def send(self, piece: bytes, *, is_last: bool) -> dict[str, Any]:
        """Google's answer about the whole file after the last piece, else {}."""
        begin, end = self.sent, self.sent + len(piece)
        total = str(end) if is_last else "*"
        while True:
            rest = piece[self.sent - begin :]
            place = f"bytes {self.sent}-{end - 1}/{total}" if rest else f"bytes */{total}"
            try:
                answer = self._client.send_piece(self._address, rest, place)
            except ProviderError as error:
                answer = self._ask(error, total)
            if answer.status_code == 200:
                return self._client.object_of(answer)
            self.sent = self._arrived(answer, begin, end)
            if self.sent == end and not is_last:
                return {}
            self._count_lost()

    def _ask(self, error: ProviderError, total: str) -> Any:
        """How much has arrived of a piece whose response was lost."""
        if not error.is_temporary:
            raise error
        self._count_lost(error)
        return self._client.send_piece(self._address, b"", f"bytes */{total}")

    def _count_lost(self, error: ProviderError | None = None) -> None:
        self._lost += 1
        if self._lost > _LOST:
            raise error or garbage(LABEL)

    def _arrived(self, answer: Any, begin: int, end: int) -> int:
        match = _ARRIVED.fullmatch(answer.headers.get("Range", "bytes=0-"))
        arrived = int(match[1]) + 1 if match else 0
        if not begin <= arrived <= end:
            raise garbage(LABEL)
        return arrived


def not_a_bundle(name: str) -> ProviderError:
    return ProviderError.refused(
        "not_a_bundle",
        f"{name} is not an app bundle.",
        "Have the build archive its .aab file, and submit another build.",
    )


def interrupted() -> ProviderError:
    return ProviderError(
        "interrupted",
        "The upload gave way to something more urgent, such as a halt.",
        "delivr begins it again.",
        outcome=Outcome.NOT_YET,
        retry_after=15,
    )
