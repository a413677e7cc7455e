"""The template context about the setup and the connections."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from integrations.expiry import expiry_notice
from integrations.setup import MenuFacts, menu_facts

_NOTHING = MenuFacts(is_complete=True, failing=0, ending=0)


def setup(request: HttpRequest) -> dict[str, Any]:
    """`setup_incomplete`, `failing_connections` (a number), and `expiry_notice` (a sentence or ""):
    one query for all of them, and only if a template uses one. What the notice says is another one.
    """
    tenant = getattr(request, "tenant", None)

    @cache
    def facts() -> MenuFacts:
        return menu_facts(tenant) if tenant else _NOTHING

    @cache
    def notice() -> str:
        return expiry_notice(tenant) if tenant and facts().ending else ""

    return {
        "setup_incomplete": lambda: not facts().is_complete,
        "failing_connections": lambda: facts().failing,
        "expiry_notice": notice,
    }
