"""Helpers for the tests of the builds' pages."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

SENT, RECEIVED = "/activity", "/activity/received"


def main_of(response):
    assert response.status_code == 200
    return response.content.decode().partition("<main")[2]


def queries_of(client, path):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)
