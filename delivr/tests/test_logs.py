"""What gunicorn, and Django's error page, write by themselves."""

from __future__ import annotations

import logging
import runpy
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import RequestFactory
from django.views.debug import technical_500_response

NAMES = ("gunicorn.access", "gunicorn.error")


@pytest.fixture
def as_served() -> Iterator[None]:
    before = {name: list(logging.getLogger(name).filters) for name in NAMES}
    conf: dict[str, Any] = runpy.run_path(str(settings.BASE_DIR / "gunicorn.conf.py"))
    conf["post_worker_init"](None)
    yield
    for name, filters in before.items():
        logging.getLogger(name).filters = filters


@pytest.mark.usefixtures("as_served")
@pytest.mark.parametrize("name", NAMES)
def test_gunicorn_logs_no_secret_link(name: str, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger(name)
    log.addHandler(caplog.handler)
    log.error("Error handling request %s", "/accounts/invitations/s3cr3t?x=1")
    log.removeHandler(caplog.handler)
    assert "/accounts/invitations/…?x=1" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_the_page_for_errors_shows_no_values() -> None:
    posted, held = secrets.token_hex(), secrets.token_hex()
    request = RequestFactory().post("/", {"whatever": posted})
    try:
        raise ValueError(len(held))
    except ValueError:
        page = technical_500_response(request, *sys.exc_info()).content.decode()
    assert "whatever" in page
    assert posted not in page
    assert held not in page
