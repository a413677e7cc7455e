from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "delivr.audit"

    def ready(self) -> None:
        from delivr.audit import accounts

        accounts.connect()
