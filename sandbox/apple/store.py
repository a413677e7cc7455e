"""The App Store Connect stand-in as a whole, driven by the sandbox's clock.

A CI build of the sandbox that succeeds uploads its app, as a pipeline in the field does: see
`sandbox.store_uploads`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sandbox.apple import builds, notifications, phased, reviews, versions
from sandbox.apple.base import Base, Settings


class AppStore(Base):
    def forget_history(self) -> None:
        """The app was never in the store: its next version is the first."""
        for version in self.records.all("appStoreVersions"):
            self.records.remove(version)
        self.touch()

    def settle(self) -> None:
        """Apply everything that is due."""
        builds.settle(self)
        for version in self.records.all("appStoreVersions"):
            reviews.settle_version(self, version)
            versions.settle_version(self, version)
        for submission in self.records.all("reviewSubmissions"):
            reviews.settle(self, submission)
        for found in self.records.all("appStoreVersionPhasedReleases"):
            phased.settle(self, found)
        notifications.settle(self)

    def dump(self) -> dict[str, Any]:
        return {"settings": asdict(self.settings), "records": self.records.dump()}

    def load(self, data: dict[str, Any]) -> None:
        self.settings = Settings(**data["settings"])
        self.records.load(data["records"])
