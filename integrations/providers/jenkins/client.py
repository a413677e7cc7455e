"""Jenkins' remote access API over HTTP: https://www.jenkins.io/doc/book/using/remote-access-api/

An API token needs no crumb unless a session cookie is sent with it, so cookies are not kept.
"""

from __future__ import annotations

import re
from typing import Any

import requests

from delivr import outbound

from ..base import Outcome, ProviderError
from ..http import Budget, error_from_status, objects, parse_object

LABEL = "Jenkins"
_PERMISSION = re.compile(r"[A-Za-z]+(?:\.[A-Za-z]+)*")
_PERMISSION_NAMES = {
    "hudson.model.Item.Build": "Job/Build",
    "hudson.model.Item.Cancel": "Job/Cancel",
    "hudson.model.Item.Read": "Job/Read",
    "hudson.model.Hudson.Read": "Overall/Read",
}


class JenkinsClient:
    """`url`: the base URL with its context path. `deadline`: seconds for all calls together."""

    def __init__(self, *, url: str, username: str, api_token: str, deadline: float) -> None:
        self.base = url.rstrip("/")
        self.username = username
        # As bytes, since requests encodes text as Latin-1 and Jenkins reads UTF-8.
        self._auth = (username.encode(), api_token.encode())
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, *, tree: str) -> dict[str, Any]:
        """The JSON of `{path}/api/json`. Raises ProviderError for anything else."""
        answer = self.fetch(path, tree=tree)
        if answer.status_code != 200:
            raise self.error(answer)
        document = parse_object(answer.content)
        if document is None:
            raise not_jenkins()
        return document

    def get_or_none(self, path: str, *, tree: str) -> dict[str, Any] | None:
        """The same, but None for 404, which means missing or hidden from this user."""
        try:
            return self.get(path, tree=tree)
        except ProviderError as error:
            if error.code != "not_found":
                raise
        return None

    def get_fitting(self, path: str, *trees: str) -> dict[str, Any] | None:
        """The response to the first of `trees` that is not too large to read; None for 404."""
        for tree in trees[:-1]:
            try:
                return self.get_or_none(path, tree=tree)
            except outbound.OutboundError as error:
                check_too_large(error)
        return self.get_or_none(path, tree=trees[-1])

    def get_part(
        self, path: str, name: str, *fields: str, start: int, end: int
    ) -> list[dict[str, Any]] | None:
        """The objects `start` … `end` of a list, fewer if it is shorter; None for 404.

        If they are too large together, they are requested in halves; a single object that is too
        large is requested with the next of `fields`.
        """
        trees = [f"{name}[{names}]{{{start},{end}}}" for names in fields]
        if end - start == 1:
            document = self.get_fitting(path, *trees)
            return None if document is None else objects(document.get(name), LABEL)
        try:
            document = self.get_or_none(path, tree=trees[0])
            return None if document is None else objects(document.get(name), LABEL)
        except outbound.OutboundError as error:
            check_too_large(error)
        middle = (start + end) // 2
        first = self.get_part(path, name, *fields, start=start, end=middle)
        if first is None or len(first) < middle - start:
            return first
        rest = self.get_part(path, name, *fields, start=middle, end=end)
        return None if rest is None else first + rest

    def fetch(self, path: str, *, tree: str) -> requests.Response:
        """GET `{path}/api/json`, whatever its status."""
        return self._send("GET", f"{path}/api/json", params={"tree": tree})

    def ask(self, method: str, path: str, **query: str) -> requests.Response:
        """GET or HEAD, whatever the status of the response."""
        return self._send(method, path, params=query)

    def open(self, path: str) -> outbound.Download:
        """A file, to be read in parts. Raises ProviderError if it cannot be read."""
        opened = outbound.open_download(self.base + path, auth=self._auth)
        if opened.status == 200:
            return opened
        opened.close()
        raise error_from_status(LABEL, opened.status)

    def post(self, path: str, **form: str) -> requests.Response:
        """POST a form, once, whatever the status of the response; redirects are not followed."""
        return self._send("POST", path, data=form)

    def _send(self, method: str, path: str, **request: Any) -> requests.Response:
        # Jenkins answers triggers with a 303 that must be read, hence keep_redirects.
        with outbound.session(deadline=self._budget.left(), keep_redirects=True) as session:
            return session.request(method, self.base + path, auth=self._auth, **request)

    def error(self, answer: requests.Response) -> ProviderError:
        """The error for an unsuccessful response."""
        status, wait = answer.status_code, answer.headers.get("Retry-After")
        if 300 <= status < 400 and is_jenkins(answer) and _leads_to_login(answer):
            return _wants_sign_in()
        if 300 <= status < 400:
            return error_from_status(
                LABEL,
                status,
                message="Jenkins redirects to another address.",
                hint="Enter the address as the browser shows it after signing in to Jenkins.",
            )
        if not is_jenkins(answer) and status < 500 and status != 429:
            return not_jenkins(status)
        if status == 401:
            return error_from_status(LABEL, status, **self._refused_token())
        if status == 403:
            return error_from_status(LABEL, status, retry_after=wait, **self._forbidden(answer))
        return error_from_status(LABEL, status, retry_after=wait)

    def _refused_token(self) -> dict[str, str]:
        return {
            "message": f"Jenkins refused the token for user {self.username}.",
            "hint": "Create a new one in Jenkins under User > Security > API Token.",
        }

    def _forbidden(self, answer: requests.Response) -> dict[str, str]:
        if _asks_for_crumb(answer):
            return {
                "code": "crumb_required",
                "message": "Jenkins asked for a crumb, which means that a password was entered.",
                "hint": "Enter an API token instead: User > Security > API Token.",
            }
        wanted = answer.headers.get("X-Required-Permission", "")
        wanted = wanted if _PERMISSION.fullmatch(wanted) else ""
        name = _PERMISSION_NAMES.get(wanted, wanted) or "a permission"
        return {
            "message": f"Jenkins does not allow this to user {self.username}: {name} is missing.",
            "hint": f"Ask a Jenkins administrator to give {self.username} {name}.",
        }


