from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Makes `manage.py sandbox` available; the sandbox itself does not use Django."""

    name = "sandbox"
    verbose_name = "Provider sandbox"
