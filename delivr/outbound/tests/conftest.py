"""Which addresses may be connected to, and what names resolve to."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest


@pytest.fixture
def allow(settings):
    def set_rules(*rules: str) -> None:
        settings.OUTBOUND_ALLOW = list(rules)

    set_rules()
    return set_rules


@pytest.fixture
def resolver(monkeypatch):
    """Sets what the system's resolver returns for names; counts the look-ups."""
    real, names, asked = socket.getaddrinfo, {}, []

    def getaddrinfo(host, port, *args, **kwargs):
        asked.append(host)
        if host not in names:
            return real(host, port, *args, **kwargs)
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (ip, port),
            )
            for ip in names[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return SimpleNamespace(names=names, asked=asked)
