"""How well the versions of the app work, as the stand-ins of Sentry and of Google's vitals tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.accounts import APP_IDENTIFIER
from sandbox.shared import Shared

RATES = ("crashFreeSessions", "crashFreeUsers", "anrRate")


@dataclass
class Version:
    """One build. Rates are percentages; with neither sessions nor users nothing was counted."""

    version: str
    build: str
    sessions: int = 0
    users: int = 0
    crashFreeSessions: float = 100.0
    crashFreeUsers: float = 100.0
    anrRate: float = 0.0
    at: float = 0.0  # when it was first heard of

    @property
    def name(self) -> str:
        """As the mobile SDKs name a release."""
        return f"{APP_IDENTIFIER}@{self.version}+{self.build}"


class Health:
    """By the name of the release, the oldest first. `lag`: seconds by which Google's figures are
    behind."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.lag = 2 * 3600.0
        first = Version("1.4.2", "240", 48210, 9120, 99.82, 99.41, 0.21, at=shared.clock())
        self.versions: dict[str, Version] = {first.name: first}

    def put(self, facts: dict[str, Any]) -> Version:
        """Set the figures of a build; what is not named stays. Raises ValueError."""
        version, build = str(facts.get("version", "")).strip(), str(facts.get("build", "")).strip()
        if not version or not build:
            raise ValueError("version and build are wanted")
        new = Version(version, build, at=self._shared.clock())
        found = self.versions.get(new.name, new)
        numbers = {name: int(facts[name]) for name in ("sessions", "users") if name in facts}
        rates = {name: float(facts[name]) for name in RATES if name in facts}
        if any(n < 0 for n in numbers.values()) or any(not 0 <= r <= 100 for r in rates.values()):
            raise ValueError("numbers are not negative, rates are percentages")
        for name, value in [*numbers.items(), *rates.items()]:
            setattr(found, name, value)
        self.versions[found.name] = found
        self._shared.touch()
        return found

    def take_build(self, version: str, build: str) -> None:
        """Testers use a build that was uploaded, so that there are figures without anybody's help.
        What was set by hand stays."""
        new = Version(version, build, 1250, 320, 99.76, 99.38, 0.3, at=self._shared.clock())
        self.versions.setdefault(new.name, new)

    def dump(self) -> dict[str, Any]:
        return {"lag": self.lag, "versions": [asdict(one) for one in self.versions.values()]}

    def load(self, data: dict[str, Any]) -> None:
        self.lag = data["lag"]
        found = [Version(**one) for one in data["versions"]]
        self.versions = {one.name: one for one in found}
