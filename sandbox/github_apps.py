"""The GitHub stand-in's apps: who made them, where they are installed, and their tokens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.shared import Shared

FIRST_APP, FIRST_INSTALLATION = 910001, 71_000_001
CODES_LAST = TOKENS_LAST = 3600  # seconds, in real time
TOKEN_LENGTH = 520  # https://github.blog/changelog/2026-04-24


@dataclass
class App:
    id: int
    slug: str
    name: str
    owner: str
    pem: str
    permissions: dict[str, str]
    setup_url: str = ""

    @property
    def login(self) -> str:
        return f"{self.slug}[bot]"


@dataclass
class Installation:
    """`permissions`: those that its owner has accepted. `repositories`: ids; None means all."""

    id: int
    app: int
    account: str
    permissions: dict[str, str]
    repositories: list[int] | None = None
    is_suspended: bool = False

    def covers(self, repository_id: int) -> bool:
        return self.repositories is None or repository_id in self.repositories


@dataclass
class Apps:
    shared: Shared
    apps: dict[int, App] = field(default_factory=dict)
    installations: dict[int, Installation] = field(default_factory=dict)
    codes: dict[str, tuple[int, float]] = field(default_factory=dict)  # -> app, until
    tokens: dict[str, tuple[int, float]] = field(default_factory=dict)  # -> installation, until

    def create(
        self,
        name: str,
        owner: str,
        *,
        permissions: Mapping[str, str],
        setup_url: str = "",
        pem: str = "",
    ) -> App:
        app_id = FIRST_APP + len(self.apps)
        slug = "-".join(name.lower().split())
        app = App(app_id, slug, name, owner, pem or _new_key(), dict(permissions), setup_url)
        self.apps[app_id] = app
        self.shared.record("app.created", "github", app=app_id, owner=owner)
        return app

    def code_for(self, app: App) -> str:
        code = secrets.token_hex(20)
        self.codes[code] = (app.id, time.time() + CODES_LAST)
        return code

    def convert(self, code: str) -> App | None:
        """A code works once."""
        app_id, until = self.codes.pop(code, (0, 0.0))
        return self.apps.get(app_id) if time.time() < until else None

    def by_slug(self, slug: str) -> App | None:
        return next((app for app in self.apps.values() if app.slug == slug), None)

    def install(self, app: App, repositories: list[int] | None = None) -> Installation:
        number = FIRST_INSTALLATION + len(self.installations)
        made = Installation(number, app.id, app.owner, dict(app.permissions), repositories)
        self.installations[number] = made
        self.shared.record("app.installed", "github", app=app.id, installation=number)
        return made

    def uninstall(self, number: int) -> None:
        """Its number is not used again."""
        self.installations[number].app = 0
        self.shared.touch()

    def of_app(self, app: App) -> list[Installation]:
        return [one for one in self.installations.values() if one.app == app.id]

    def issue(self, installation: Installation) -> tuple[str, float]:
        """`ghs_<app>_<token>`, as long as GitHub's, and when it ends."""
        start = f"ghs_{installation.app}_eyJ"
        token = start + secrets.token_urlsafe(TOKEN_LENGTH)[: TOKEN_LENGTH - len(start)]
        self.tokens[token] = (installation.id, time.time() + TOKENS_LAST)
        self.shared.record("app.token", "github", installation=installation.id)
        return token, self.tokens[token][1]

    def end_tokens(self) -> None:
        """All tokens have expired."""
        self.tokens = {token: (number, 0.0) for token, (number, _until) in self.tokens.items()}

    def behind(self, token: str) -> tuple[App, Installation] | None:
        """Whose token it is, if it still works."""
        number, until = self.tokens.get(token, (0, 0.0))
        found = self.installations.get(number)
        if found is None or time.time() >= until or found.app not in self.apps:
            return None
        return self.apps[found.app], found

    def dump(self) -> dict[str, Any]:
        return {
            "apps": [asdict(app) for app in self.apps.values()],
            "installations": [asdict(one) for one in self.installations.values()],
            "codes": self.codes,
            "tokens": self.tokens,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.apps = {one["id"]: App(**one) for one in data["apps"]}
        self.installations = {one["id"]: Installation(**one) for one in data["installations"]}
        self.codes = {code: (app, until) for code, (app, until) in data["codes"].items()}
        self.tokens = {token: (number, until) for token, (number, until) in data["tokens"].items()}


def _new_key() -> str:
    """GitHub hands out PKCS #1."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
