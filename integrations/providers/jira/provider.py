"""Jira Cloud as the place where a release has its epics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, Epic, Option, ProviderError, Ticket, TicketProvider
from ..http import DEADLINE, before_effect, garbage, only_provider_errors, vendor_words
from ..verifying import first_contact, try_in_order
from .addresses import Cloud, site_url
from .epics import EpicForm, cannot_correlate, correlation_label, read_form
from .verification import Verification, check_sign_in

if TYPE_CHECKING:
    from .client import JiraClient

_ISSUE_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,99}-[0-9]{1,18}")
ATLASSIAN = Cloud()


class Jira(TicketProvider):
    """`cloud` says where Atlassian hosts its sites; only tests have another one."""

    label = "Jira"
    secret_fields = ("jira_api_token",)
    deadline = DEADLINE
    address_field = "jira_url"
    # https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
    longest_life = timedelta(days=365)

    def __init__(
        self, *, url: str, email: str, api_token: str, project_key: str, cloud: Cloud = ATLASSIAN
    ) -> None:
        self._site = site_url(url)
        self._email = email.strip()
        self._token = api_token.strip()
        self._project_key = project_key.strip().upper()
        self._cloud = cloud

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            url=connection.jira_url,
            email=connection.jira_email,
            api_token=connection.jira_api_token.reveal(),
            project_key=connection.jira_project_key,
        )

    def checks(self) -> Iterator[Check]:
        check = Verification(self._project_key, self._client)
        return try_in_order(
            self.label,
            [
                ("credentials", lambda: first_contact(self.label, check.sign_in)),
                ("project", check.project),
                ("permission", check.permissions),
                ("issue_type", check.epic_form),
                ("correlation", check.correlation),
            ],
        )

    @only_provider_errors
    def projects(self) -> list[Option]:
        """The projects that the account can see."""
        client = self._client()
        return [
            Option(value=str(project.get("key")), label=_project_label(project, client.secrets))
            for project in client.pages("project/search", "values", orderBy="key")
            if not project.get("archived")
        ]

    @only_provider_errors
    def create_epic(self, *, epic: Epic, correlation: str) -> Ticket:
        """Create once, with a label that carries `correlation`.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post
        has no idempotency key.
        """
        client = self._client()
        form = before_effect(self.label, lambda: self._read_form(client))
        form.check()
        created = client.post("issue", form.fill(self._project_key, epic, correlation))
        return self._ticket(created)

    @only_provider_errors
    def find_epic(self, *, correlation: str) -> Ticket | None:
        """Look by the label. Jira's search lags: a fresh epic may be missing for a minute or two.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
        """
        client, label = self._client(), correlation_label(correlation)
        answer = client.get(
            "search/jql",
            jql=f'project = "{self._quoted_key()}" AND labels = "{label}" ORDER BY created ASC',
            fields="labels",
            maxResults=10,
        )
        if not isinstance(issues := answer.get("issues"), list):
            raise garbage(self.label)
        found = next((issue for issue in issues if _has_label(issue, label)), None)
        if found is not None:
            return self._ticket(found)
        check_sign_in(client)  # strangers find nothing either
        if not self._read_form(client).has_labels:
            raise cannot_correlate()
        return None

    def _read_form(self, client: JiraClient) -> EpicForm:
        try:
            return read_form(client, self._project_key)
        except ProviderError as error:
            failure = error
        if failure.code == "not_found":
            check_sign_in(client)  # to strangers the project does not exist
        raise failure

    def _quoted_key(self) -> str:
        return re.sub(r"[^A-Z0-9_]", "", self._project_key)

    def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        """Its `self` link may name the API gateway: the page is built from the site's address."""
        key = str(issue.get("key"))
        if not _ISSUE_KEY.fullmatch(key):
            raise garbage(self.label)
        return Ticket(key=key, url=f"{self._site}/browse/{key}")

    def _client(self) -> JiraClient:
        from .client import JiraClient  # the jira library costs 0.4 s to import

        return JiraClient(
            site=self._site,
            email=self._email,
            api_token=self._token,
            cloud=self._cloud,
            deadline=self.deadline,
        )


def _has_label(issue: object, label: str) -> bool:
    fields = issue.get("fields") if isinstance(issue, dict) else None
    labels = fields.get("labels") if isinstance(fields, dict) else None
    return isinstance(labels, list) and label in labels


def _project_label(project: Mapping[str, Any], secrets: tuple[str, ...]) -> str:
    name = vendor_words(project.get("name"), secrets=secrets, limit=80)
    return f"{name} ({vendor_words(project.get('key'), secrets=secrets, limit=40)})"
