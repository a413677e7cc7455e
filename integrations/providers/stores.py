"""The interface to the store of a target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Provider


class StoreProvider(Provider):
    platform: ClassVar[str]  # IOS or ANDROID
    console: ClassVar[str]  # what the vendor calls the site where people manage the app

    @staticmethod
    @abstractmethod
    def console_page(options: Mapping[str, Any]) -> str:
        """The URL of the app on that site, or of the list of apps if it is unknown; `options` are
        the connection's."""