def check_too_large(error: outbound.OutboundError) -> None:
    """Raise the error again unless the response exceeded the size limit (`outbound.MAX_BODY`)."""
    if error.code != "too_large":
        raise error


# Where single sign-on plugins and Jenkins' own form redirect users who are not signed in.
_LOGIN = re.compile(r"/securityRealm/|commenceLogin|/login\b|/oauth2?/|/saml", re.I)


def _leads_to_login(answer: requests.Response) -> bool:
    return bool(_LOGIN.search(answer.headers.get("Location", "")))


def _wants_sign_in() -> ProviderError:
    """https://plugins.jenkins.io/oic-auth/ redirects API requests, too."""
    return ProviderError(
        "login_redirect",
        "Jenkins requires a sign-in and ignores the API token.",
        "Ask its administrator to accept API tokens without a session. With OpenID Connect, the "
        "setting is “Allow access using a Jenkins API token without an OIDC session”.",
        outcome=Outcome.CREDENTIALS,
    )


# Packages of Jenkins' exported objects, by which its JSON is known if a proxy hides its headers.
_CLASSES = ("hudson.", "jenkins.", "org.jenkinsci.", "org.jenkins", "com.cloudbees.")


def _is_jenkins_json(answer: requests.Response) -> bool:
    document = parse_object(answer.content) if answer.status_code == 200 else None
    return str((document or {}).get("_class", "")).startswith(_CLASSES)


def is_jenkins(answer: requests.Response) -> bool:
    """True for a response from Jenkins, as opposed to a proxy or a login page."""
    return _is_jenkins_json(answer) or (
        "X-Jenkins" in answer.headers
        or "X-Required-Permission" in answer.headers
        or 'realm="Jenkins"' in answer.headers.get("WWW-Authenticate", "")
        or (answer.status_code == 403 and _asks_for_crumb(answer))
    )


def _asks_for_crumb(answer: requests.Response) -> bool:
    return b"No valid crumb" in answer.content


def not_jenkins(status: int = 200) -> ProviderError:
    """The error if something else answered: a proxy, a login page, another program."""
    return ProviderError(
        "not_jenkins",
        f"The server at this address is not Jenkins (HTTP {status}).",
        "Enter the address of Jenkins as the browser shows it, including its path, such as "
        "https://ci.example.com/jenkins. A sign-on proxy in front of it must let API requests "
        "through.",
        # Something else answered, so Jenkins did not receive the request.
        outcome=Outcome.UNCERTAIN if status < 300 else Outcome.NOT_SENT,
    )
