"""The checks of a Jira connection. They only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..base import Check, ProviderError
from ..http import garbage, objects
from ..verifying import first_contact, is_fatal
from .addresses import is_gateway, site_in
from .epics import EpicForm
from .errors import LABEL, bad_credentials

if TYPE_CHECKING:
    from .client import JiraClient

_NEEDED = {"BROWSE_PROJECTS": "see the project", "CREATE_ISSUES": "create issues in it"}
# What following a release takes, as far as a workspace wants it.
_FOLLOWING = {
    "LINK_ISSUES": "link epics to the release",
    "ADD_COMMENTS": "comment on epics",
    "TRANSITION_ISSUES": "move epics",
    "EDIT_ISSUES": "add the version to tickets",
    "ADMINISTER_PROJECTS": "create and release versions",
}


def check_sign_in(client: JiraClient) -> None:
    """Raise `ProviderError` unless Jira accepts the credentials.

    Other endpoints treat a bad token like an anonymous request, with a 404 or an empty list; this
    one does not: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-myself/
    """
    try:
        account = client.get("myself")
    except ProviderError as error:
        failure = error
        if error.code in ("not_found", "not_jira", "bad_credentials"):
            failure = client.other_deployment() or error
        if failure.code == "not_found":
            failure = _not_jira()
    else:
        if account.get(client.api.account_key):
            return
        failure = bad_credentials() if account.get("displayName") else garbage(LABEL)
    raise failure


def read_site(client: JiraClient) -> str:
    """The URL of the site for browsers; "" if Jira does not report it."""
    return site_in(client.get("serverInfo"))


class Verification:
    """The steps in order; each uses results of the ones before."""

    def __init__(
        self,
        project_key: str,
        client: Callable[[], JiraClient],
        read_form: Callable[[JiraClient], EpicForm],
        *,
        base: str,
    ) -> None:
        self._key, self._base = project_key, base
        self._make_client, self._read_form = client, read_form
        self._form: EpicForm | None = None

    def credentials(self) -> Iterator[Check]:
        contact = first_contact(LABEL, self._sign_in)
        yield from contact
        if any(is_fatal(check) for check in contact):
            return
        yield self._deployment()
        if is_gateway(self._base):
            yield self._site()

    def _sign_in(self) -> None:
        self._client = self._make_client()
        check_sign_in(self._client)

    def _deployment(self) -> Check:
        """Its message is kept in the connection."""
        return Check(name="deployment", ok=True, message=self._client.api.code)

    def _site(self) -> Check:
        """Its message is the site's URL, which the connection keeps."""
        try:
            site, why = read_site(self._client), "Jira does not report it."
        except ProviderError as error:
            site, why = "", error.message
        if site:
            return Check(name="site", ok=True, message=site)
        return Check.warning(
            "site",
            "site_unknown",
            f"Epics are created, but not linked: the site's own address is unknown. {why}",
            "Enter the site's own address (https://example.atlassian.net) instead of the "
            "gateway's: delivr finds the gateway automatically.",
        )

    def project(self) -> Iterator[Check]:
        from .client import segment

        try:
            project = self._client.get(f"project/{segment(self._key)}")
        except ProviderError as error:
            if error.code != "not_found":
                raise
            yield self._unknown_project()
            return
        if project.get("archived"):
            yield Check.failed(
                "project",
                "archived",
                f"The project {self._key} is archived.",
                "Choose another project, or restore this one.",
            )

    def _unknown_project(self) -> Check:
        return Check.failed(
            "project",
            "not_found",
            f"Jira has no project {self._key}, or this account may not see it.",
            "Check the key (the part before the dash in an issue key) and the account's access "
            "to the project.",
        )

    def permissions(self) -> Iterator[Check]:
        """https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-permissions/"""
        answer = self._client.get(
            "mypermissions", projectKey=self._key, permissions=",".join([*_NEEDED, *_FOLLOWING])
        )
        listed = answer.get("permissions")
        granted = listed if isinstance(listed, dict) else {}
        needed = dict(
            zip(_NEEDED, objects([granted.get(name) for name in _NEEDED], LABEL), strict=True)
        )
        missing = [name for name in _NEEDED if not _is_granted(needed[name])]
        if missing:
            yield Check.failed(
                "permission",
                "missing_permission",
                "The account does not have permission to "
                f"{' or '.join(_NEEDED[name] for name in missing)}.",
                f"Give it {', '.join(missing)} in the project's permissions.",
            )
        else:
            yield Check(name="permission", ok=True)
            yield self._following([n for n in _FOLLOWING if not _is_granted(granted.get(n))])

    def _following(self, missing: Sequence[str]) -> Check:
        """Only the link is on by default, so only its permission is worth a warning."""
        if not missing:
            return Check(name="following", ok=True)
        acts = ", ".join(_FOLLOWING[name] for name in missing)
        message = f"The account may not {acts}."
        hint = f"If releases should do this, give it {', '.join(missing)} in the project."
        if "LINK_ISSUES" in missing:
            return Check.warning("following", "missing_permission", message, hint)
        return Check(name="following", ok=True, message=f"{message} {hint}")

    def epic_form(self) -> Iterator[Check]:
        self._form = self._read_form(self._client)
        yield Check(name="issue_type", ok=True, message=self._form.type_name)
        try:
            self._form.check()
        except ProviderError as error:
            yield Check.from_error("fields", error)
        else:
            yield Check(name="fields", ok=True)
        yield from self._form.field_checks()

    def correlation(self) -> Iterator[Check]:
        if self._form is None or self._form.has_labels:
            return
        yield Check.warning(
            "correlation",
            "no_labels",
            "Epics of this project have no labels. If Jira's response is lost, delivr"
            " cannot check whether the epic was created.",
            "Add the Labels field to the create screen for epics.",
        )


def _is_granted(permission: object) -> bool:
    return isinstance(permission, dict) and permission.get("havePermission") is True


def _not_jira() -> ProviderError:
    return ProviderError.refused(
        "not_jira",
        "There is no Jira at this address.",
        "Enter the address of the site, like https://example.atlassian.net.",
    )
