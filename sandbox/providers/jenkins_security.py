"""Jenkins' Basic authentication, sessions, crumbs and permissions.

https://www.jenkins.io/doc/book/security/csrf-protection/
https://www.jenkins.io/doc/book/system-administration/authenticating-scripted-clients/
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import NoReturn

from flask import Response, abort, g, request

from sandbox import accounts
from sandbox.context import state
from sandbox.proxies import VERSION

COOKIE = "JSESSIONID.5a4db0c5"
CRUMB_FIELD = "Jenkins-Crumb"
CRUMB_SALT = secrets.token_bytes(16)
OVERALL_READ, ITEM_READ = "hudson.model.Hudson.Read", "hudson.model.Item.Read"
ITEM_BUILD, ITEM_CANCEL = "hudson.model.Item.Build", "hudson.model.Item.Cancel"
ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class User:
    api_token: str
    password: str
    permissions: frozenset[str]


USERS = {
    accounts.JENKINS_USER: User(
        accounts.JENKINS_API_TOKEN,
        accounts.JENKINS_PASSWORD,
        frozenset({OVERALL_READ, ITEM_READ, ITEM_BUILD, ITEM_CANCEL}),
    ),
    accounts.JENKINS_READER: User(
        accounts.JENKINS_READER_API_TOKEN, "", frozenset({OVERALL_READ, ITEM_READ})
    ),
    accounts.JENKINS_GUEST: User(accounts.JENKINS_GUEST_API_TOKEN, "", frozenset({OVERALL_READ})),
}


@dataclass
class Visitor:
    """`by_token`: authenticated by an API token, which exempts from the crumb."""

    name: str
    by_token: bool = False
    session: str = ""

    @property
    def is_anonymous(self) -> bool:
        return self.name == ANONYMOUS

    def may(self, permission: str) -> bool:
        return not self.is_anonymous and permission in USERS[self.name].permissions


def visitor() -> Visitor:
    """The user who sent this request."""
    found: Visitor = g.visitor
    return found


def error_page(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Jenkins' errors are always HTML, whatever the client accepts."""
    text = message.replace("&", "&amp;").replace("<", "&lt;")
    body = (
        f"<html><head><title>Error {status} {text}</title></head>"
        f"<body><h2>HTTP ERROR {status} {text}</h2><p>{text}</p></body></html>"
    )
    page = Response(body, status, headers, content_type="text/html;charset=utf-8")
    if status == 400:
        page.headers["X-Error"] = message
    return page


def refuse(status: int, message: str, headers: dict[str, str] | None = None) -> NoReturn:
    abort(error_page(status, message, headers))


def require(permission: str) -> None:
    """Abort with 403 and the headers that name the missing permission."""
    who = visitor()
    if who.may(permission):
        return
    headers = {"X-You-Are-Authenticated-As": who.name, "X-Required-Permission": permission}
    if who.is_anonymous:
        refuse(403, "Authentication required", headers)
    words = permission.rsplit(".", 2)
    refuse(403, f"{who.name} is missing the {words[1]}/{words[2]} permission", headers)


def admit() -> None:
    """Authenticate the request; wrong credentials are refused even where none are needed."""
    session = request.cookies.get(COOKIE, "")
    known = state().jenkins.sessions.get(session)
    g.visitor = Visitor(known or ANONYMOUS, session=session if known is not None else "")
    credentials = request.authorization
    if request.headers.get("Authorization", "").lower().startswith("basic"):
        name = (credentials.username or "").lower() if credentials else ""
        if not (known and known == name):  # in a session of the same user the token is ignored
            g.visitor = _sign_in(name, (credentials.password or "") if credentials else "")
    if request.method == "POST":
        _check_crumb()


def _sign_in(name: str, secret: str) -> Visitor:
    user = USERS.get(name)
    if user and hmac.compare_digest(secret.encode(), user.api_token.encode()):
        return Visitor(name, by_token=True)
    if user and user.password and hmac.compare_digest(secret.encode(), user.password.encode()):
        return Visitor(name, session=open_session(name))
    refuse(
        401,
        f"Invalid password/token for user: {name}",
        {"WWW-Authenticate": 'Basic realm="Jenkins"'},
    )


def open_session(name: str) -> str:
    session = f"node0{secrets.token_hex(12)}"
    state().jenkins.sessions[session] = name
    return session


def crumb() -> str:
    """This visitor's crumb, bound to the HTTP session, which is started if there is none."""
    who = visitor()
    if not who.session:
        who.session = open_session("")
    return _crumb_for(who)


def _crumb_for(who: Visitor) -> str:
    text = f"{who.name};{who.session}".encode()
    return hmac.new(CRUMB_SALT, text, hashlib.sha256).hexdigest()


def _check_crumb() -> None:
    who = visitor()
    if who.by_token:
        return
    given = request.headers.get(CRUMB_FIELD) or request.form.get(CRUMB_FIELD) or ""
    sent_session = request.cookies.get(COOKIE, "")
    expected = _crumb_for(Visitor(who.name, session=sent_session))
    if not sent_session or not hmac.compare_digest(given.encode(), expected.encode()):
        refuse(403, "No valid crumb was included in the request")


def finish(response: Response) -> Response:
    """Add the headers that every answer has."""
    response.headers["X-Jenkins"] = VERSION
    response.headers["X-Hudson"] = "1.395"
    response.headers["X-Content-Type-Options"] = "nosniff"
    who = g.get("visitor")
    if who and who.session and who.session != request.cookies.get(COOKIE):
        response.set_cookie(COOKIE, who.session, path="/jenkins", httponly=True)
    return response
