"""Jira, where a release has its epics, and its tickets a version."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, Option, Options, ProviderError
from ..http import DEADLINE, before_effect, garbage, only_provider_errors, vendor_words
from ..tickets import (
    Comment,
    Epic,
    Link,
    Planned,
    Readiness,
    Ticket,
    TicketItem,
    TicketProvider,
    Version,
)
from ..verifying import try_in_order
from .addresses import Cloud, api_base, is_gateway
from .deployments import CLOUD, DATA_CENTER
from .epics import (
    EpicForm,
    EpicSettings,
    cannot_correlate,
    correlation_label,
    epic_types,
    read_form,
)
from .permissions import ADMINISTER, COMMENT, LINK, MOVE, permitted
from .verification import Verification, check_sign_in, read_site

if TYPE_CHECKING:
    from .client import JiraClient
    from .versions import Versions

_ISSUE_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,99}-[0-9]{1,18}")
ATLASSIAN = Cloud()
MOST_PROJECTS = 1000  # that a picker offers


class Jira(TicketProvider):
    """Without an email address, the token is a personal access token of Jira Data Center.

    `site` is the URL for browsers, as discovered by a verification; `cloud` are Atlassian's hosts,
    which only tests replace.
    """

    label = "Jira"
    deadline = DEADLINE
    address_field = "jira_url"
    discovered = ("site", "deployment")
    shown_discoveries = {"jira_deployment": "deployment"}
    # https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
    longest_life = timedelta(days=365)

    def __init__(
        self,
        *,
        url: str,
        email: str,
        api_token: str,
        project_key: str,
        epic_type: str = "",
        fields: Mapping[str, str] | None = None,
        done_status: str = "",
        site: str = "",
        cloud: Cloud = ATLASSIAN,
    ) -> None:
        self._base = api_base(url)
        self._site = site if is_gateway(self._base) else self._base
        self._email = email.strip()
        self._token = api_token.strip()
        self._project_key = project_key.strip().upper()
        self._epic_settings = EpicSettings(epic_type=epic_type, fields=fields or {})
        self._done_status = done_status
        self._cloud = cloud
        self._api = CLOUD if self._email else DATA_CENTER

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            url=connection.server_url,
            email=connection.username,
            api_token=connection.api_token.reveal(),
            project_key=connection.project,
            epic_type=connection.options.get("jira_epic_type_name", ""),
            fields=connection.options.get("jira_fields"),
            done_status=connection.options.get("jira_done_status", ""),
            site=connection.options.get("site", ""),
        )

    @staticmethod
    def page_of(url: str, *, server_url: str, options: Mapping[str, Any]) -> str:
        """The stored URL may be the gateway's, which has no pages."""
        base, _sign, key = url.partition("/browse/")
        if not is_gateway(base):
            return url
        site = options.get("site") or ("" if is_gateway(server_url) else server_url)
        return f"{site.rstrip('/')}/browse/{key}" if site else ""

    def checks(self) -> Iterator[Check]:
        check = Verification(self._project_key, self._client, self._read_form, base=self._base)
        return try_in_order(
            self.label,
            [
                ("credentials", check.credentials),
                ("project", check.project),
                ("permission", check.permissions),
                ("issue_type", check.epic_form),
                ("correlation", check.correlation),
            ],
        )

    @only_provider_errors
    def projects(self) -> Options:
        """At most `MOST_PROJECTS` of the projects that the account can see."""
        client = self._client()
        listed: Iterator[dict[str, Any]]
        if self._api is DATA_CENTER:
            listed = iter(client.get_list("project"))
        else:
            listed = client.pages("project/search", "values", size=100, orderBy="key")
        found = [
            Option(value=str(project.get("key")), label=_project_label(project, client.secrets))
            for project in islice(listed, MOST_PROJECTS + 1)
            if not project.get("archived")
        ]
        return Options.cut(found, MOST_PROJECTS)

    @only_provider_errors
    def epic_types(self) -> list[Option]:
        """The types at the level of epics that the project has."""
        found = epic_types(self._signed_in(), self._project_key)
        return [Option(value=kind.name, label=kind.name) for kind in found]

    @only_provider_errors
    def create(self, item: TicketItem, *, correlation: str) -> Ticket:
        """Create once, with a label that carries `correlation`.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post
        has no idempotency key.
        """
        client = before_effect(self.label, self._signed_in)
        form = before_effect(self.label, lambda: self._read_form(client))
        form.check()
        self._learn_site(client)
        created = client.post("issue", form.fill(self._project_key, _epic(item), correlation))
        return self._ticket(created)

    @only_provider_errors
    def find(self, item: TicketItem, *, correlation: str) -> Ticket | None:
        """Search by the label. Jira's search lags: a new epic may be missing for a minute or two.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
        """
        client, label = self._signed_in(), correlation_label(correlation)
        jql = f'project = "{self._quoted_key()}" AND labels = "{label}" ORDER BY created ASC'
        issues = self._api.search(client, jql, ["labels"], most=10).issues
        found = next((issue for issue in issues if _has_label(issue, label)), None)
        if found is not None:
            self._learn_site(client)
            return self._ticket(found)
        if not self._read_form(client).has_labels:
            raise cannot_correlate()
        return None

    # --- Following a release ----------------------------------------------------------------------

    @only_provider_errors
    def put_link(self, key: str, link: Link) -> None:
        from .following import link_body

        client = before_effect(self.label, self._signed_in)
        permitted(LINK, lambda: client.post(f"issue/{key}/remotelink", link_body(link)))

    @only_provider_errors
    def has_link(self, key: str, link: Link) -> bool:
        from .following import has_link

        return has_link(self._signed_in(), key, link)

    @only_provider_errors
    def comment(self, key: str, comment: Comment, *, correlation: str) -> str:
        from .following import comment_body

        client = before_effect(self.label, self._signed_in)
        body = comment_body(client, comment, correlation)
        made = permitted(COMMENT, lambda: client.post(f"issue/{key}/comment", body))
        return str(made.get("id"))

    @only_provider_errors
    def find_comment(self, key: str, *, correlation: str) -> str | None:
        from .following import find_comment

        return find_comment(self._signed_in(), key, correlation)

    @only_provider_errors
    def finish_ticket(self, key: str) -> str:
        from .following import finish

        client = before_effect(self.label, self._signed_in)
        return permitted(MOVE, lambda: finish(client, key, self._done_status))

    @only_provider_errors
    def finished_as(self, key: str) -> str | None:
        from .following import finished_as

        return finished_as(self._signed_in(), key)

    # --- Versions ---------------------------------------------------------------------------------

    @only_provider_errors
    def find_version(self, name: str) -> Version | None:
        return self._versions().find(name)

    @only_provider_errors
    def create_version(self, name: str, *, description: str) -> Version:
        versions = before_effect(self.label, self._versions)
        return permitted(ADMINISTER, lambda: versions.create(name, description))

    @only_provider_errors
    def plan(self, version_id: str, keys: Sequence[str]) -> Planned:
        return before_effect(self.label, self._versions).plan(version_id, keys)

    @only_provider_errors
    def release_version(self, version_id: str, *, on: date) -> Version:
        versions = before_effect(self.label, self._versions)
        return permitted(ADMINISTER, lambda: versions.release(version_id, on))

    @only_provider_errors
    def readiness(self, version: Version, *, most: int) -> Readiness:
        return self._versions().readiness(version, most)

    @only_provider_errors
    def readiness_of(self, name: str, *, most: int, within: float) -> Readiness | None:
        versions = self._versions(within)
        found = versions.find(name)
        return versions.readiness(found, most) if found else None

    def _versions(self, within: float | None = None) -> Versions:
        from .versions import Versions

        client = self._signed_in(within)
        self._learn_site(client)
        return Versions(client, self._project_key, site=self._site)

    def _signed_in(self, within: float | None = None) -> JiraClient:
        """A client whose token was accepted, by the site or by the gateway.

        Without a sign-in, Jira shows no project and a search finds nothing. The site answers a
        token with scopes like that, so the first request decides whether to use the gateway.
        """
        client = self._client(within)
        check_sign_in(client)
        return client

    def _read_form(self, client: JiraClient) -> EpicForm:
        return read_form(client, self._project_key, self._epic_settings)

    def _learn_site(self, client: JiraClient) -> None:
        """Read the site's URL for the link, if no verification has stored it yet."""
        if not self._site:
            with contextlib.suppress(ProviderError):
                self._site = read_site(client)

    def _quoted_key(self) -> str:
        return re.sub(r"[^A-Z0-9_]", "", self._project_key)

    def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        """The URL is built from the site's, since the `self` link may name the gateway."""
        key = str(issue.get("key"))
        if not _ISSUE_KEY.fullmatch(key):
            raise garbage(self.label)
        return Ticket(key=key, url=f"{self._site}/browse/{key}" if self._site else "")

    def _client(self, within: float | None = None) -> JiraClient:
        from .client import JiraClient  # the jira library costs 0.4 s to import

        return JiraClient(
            site=self._base,
            email=self._email,
            api_token=self._token,
            cloud=self._cloud,
            api=self._api,
            deadline=within or self.deadline,
        )


def _epic(item: TicketItem) -> Epic:
    if not isinstance(item, Epic):
        raise NotImplementedError(type(item).__name__)
    return item


def _has_label(issue: Mapping[str, Any], label: str) -> bool:
    fields = issue.get("fields")
    labels = fields.get("labels") if isinstance(fields, dict) else None
    return isinstance(labels, list) and label in labels


def _project_label(project: Mapping[str, Any], secrets: tuple[str, ...]) -> str:
    name = vendor_words(project.get("name"), secrets=secrets, limit=80)
    return f"{name} ({vendor_words(project.get('key'), secrets=secrets, limit=40)})"
