"""Jira Cloud's REST API, versions 2 and 3, for one site at /jira and at the API gateway; and, for
the same tickets, Jira Data Center's with a context path.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/
"""

from __future__ import annotations

from flask import Response

from sandbox.providers import jira_following, jira_issues, jira_versions
from sandbox.providers.jira_site import (
    DATA_CENTER,
    DATA_CENTER_PREFIX,
    GATEWAY,
    GATEWAY_PREFIX,
    blueprint,
)

__all__ = [
    "DATA_CENTER",
    "DATA_CENTER_PREFIX",
    "GATEWAY",
    "GATEWAY_PREFIX",
    "blueprint",
    "jira_following",
    "jira_issues",
    "jira_versions",
]  # importing the last three adds their routes


@blueprint.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
def unknown(path: str) -> Response:
    return Response(
        "<html><body>Oops, you've found a dead link.</body></html>", 404, content_type="text/html"
    )
