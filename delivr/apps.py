from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class DelivrConfig(AppConfig):
    name = "delivr"
    default = True

    def ready(self) -> None:
        """Make our Celery app the current one: without it, tasks would go to a default broker."""
        import_module("delivr.celery")


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "delivr.admin_site.site.AdminSite"
