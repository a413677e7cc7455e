from typing import Any

from django.apps import AppConfig

from delivr.pages.names import NAMES


class IntegrationsConfig(AppConfig):
    name = "integrations"

    def ready(self) -> None:
        from integrations.providers.registry import stored_names

        names: Any = stored_names()
        NAMES.update(names)
