from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Only here so that `manage.py sandbox` is found; the sandbox itself does not use Django."""

    name = "sandbox"
    verbose_name = "Provider sandbox"
