"""The checks of a GitHub connection. They only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..base import Check, Outcome, ProviderError
from ..http import garbage
from ..verifying import expiry_checks
from .addresses import read_repository
from .refusals import LABEL, NOT_FOR_APPS, suspended
from .sessions import Session

if TYPE_CHECKING:
    from .client import Answer, GitHubClient

# Permissions of an app: without the first nothing works, without the others not everything.
NEEDED = {"contents": "write", "metadata": "read"}
WANTED = {"actions": "write", "workflows": "write", "pull_requests": "read"}
REPOSITORY_ID = "repository_id"  # of a check, and in the connection's options
MOVED = "repository_moved"


class Verification:
    """The client is created in the first step, so that an unusable token is a failed check."""

    def __init__(
        self,
        client: Callable[[], GitHubClient],
        name: Callable[[], str],
        *,
        known_id: str = "",
        needed: Mapping[str, str] = NEEDED,
    ) -> None:
        self._make_client = client
        self._name = name
        self._known_id = known_id  # the repository's, from an earlier verification
        self._needed = needed  # permissions
        self.expires: datetime | None = None

    def sign_in(self) -> None:
        """https://docs.github.com/en/rest/users/users#get-the-authenticated-user

        An installation token of a GitHub App has no user; GitHub's refusal says so.
        """
        self._client = self._make_client()
        self._login = ""
        try:
            user = self._client.get("/user").data
        except ProviderError as error:
            if error.code == NOT_FOR_APPS:
                return
            raise
        if not isinstance(user, dict) or not isinstance(user.get("login"), str):
            raise garbage("GitHub")
        self._login = self._client.words(user["login"])

    def account(self) -> list[Check]:
        words = f"Signed in as {self._login}." if self._login else _AN_APP
        return [Check(name="account", ok=True, message=words)]

    def repository(self) -> list[Check]:
        """https://docs.github.com/en/rest/repos/repos#get-a-repository"""
        name = self._name()
        self._answer = self._look_up(name)
        self._data = _repository_in(self._answer, name)
        self._require_same(name)
        self.expires = self._answer.token_expires
        if self._data.get("archived"):
            raise _unusable("archived", f"{name} is archived: nothing can be pushed to it.")
        if self._data.get("disabled"):
            raise _unusable("disabled", f"GitHub has disabled {name}.")
        return []

    def identity(self) -> list[Check]:
        """Its ID, which a new name does not change."""
        return [Check(name=REPOSITORY_ID, ok=True, message=str(self._data["id"]))]

    def _require_same(self, name: str) -> None:
        """After a rename, another repository may get the old name."""
        if self._known_id in ("", str(self._data["id"])):
            return
        if now := name_now(self._client, self._known_id):
            raise moved(name, now)
        raise _another(name)

    @property
    def default_branch(self) -> str:
        """After `repository`."""
        return str(self._data.get("default_branch") or "")

    def _look_up(self, name: str) -> Answer:
        try:
            return self._client.get(f"/repos/{name}")
        except ProviderError as error:
            failure = error
        if failure.code == "redirect":
            raise moved(name, name_now(self._client, self._known_id))
        if failure.code == "not_found":
            raise not_found(name)
        raise failure

    def permission(self) -> list[Check]:
        if not self._login:  # an app's permissions are not part of the repository's data
            return [Check.untested("permission", _APP_NEEDS)]
        if not may_push(self._data):
            raise ProviderError(
                "no_push",
                f"The token's owner can read {self._name()}, but not write to it.",
                "Give the account the Write role, or enter the token of another account.",
                outcome=Outcome.CREDENTIALS,
            )
        scopes = self._answer.scopes
        if scopes is None:
            return [Check.untested("permission", _FINE_GRAINED)]
        if not scopes & _sufficient_scopes(self._data):
            raise _missing_scope()
        return []

    def expiry(self) -> list[Check]:
        return expiry_checks(self.expires, LABEL)


