"""What the tests of steps share: to look for a step, to take it, and what was sent."""

import pytest
from django.test import override_settings

from integrations.providers.base import ProviderError

from . import answers
from .answers import document, make, plan, refusal

DRAFT = answers.version()
NOTES = {"en-US": "Faster.", "de-DE": "Schneller."}
NOT_FOUND = refusal(("NOT_FOUND", "There is no such resource."), status=404)


@pytest.fixture(autouse=True)
def app_store_is_here(wire):
    with override_settings(APP_STORE_CONNECT_URL=wire.url):
        yield


def find(step, **changes):
    return make().find_step(step, plan(**changes))


def take(step, **changes):
    return make().take_step(step, plan(**changes))


def error_of(step, call=take, **changes):
    with pytest.raises(ProviderError) as caught:
        call(step, **changes)
    return caught.value


def sent(wire):
    """Method, path and body of the only request that changes something."""
    [seen] = [seen for seen in wire.seen if seen.method != "GET"]
    return seen.method, seen.path, seen.json if seen.body else None


def created(wire, kind, identifier="new"):
    wire.routes[f"/v1/{kind}"] = document(answers.resource(kind, identifier), 201)


def linked(kind, identifier):
    return {"data": {"type": kind, "id": identifier}}
