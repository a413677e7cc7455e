"""The template context about the setup."""

from typing import Any

from django.http import HttpRequest

from integrations.setup import is_complete


def setup(request: HttpRequest) -> dict[str, Any]:
    """`setup_incomplete`, evaluated only if a template uses it."""
    tenant = getattr(request, "tenant", None)
    return {"setup_incomplete": lambda: tenant is not None and not is_complete(tenant)}
