"""The subjects of emails about a release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from releases.models import Release
from releases.wording import notice_words


def subject_of(release: Release, payload: Mapping[str, Any]) -> str:
    """`[com.example.app] 1.5.0: iOS build #245 failed`; the workspace if there are several apps."""
    apps = release.app_identifiers
    name = apps[0] if len(apps) == 1 else release.tenant.name
    return f"[{name}] {release.version}: {notice_words(dict(payload))}"
