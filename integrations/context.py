"""The template context about the setup and the connections."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from integrations.setup import MenuFacts, menu_facts


def setup(request: HttpRequest) -> dict[str, Any]:
    """`setup_incomplete` and `failing_connections` (a number): one query for both, and only if a
    template uses one of them."""
    tenant = getattr(request, "tenant", None)

    @cache
    def facts() -> MenuFacts:
        return menu_facts(tenant) if tenant else MenuFacts(is_complete=True, failing=0)

    return {
        "setup_incomplete": lambda: not facts().is_complete,
        "failing_connections": lambda: facts().failing,
    }
