"""The Google Play stand-in as a whole.

A CI build of the sandbox that succeeds uploads its bundle to the internal track, as a pipeline in
the field does: see `sandbox.store_uploads`.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import Any

from sandbox import accounts as known
from sandbox.play.app import App
from sandbox.play.base import Base
from sandbox.play.bundles import LARGEST_CODE, make, read
from sandbox.play.edits import Edit, Edits, apply
from sandbox.play.trouble import Trouble
from sandbox.shared import Shared

MINUTE = 60.0  # seconds


@dataclass
class Settings:
    queries_per_minute: int = 3000
    has_summaries: bool = True  # False: the account cannot list releases without an edit
    ci_uploads: bool = True  # False: CI leaves its bundles to be uploaded by others


class Play(Base):
    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.settings = Settings()
        self.edits = Edits(self)
        self.tokens: dict[str, tuple[float, str, str]] = {}  # token: real expiry, scope, user
        self._asked: tuple[float, int] = (0.0, 0)  # since when, how often

    def count(self) -> None:
        """Count a query. Raises Trouble if there were too many in this minute."""
        since, count = self._asked
        if self.now >= since + MINUTE:
            since, count = self.now, 0
        self._asked = (since, count + 1)
        if count >= self.settings.queries_per_minute:
            words = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'."
            raise Trouble(429, words, "RESOURCE_EXHAUSTED", "rateLimitExceeded")

    def changed_in_console(self, package: str = known.APP_IDENTIFIER) -> None:
        """Whatever somebody changes in Play Console makes every open edit invalid."""
        self.edits.end(package)
        self.record("console.changed", package=package)

    def upload_from_ci(self, version: str, number: int) -> int:
        """What a CI build does by a service account of its own: a new bundle, on the internal
        track. Returns its version code: the build's number or, where that is not above every code
        that was used before, the next one that is."""
        app = self.apps[known.APP_IDENTIFIER]
        highest = app.highest_code()
        code = number if highest < number <= LARGEST_CODE else highest + 1
        edit = Edit("ci", app.package, self.now, known.GOOGLE_CI_CLIENT_EMAIL)
        edit.uploaded = {str(code): _hashes(app.package, code, version)}
        status = "draft" if app.is_draft else "completed"
        release = {"name": version, "versionCodes": [str(code)], "status": status}
        edit.tracks, edit.changed = {"internal": [release]}, ["internal"]
        apply(app, edit)
        self.edits.end(app.package)
        self.record("bundle.uploaded", package=app.package, code=code, version=version)
        return code

    def dump(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "apps": [asdict(app) for app in self.apps.values()],
            "edits": self.edits.dump(),
            "rights": self.rights,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.settings = Settings(**data["settings"])
        self.apps = {item["package"]: App(**item) for item in data["apps"]}
        self.edits.load(data["edits"])
        self.rights = data["rights"]


def _hashes(package: str, code: int, version: str) -> dict[str, str]:
    return read(io.BytesIO(make(package, code, version))).hashes
