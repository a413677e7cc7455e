"""While the database is away, the response is not a 500: the client is asked to come back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

handler500 = "delivr.security.outage.server_error"


def away(request: HttpRequest) -> HttpResponse:
    raise OperationalError("server closed the connection unexpectedly")


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret of ours")


urlpatterns = [
    path("page", away),
    path("api/v1/thing", away),
    path("broken", broken),
    path("api/v1/broken", broken),
]


@pytest.fixture
def client(settings: Any) -> Client:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    return Client(raise_request_exception=False)


def test_the_api_says_when_to_retry(client: Client) -> None:
    answer = client.get("/api/v1/thing")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unavailable"


def test_a_page_says_so_in_words(client: Client) -> None:
    answer = client.get("/page")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The database is not available" in answer.content.decode()
    assert "closed the connection" not in answer.content.decode()


@pytest.mark.parametrize("where", ["/broken", "/api/v1/broken"])
def test_an_internal_error_stays_a_500_without_details(client: Client, where: str) -> None:
    answer = client.get(where)
    assert answer.status_code == 500
    assert "secret" not in answer.content.decode()


def test_the_products_urls_use_it() -> None:
    from delivr import urls

    assert urls.handler500 == handler500
