"""What delivr asks of the store of a target."""

from __future__ import annotations

from typing import ClassVar

from .base import Provider


class StoreProvider(Provider):
    platform: ClassVar[str]  # IOS or ANDROID
