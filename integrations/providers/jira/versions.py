"""A project's versions, and the tickets that are planned for them.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-project-versions/
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote

from ..base import Outcome, ProviderError
from ..http import before_effect, dicts, garbage, vendor_words
from ..tickets import FoundTicket, Planned, Readiness, Version
from .client import JiraClient, segment
from .deployments import DATA_CENTER
from .errors import LABEL
from .following import status_of
from .permissions import EDIT, permitted

_FIELDS = ("summary", "status")
_LONGEST_NAME, _LONGEST_TITLE = 255, 200  # characters
_HINT_ABOUT_SCREEN = (
    "Add the field Fix versions to the project's screens, and give the account permission to edit "
    "and resolve issues."
)
_TAKEN = "already exists"  # of Jira's refusal of a name


class Versions:
    """The versions of one project. `site` is its URL for browsers; "" if that is unknown."""

    def __init__(self, client: JiraClient, project_key: str, *, site: str) -> None:
        self._client, self._key, self._site = client, project_key, site

    def find(self, name: str) -> Version | None:
        return next((one for one in self._named(name) if one.name == name), None)

    def _named(self, name: str) -> list[Version]:
        """Data Center lists all of the project's versions at once, and has no search for them."""
        project = f"project/{segment(self._key)}"
        if self._client.api is DATA_CENTER:
            rows = self._client.get_list(f"{project}/versions")
        else:
            rows = list(self._client.pages(f"{project}/version", "values", query=name))
        return [self._version(row) for row in rows]

    def create(self, name: str, description: str) -> Version:
        """Find it by name first: Jira refuses a second one of a name."""
        if len(name) > _LONGEST_NAME:
            raise ProviderError.refused("name_too_long", "The version's name is too long for Jira.")
        there = before_effect(LABEL, lambda: self.find(name))
        if there is not None:
            return there
        project = before_effect(LABEL, lambda: self._client.get(f"project/{segment(self._key)}"))
        body = {"projectId": self._number(project), "name": name, "description": description}
        try:
            return self._version(self._client.post("version", body))
        except ProviderError as error:
            there = self.find(name) if _TAKEN in error.message else None
            if there is None:
                raise
            return there

    def _number(self, project: Mapping[str, Any]) -> int:
        """The API takes a number, and answers a text."""
        found = str(project.get("id"))
        if not found.isdecimal():
            raise garbage(LABEL)
        return int(found)

    def read(self, version_id: str) -> Version:
        return self._version(self._client.get(f"version/{segment(version_id)}"))

    def release(self, version_id: str, on: date) -> Version:
        there = before_effect(LABEL, lambda: self.read(version_id))
        if there.is_released:
            return there
        body = {"released": True, "releaseDate": on.isoformat()}
        return self._version(self._client.put(f"version/{segment(version_id)}", body))

    def plan(self, version_id: str, keys: Sequence[str]) -> Planned:
        """One request tells which tickets there are; each of them takes one of its own."""
        issues = before_effect(
            LABEL, lambda: self._client.api.issues(self._client, keys, ("project", "fixVersions"))
        )
        here = [issue for issue in issues if self._is_here(issue)]
        refused, failure = self._add(version_id, [i for i in here if not _has(i, version_id)])
        found = {str(issue.get("key")) for issue in issues}
        ours = [str(issue.get("key")) for issue in here]
        if failure is not None:
            raise failure
        if refused and len(refused) == len(ours):
            raise ProviderError.refused(
                "version_refused", next(iter(refused.values())), _HINT_ABOUT_SCREEN
            )
        return Planned(
            added=sorted(set(ours) - set(refused)),
            elsewhere=sorted(found - set(ours)),
            unknown=sorted(set(keys) - found) if len(found) < len(keys) else (),
            refused=refused,
        )

    def _add(
        self, version_id: str, issues: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, str], ProviderError | None]:
        """What was refused, and the error if some are left. Adding is repeatable, so a lost
        response leaves nothing to look for."""
        refused: dict[str, str] = {}
        failure: ProviderError | None = None
        for key in (str(issue.get("key")) for issue in issues):
            try:
                permitted(EDIT, functools.partial(self._add_one, key, version_id))
            except ProviderError as error:
                if error.outcome is Outcome.REFUSED:
                    refused[key] = error.message
                    continue
                failure = error
                if error.outcome is not Outcome.NOT_SENT:
                    break  # the credentials or the rate: the others would meet the same
        return refused, failure

    def _add_one(self, key: str, version_id: str) -> None:
        body = {"update": {"fixVersions": [{"add": {"id": version_id}}]}}
        before_effect(LABEL, lambda: self._client.put(f"issue/{segment(key)}", body))

    def _is_here(self, issue: Mapping[str, Any]) -> bool:
        fields = issue.get("fields")
        project = fields.get("project") if isinstance(fields, dict) else None
        return isinstance(project, dict) and project.get("key") == self._key

    def readiness(self, version: Version, most: int) -> Readiness:
        now = self.read(version.id)
        jql = f"fixVersion = {_number_of(version)} AND statusCategory != Done ORDER BY key ASC"
        found = self._client.api.search(self._client, jql, _FIELDS, most=most)
        counts = self._client.get(f"version/{segment(version.id)}/relatedIssueCounts")
        total = counts.get("issuesFixedCount")
        return Readiness(
            version=now,
            total=max(total if isinstance(total, int) else 0, found.total),
            not_done=found.total,
            tickets=[self._ticket(issue) for issue in found.issues],
        )

    def _version(self, row: Mapping[str, Any]) -> Version:
        found, name = str(row.get("id")), row.get("name")
        if not found.isdecimal() or not isinstance(name, str):
            raise garbage(LABEL)
        path = f"projects/{quote(self._key, safe='')}/versions/{found}"
        return Version(
            id=found,
            name=name,
            url=f"{self._site}/{path}" if self._site else "",
            is_released=row.get("released") is True,
            is_archived=row.get("archived") is True,
        )

    def _ticket(self, issue: Mapping[str, Any]) -> FoundTicket:
        fields = issue.get("fields")
        title = fields.get("summary") if isinstance(fields, dict) else ""
        key = str(issue.get("key"))
        return FoundTicket(
            key=key,
            url=f"{self._site}/browse/{quote(key, safe='')}" if self._site else "",
            title=self._words(title, _LONGEST_TITLE),
            status=self._words(status_of(issue)[0], 80),
        )

    def _words(self, text: object, limit: int) -> str:
        return vendor_words(text, secrets=self._client.secrets, limit=limit)


def _has(issue: Mapping[str, Any], version_id: str) -> bool:
    fields = issue.get("fields")
    versions = dicts(fields.get("fixVersions")) if isinstance(fields, dict) else []
    return any(str(one.get("id")) == version_id for one in versions)


def _number_of(version: Version) -> str:
    return version.id if version.id.isdecimal() else "0"
