"""Sentry, in a region of its cloud or on a server of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Self

from ..base import Check, Option, Options, ProviderError
from ..health import Figure, HealthProvider, Metric
from ..http import DEADLINE, only_provider_errors
from ..verifying import try_in_order
from . import sessions
from .client import SentryClient

PAGES = 10  # of 100 projects
DAY = timedelta(hours=24)


class Sentry(HealthProvider):
    """One project. `project_id` is its number, which a verification found: Sentry wants it in
    place of the slug. Without it, it is looked up."""

    label = "Sentry"
    address_field = "sentry_url"
    discovered = ("project_id",)
    discovered_about = "sentry_project"
    metrics = (Metric.CRASH_FREE_SESSIONS, Metric.CRASH_FREE_USERS)
    platforms = ("IOS", "ANDROID")
    deadline = DEADLINE

    def __init__(
        self, *, server: str, token: str, organization: str, project: str, project_id: str = ""
    ) -> None:
        self._token = token.strip()
        self._server, self._organization = server, organization
        self._project, self._project_id = project, project_id

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            server=connection.server_url,
            token=connection.api_token.reveal(),
            organization=connection.organization,
            project=connection.project,
            project_id=connection.options.get("project_id", ""),
        )

    @cached_property
    def _client(self) -> SentryClient:
        return SentryClient(
            self._token,
            server=self._server,
            organization=self._organization,
            deadline=self.deadline,
        )

    def checks(self) -> Iterator[Check]:
        return try_in_order(
            self.label,
            [
                ("address", self._check_contact),
                ("project", self._check_project),
                ("figures", self._check_figures),
            ],
        )

    def _check_contact(self) -> list[Check]:
        """https://docs.sentry.io/api/organizations/retrieve-an-organization/"""
        reached = Check(name="address", ok=True)
        try:
            self._client.get("/")
        except ProviderError as error:
            failure = error
        else:
            return [reached, *(Check(name=n, ok=True) for n in ("credentials", "organization"))]
        if failure.code == "not_found":
            accepted = Check(name="credentials", ok=True)
            return [reached, accepted, Check.from_error("organization", failure)]
        name = "credentials" if failure.code in _ABOUT_TOKEN else "address"
        return [Check.from_error(name, failure)]

    def _check_project(self) -> list[Check]:
        self._project_id = self._find_project()
        return [
            Check(name="project", ok=True),
            Check(name="project_id", ok=True, message=self._project_id),
        ]

    def _check_figures(self) -> list[Check]:
        """So that a person sees at once whether it is the right app, and whether it counts."""
        release = sessions.newest_release(self._client, self._project_id)
        if not release:
            return [_nothing("This project has no release yet.")]
        name = self._client.words(release)
        since = datetime.now(UTC) - DAY
        found = sessions.read(self._client, self._project_id, release, since)
        if not found:
            return [_nothing(f"Sentry counted no sessions of {name} within 24 hours.")]
        return [Check(name="figures", ok=True, message=_in_words(found[0], name))]

    @only_provider_errors
    def figures(self, app: str, version: str, build: str, since: datetime) -> Sequence[Figure]:
        project = self._project_id or self._find_project()
        names = sessions.names_of(app, version, build)
        release = sessions.find_release(self._client, project, names, version)
        return sessions.read(self._client, project, release, since) if release else []

    @only_provider_errors
    def projects(self) -> Options:
        """The projects that the token can read."""
        found = [Option(one["slug"], one["slug"]) for one in self._projects()]
        return Options(sorted(found, key=lambda option: option.value))

    def _find_project(self) -> str:
        for one in self._projects():
            if self._project in (one["slug"], one["id"]):
                return str(one["id"])
        raise ProviderError.refused(
            "project_not_found",
            f"Sentry's organization {self._organization} has no project {self._project}, or the "
            "token may not see it.",
            "Enter the slug from the address of the project's page.",
        )

    def _projects(self) -> Iterator[dict[str, Any]]:
        """https://docs.sentry.io/api/organizations/list-an-organizations-projects/"""
        for one in self._client.listed("/projects/", most=PAGES):
            if isinstance(one.get("slug"), str) and str(one.get("id")).isdecimal():
                yield {"slug": one["slug"], "id": str(one["id"])}


_ABOUT_TOKEN = ("bad_credentials", "forbidden", "malformed_secret", "rate_limited")


def _nothing(words: str) -> Check:
    return Check.warning(
        "figures",
        "no_sessions",
        words,
        "Turn on release health in the app's SDK. Until there are sessions, rules do nothing.",
    )


def _in_words(figure: Figure, release: str) -> str:
    return (
        f"{figure.value:.2f} % crash-free sessions of {release} within 24 hours "
        f"({figure.sample:,} sessions)."
    )
