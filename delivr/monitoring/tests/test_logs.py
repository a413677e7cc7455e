"""The log as JSON: the ids of what a line is about, and no more than the text shows."""

from __future__ import annotations

import json
import logging
import logging.config
import runpy
from collections.abc import Iterator
from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory

from delivr.monitoring.logs import IdsOfRequests, JsonLines, log_ids

log = logging.getLogger("delivr.tests.lines")


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What the console handler of the settings writes with LOG_FORMAT=json."""
    conf = deepcopy(settings.LOGGING)
    written = StringIO()
    console = conf["handlers"]["console"]
    console.update(formatter="json", stream=written)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    logging.config.dictConfig({**conf, "root": {"handlers": ["console"], "level": "INFO"}})
    yield written
    root.handlers = before
    root.setLevel(level)


def test_lines_carry_the_ids_of_what_they_are_about(lines: StringIO) -> None:
    with log_ids(tenant="T1", job="effect eff_1"):
        with log_ids(effect="eff_1", release=""):
            log.info("Sent to %s.", "chat")
        log.warning("Next.")
    log.info("Outside.")
    first, second, third = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "INFO",
        "logger": log.name,
        "message": "Sent to chat.",
        "tenant": "T1",
        "job": "effect eff_1",
        "effect": "eff_1",
    }
    assert (second["tenant"], second.get("effect")) == ("T1", None)
    assert set(third) == {"time", "level", "logger", "message"}


def test_lines_show_no_secret_link_and_no_attribute(lines: StringIO) -> None:
    secret = "s3cr3t-of-a-link"
    log.error("Bad: %s", f"/accounts/invitations/{secret}", extra={"body": secret})
    try:
        raise ValueError("one\nmore line")
    except ValueError:
        log.exception("Failed.")
    assert secret not in lines.getvalue()
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert "ValueError: one\nmore line" in written[1]["error"]


def test_a_request_names_its_tenant_and_release_and_forgets_them(lines: StringIO, rf: Any) -> None:
    def view(request: Any) -> HttpResponse:
        middleware.process_view(request, view, (), {"release_id": "rel_1", "pk": 3})
        log.info("Inside.")
        return HttpResponse()

    middleware = IdsOfRequests(view)
    request: Any = RequestFactory().get("/")
    request.tenant = type("Tenant", (), {"pk": "T1"})
    middleware(request)
    log.info("After.")
    inside, after = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (inside["tenant"], inside["release"]) == ("T1", "rel_1")
    assert "tenant" not in after
    assert "release" not in after


def test_gunicorn_writes_json_too(settings: Any) -> None:
    conf: dict[str, Any] = runpy.run_path(str(settings.BASE_DIR / "gunicorn.conf.py"))
    handler = logging.StreamHandler(StringIO())
    logger = logging.getLogger("gunicorn.error")
    logger.addHandler(handler)
    try:
        conf["on_starting"](None)
        assert not isinstance(handler.formatter, JsonLines)
        settings.LOG_FORMAT = "json"
        conf["on_starting"](None)
        assert isinstance(handler.formatter, JsonLines)
    finally:
        logger.removeHandler(handler)
