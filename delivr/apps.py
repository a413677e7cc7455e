from importlib import import_module

from django.apps import AppConfig


class DelivrConfig(AppConfig):
    name = "delivr"

    def ready(self) -> None:
        """Make our Celery app the current one: a ring without it would go to a default broker."""
        import_module("delivr.celery")
