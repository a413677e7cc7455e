"""Every route x method x user, from the resolver, against one table (`walk_table.py`): nobody gets
access that the table denies, reads data of another workspace, or changes rows of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from delivr.tests.sample_workspace import (
    NOWHERE,
    OURS,
    THEIRS,
    SampleWorkspace,
    build_workspace,
    changed,
    everything,
    tenant_models,
)
from delivr.tests.walk_table import (
    EVERYBODY,
    FAMILIES,
    FOREIGN,
    OWNER,
    PROVEN,
    RANKS,
    SIGNED_IN,
    STAFF,
    TABLE,
    VIEWER,
)

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# For routes that are closed to all, and for HEAD, which runs the view of GET.
FEW = ("anonymous", "stranger", "owner", "owner's token")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
OTHERS = {
    "extension": "csv",
    "path": "nothing/here",
    "mark": "submitted",
    "act": "withdraw",
    "group": "releases",
    "place": "0",
    "token": "unsigned",
}
DEAD_TOKENS = ("expired", "revoked", "left", "locked")
UNKNOWN = {"token_id": "999999999"}


def routes() -> Iterator[str]:
    """Every route of the product in the resolver's notation."""

    def walk(resolver: URLResolver, prefix: str) -> Iterator[str]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLPattern):
                yield f"{prefix}{entry.pattern}"
            else:
                yield from walk(entry, f"{prefix}{entry.pattern}")

    yield from walk(get_resolver(), "")


ROUTES = sorted(set(routes()))
OWN = [route for route in ROUTES if not route.startswith(tuple(FOREIGN))]


# --- The table is complete ------------------------------------------------------------------------


def test_table_has_every_route() -> None:
    missing = [route for route in OWN if route not in TABLE]
    assert not missing, (
        "Say who may use these routes: add to TABLE in delivr/tests/walk_table.py\n"
        + "\n".join(f'    "{route}": at(get=…, post=…)' for route in missing)
    )


def test_table_has_no_removed_route() -> None:
    assert [route for route in TABLE if route not in ROUTES] == []
    assert [prefix for prefix in FOREIGN if not any(r.startswith(prefix) for r in ROUTES)] == []