class AppVerification(Verification):
    """Of an app, which tells where it is installed and what it may do there."""

    def sign_in(self) -> None:
        self._client = self._make_client()
        itself = self._client.as_app().itself()
        self._login = self._client.words(itself.get("name"))
        self._page = self._client.words(itself.get("html_url"))

    def account(self) -> list[Check]:
        try:
            self._installation = self._client.as_app().installation()
        except ProviderError as error:
            if error.code == "app_not_installed" and self._page:
                error.hint = f"Install it for this repository: {self._page}/installations/new"
            raise
        if self._installation.get("suspended_at"):
            raise suspended()
        account = self._installation.get("account")
        owner = self._client.words(account.get("login")) if isinstance(account, dict) else ""
        return [
            Check(
                name="account", ok=True, message=f"The app {self._login} is installed in {owner}."
            )
        ]

    def permission(self) -> list[Check]:
        """What its installation was given; an owner has to accept what the app asks for later."""
        given = self._installation.get("permissions")
        lacking = {
            name: level
            for name, level in {**WANTED, **self._needed}.items()
            if not isinstance(given, dict) or not _is_enough(given.get(name), level)
        }
        words = ", ".join(f"{_named(name)} ({level})" for name, level in lacking.items())
        hint = "Add it in the app's settings in GitHub, and accept it where the app is installed."
        if lacking.keys() & self._needed.keys():
            raise ProviderError(
                "app_permission",
                f"The app lacks a permission: {words}.",
                hint,
                outcome=Outcome.CREDENTIALS,
            )
        if lacking:
            message = f"Not everything will work: the app lacks {words}."
            return [Check.warning("permission", "app_permission", message, hint)]
        return []

    def expiry(self) -> list[Check]:
        """Its tokens are renewed by themselves."""
        self.expires = None
        return []


def _is_enough(given: object, wanted: str) -> bool:
    return given in ("write", "admin") or given == wanted


def _named(permission: str) -> str:
    return permission.replace("_", " ").capitalize()


def verification_of(credential: str | Session) -> type[Verification]:
    return Verification if isinstance(credential, str) else AppVerification


def may_push(repository: dict[str, Any]) -> bool:
    """True if the user may push; GitHub does not show an app's permissions here."""
    permissions = repository.get("permissions")
    return isinstance(permissions, dict) and permissions.get("push") is True


_AN_APP = "Signed in as a GitHub App. Its tokens expire after an hour: enter a new one in time."
_APP_NEEDS = (
    "GitHub does not report the permissions of an app's token. The app needs Contents and "
    "Actions (both write) and Metadata."
)
_FINE_GRAINED = (
    "GitHub does not report the permissions of this kind of token. It needs Contents and "
    "Actions (both write) and Metadata."
)


def _sufficient_scopes(repository: dict[str, Any]) -> frozenset[str]:
    """https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps"""
    return frozenset({"repo"} if repository.get("private") else {"repo", "public_repo"})


def _repository_in(answer: Answer, name: str) -> dict[str, Any]:
    """The requested repository. Raises ProviderError for a login page with 200, and for another
    repository (after a rename)."""
    data = answer.data
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise garbage("GitHub")
    if str(data.get("full_name")).casefold() != name.casefold():
        raise moved(name)
    return data


def not_found(name: str) -> ProviderError:
    return ProviderError.refused(
        "repository_not_found",
        f"GitHub has no repository {name}, or this token may not see it.",
        "Check the spelling. A fine-grained token must include the repository, and the "
        "organization may have to approve it; a classic token needs the repo scope.",
    )


def moved(name: str, now: str = "") -> ProviderError:
    """`now`: the name that it has now, if that is known."""
    return ProviderError.refused(
        MOVED,
        f"{name} was renamed or moved." if not now else f"{name} is {now} now.",
        "Open it in a browser and enter its current address."
        if not now
        else "Take the new address over, or enter another one.",
    )


def _another(name: str) -> ProviderError:
    return ProviderError.refused(
        "repository_replaced",
        f"{name} is not the repository that was connected: another one has its name by now.",
        "Give the token access to the one that was connected, to see its current address. If you "
        "mean the new one, connect it as another connection.",
    )


def name_now(client: GitHubClient, repository_id: str) -> str:
    """The name of the repository with this ID; "" if it is not there for us. Its address is our
    own: a redirect is not followed with a token."""
    if not repository_id:
        return ""
    try:
        data = client.get(f"/repositories/{repository_id}").data
    except ProviderError as error:
        if error.code != "not_found":
            raise
        return ""
    name = data.get("full_name") if isinstance(data, dict) else None
    return name if isinstance(name, str) and read_repository(name) else ""


def _unusable(code: str, message: str) -> ProviderError:
    hint = "Choose another repository, or change this one in GitHub."
    return ProviderError.refused(code, message, hint)


def _missing_scope() -> ProviderError:
    return ProviderError(
        "missing_scope",
        "The token lacks the repo scope, so it cannot write to the repository.",
        "Create a classic token with the repo scope, or a fine-grained one for this repository.",
        outcome=Outcome.CREDENTIALS,
    )