def test_both_workspaces_have_a_row_of_everything(
    ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    for model in tenant_models():
        if model._meta.label == "audit.AuditSeal":
            continue  # the sweeper writes it later
        for workspace in (ours, theirs):
            count = model._default_manager.filter(tenant=workspace.tenant).count()
            assert count, f"sample_workspace.py makes no {model._meta.label}"


# --- People ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nowhere(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_API_URL", "SLACK_API_URL", "APP_STORE_CONNECT_URL", "GOOGLE_PLAY_URL"):
        setattr(settings, name, NOWHERE)
    settings.GOOGLE_TOKEN_URL = f"{NOWHERE}/token"
    settings.API_PER_MINUTE = settings.API_FAILURES_PER_MINUTE = 100_000
    monkeypatch.setattr("builds.webhooks.views.REFUSALS", 100_000)


@pytest.fixture
def ours(db: None) -> SampleWorkspace:
    return build_workspace(OURS)


@pytest.fixture
def theirs(db: None) -> SampleWorkspace:
    return build_workspace(THEIRS)


def signed_in(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def with_token(text: str) -> Client:
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def people(ours: SampleWorkspace, theirs: SampleWorkspace) -> dict[str, tuple[Client, int]]:
    """All users to try, with their rank in *our* workspace; -1: none, but signed in elsewhere."""
    found: dict[str, tuple[Client, int]] = {
        "anonymous": (Client(raise_request_exception=False), EVERYBODY),
        "stranger": (signed_in(theirs.users["OWNER"]), -1),
        "stranger's token": (with_token(theirs.tokens["owner"]), -1),
        "owner's token": (with_token(ours.tokens["owner"]), OWNER),
        "low-role token": (with_token(ours.tokens["low"]), VIEWER),
    }
    for name, rank in RANKS.items():
        found[name] = (signed_in(ours.users[name.upper()]), rank)
    for name in DEAD_TOKENS:
        found[f"{name} token"] = (with_token(ours.tokens[name]), EVERYBODY)
    return found


# --- Addresses ------------------------------------------------------------------------------------


def addresses(route: str, workspace: SampleWorkspace) -> list[tuple[str, str]]:
    """The URLs of a route for the rows of `workspace`, each with the one for unknown rows."""
    if "<family:family>" in route:
        chosen = ("scm", "pipelines") if "connection_id" in route else ("communication",)
        return [
            pair
            for family in chosen
            for pair in addresses(route.replace("<family:family>", family), workspace)
        ]
    plain = re.sub(r"^\^|\$$", "", re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", route))
    # Without a family in the route, it is about messages.
    family = next((f for f in FAMILIES if f"integrations/{f}/" in plain), "communication")
    known = {**OTHERS, **workspace.ids, "connection_id": workspace.connections.get(family)}
    names = PARAMETER.findall(plain)
    assert all(known.get(name) for name in names), (
        f"{route}: add a row for its parameter to SampleWorkspace.ids (sample_workspace.py)"
    )
    address, unknown = f"/{plain}", f"/{plain}"
    for name in names:
        value = str(known[name])
        nobody = UNKNOWN.get(name, f"{value[:-6]}zzzzzz" if name not in OTHERS else value)
        address = PARAMETER.sub(lambda _m, v=value: v, address, count=1)  # type: ignore[misc]
        unknown = PARAMETER.sub(lambda _m, v=nobody: v, unknown, count=1)  # type: ignore[misc]
    return [(address, unknown)]


def body_of(answer: HttpResponseBase) -> str:
    if getattr(answer, "streaming", False):
        return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return answer.content.decode("utf-8", "replace")  # type: ignore[attr-defined, no-any-return]


def all_of(answer: HttpResponseBase) -> str:
    """The whole response, with headers and cookies, without what differs each time."""
    new = ("csrftoken", "sessionid")
    cookies = [f"{name}={c.value}" for name, c in answer.cookies.items() if name not in new]
    headers = {name: v for name, v in answer.items() if name not in ("Content-Length", "Expires")}
    return f"{headers} Cookies{cookies} {body_of(answer)}"


def is_out(answer: HttpResponseBase) -> bool:
    """Access was denied: not signed in, not allowed, not found, or wrong method."""
    where = str(answer.get("Location", ""))
    to_sign_in = answer.status_code == 302 and where.startswith("/accounts/login/")
    return bool(to_sign_in or answer.status_code in (401, 403, 404, 405))


def may(route: str, method: str, rank: int, *, by_token: bool) -> bool:
    needed = TABLE[route].get(method)
    if needed is None or needed in (PROVEN, STAFF):
        return False
    if needed == EVERYBODY:
        return True
    if by_token and not route.startswith("api/"):
        return False  # pages accept no token
    if rank == -1:
        return needed == SIGNED_IN or not set(PARAMETER.findall(route)) - {*OTHERS, "family"}
    return rank >= needed


def part_of(route: str) -> str:
    """Routes are tested in groups, since creating the workspaces takes longer than a request."""
    return "/".join(route.split("/")[: 3 if route.startswith("api/") else 1])


@pytest.mark.parametrize("part", sorted({part_of(route) for route in OWN if route in TABLE}))
def test_routes_allow_what_the_table_says(
    part: str, ours: SampleWorkspace, theirs: SampleWorkspace, people: dict[str, tuple[Client, int]]
) -> None:
    before = everything()
    for route in [route for route in OWN if route in TABLE and part_of(route) == part]:
        for address, unknown in addresses(route, ours):
            for method in METHODS:
                check_access(route, method, address, unknown, people, (ours, theirs))
            assert changed(before) == {}, f"{address}: somebody turned away changed rows"


def check_access(
    route: str,
    method: str,
    address: str,
    unknown: str,
    people: dict[str, tuple[Client, int]],
    workspaces: tuple[SampleWorkspace, SampleWorkspace],
) -> None:
    ours, theirs = workspaces
    for name in users_to_try(route, method, people):
        client, rank = people[name]
        allowed = may(route, method, rank, by_token="token" in name)
        answer, text = ask(client, method, address, keep=not allowed)
        description = f"{name}: {method} {address} → {answer.status_code} {text[:300]}"
        assert answer.status_code < 500, description
        if not (method == "HEAD" and answer.status_code == 405):  # some pages only allow GET
            assert is_out(answer) is not allowed, description
        hidden = theirs if rank > EVERYBODY else ours
        shown = text.replace(address, "") if rank <= EVERYBODY else text
        assert not [word for word in hidden.names() if word in shown], description
        if rank == -1 and address != unknown:
            again = ask(client, method, address, keep=True)[1]  # without the first one's messages
            nobody = ask(client, method, unknown, keep=True)[1]
            assert same(again, address) == same(nobody, unknown), (
                f"{description} unlike {nobody[:900]}"
            )


def users_to_try(route: str, method: str, people: Iterable[str]) -> Iterable[str]:
    if method == "HEAD" or TABLE[route].get(method, EVERYBODY) == EVERYBODY:
        return FEW
    is_page = not route.startswith("api/")
    return [name for name in people if not (is_page and name.split()[0] in DEAD_TOKENS)]


def ask(client: Client, method: str, address: str, *, keep: bool) -> tuple[HttpResponseBase, str]:
    """The response and its whole text; what it changed is undone unless `keep`."""
    with transaction.atomic():
        answer = client.generic(method, address)
        text = all_of(answer)
        if not keep:
            transaction.set_rollback(True)
    return answer, text


def same(text: str, address: str) -> str:
    """The text without what differs between responses."""
    text = re.sub(r"Cookies\[[^\]]*\]", "", text.replace(address, "ADDRESS"))
    return re.sub(r'(csrfmiddlewaretoken" value="|X-CSRFToken": ")[^"]*', r"\1", text)


# --- Routes of libraries --------------------------------------------------------------------------

LIBRARIES = [route for route in ROUTES if route not in OWN]
# What Django's admin shows to anybody: the way in, and the words of its scripts.
PUBLIC_ADMIN = ("/admin/login/", "/admin/logout/", "/admin/jsi18n/")


def addresses_of_libraries(prefix: str, workspace: SampleWorkspace) -> list[str]:
    """The URLs of each route of a library, with rows of `workspace` as parameters."""
    rows = {
        f"{model._meta.app_label}/{model._meta.model_name}": model._default_manager.filter(
            **{"pk" if model is type(workspace.tenant) else "tenant": workspace.tenant.pk}
        ).first()
        for model in [*tenant_models(), type(workspace.tenant)]
    }
    found = []
    for route in LIBRARIES:
        if not route.startswith(prefix):
            continue
        row = next((row for name, row in rows.items() if f"/{name}/" in route and row), None)
        key = quote(str(row.pk if row else workspace.users["OWNER"].pk))
        plain = re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", route).replace("^", "").replace("$", "")
        plain = plain.replace("<app_label>", "tenants").replace("<url>", "nothing")
        plain = plain.replace("<uidb36>", "1").replace("<key>", "a-key")
        found.append("/" + re.sub(r"<[^>]*>", key, plain))
    return found


@pytest.mark.parametrize("who", ["anonymous", "owner", "token", "staff"])
def test_admin_requires_permissions(who: str, ours: SampleWorkspace) -> None:
    owner = ours.users["OWNER"]
    owner.is_staff = who == "staff"
    owner.save()
    client = {
        "anonymous": Client(),
        "token": with_token(ours.tokens["owner"]),
    }.get(who) or signed_in(owner)
    before = everything()
    open_to_staff = (*PUBLIC_ADMIN, "/admin/", "/admin/password_change/")
    for address in addresses_of_libraries("admin/", ours):
        for method in ("GET", "POST"):
            answer, text = ask(client, method, address, keep=True)
            description = f"{who}: {method} {address} → {answer.status_code} {text[:300]}"
            assert answer.status_code < 500, description
            if not address.startswith(open_to_staff if who == "staff" else PUBLIC_ADMIN):
                assert answer.status_code in (301, 302, 403, 404), description
            if who != "staff":
                shown = text.replace(address, "").replace(owner.email, "")
                assert ours.word not in shown, description
        if address == "/admin/logout/":
            client = client if who in ("anonymous", "token") else signed_in(owner)
    assert changed(before) == {}


def test_account_pages_show_nothing_of_others(
    ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    for client in (Client(raise_request_exception=False), signed_in(theirs.users["OWNER"])):
        for address in addresses_of_libraries("accounts/", ours):
            for method in ("GET", "POST"):
                answer, text = ask(client, method, address, keep=False)
                description = f"{method} {address} → {answer.status_code} {text[:300]}"
                assert answer.status_code < 500, description
                assert not [word for word in ours.names() if word in text], description
