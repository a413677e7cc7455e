"""Every request that `bench/explain.py` makes: each route and method of the URLconf.

`calls` fails if a route is neither requested nor exempt, if a filter that the API describes is
never used, and if an exemption's route is gone. A new route is requested by itself, without
filters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

# Requests of library routes that only concern one's own account, by prefix.
EXEMPT = {
    "accounts/": "django-allauth: about one user, no table of a workspace",
    "admin/jsi18n/": "the words of a script; no database",
    "admin/autocomplete/": "no field of ours uses it",
    "admin/login/": "leads to accounts/login/",
    "admin/logout/": "ends one session",
    "admin/password_change/": "about one user",
    "admin/(?P<url>.*)$": "an unknown page of the admin",
    "admin/r/": "leads to a page of its own; no database",
}
# Filters and late pages of the lists, besides the plain request. `{…}` is a value of `values_of`.
QUERIES: dict[str, tuple[str, ...]] = {
    "releases": (
        "tab=done", "tab=ready", "tab=building", "tab=needs-you", "tab=done&page={late}",
        "q={version}", "q=9.1", "q=nothing.like.it", "tab=done&platform=IOS",
        "tab=done&build=failed", "tab=done&build=succeeded", "build=moving",
        "tab=done&by={member_email}", "tab=done&by=nobody@example.com",
        "tab=done&q=9.1&platform=IOS&build=succeeded",
    ),
    "palette": ("q={version}", "q=9.1", "q=nothing", "q=jenkins"),
    "insights": ("days=30", "days=90", "days=365", "platform=IOS", "pipeline={pipeline}"),
    "insights.csv": ("days=30", "days=90", "days=365", "platform=IOS", "pipeline={pipeline}"),
    "activity": (
        "state=DEAD", "state=CANCELLED", "state=PENDING", "state=LEASED", "state=DONE",
        "kind=build.trigger", "kind=message.post", "kind=mail.digest", "state=DEAD&kind=scm.tag",
        "q={version}", "q={release}", "q={build}", "q={effect}", "q={pipeline}", "q=nothing",
        "state=DEAD&q={version}", "page={late}",
    ),
    "activity/live": ("state=DEAD", "q={version}", "kind=mail.digest"),
    "activity/polled": ("page={late}",),
    "activity/received": (
        "state=ORPHAN", "state=REJECTED", "state=IGNORED", "state=UNMATCHED", "state=NEW",
        "state=APPLIED", "pipeline={pipeline}", "state=REJECTED&pipeline={pipeline}", "q={version}",
        "q={release}", "q={build}", "q={delivery}", "q={pipeline}", "q=nothing",
        "state=REJECTED&q={version}", "page={late}",
    ),
    "activity/received/live": ("state=ORPHAN", "q={version}"),
    "settings/audit": (
        "who=ada", "who=nobody", "action=release.marked", "action=tenant.renamed",
        "subject={version}", "subject={release}", "subject=nothing", "since=2026-01-01",
        "until=2025-01-01", "who=ada&action=release.marked&subject={version}", "page={late}",
    ),
    "settings/audit/export.<str:extension>": ("action=tenant.renamed", "subject={version}"),
    "releases/new": ("from={release}",),
    "api/v1/releases": (
        "status=BUILD_COMPLETE", "status=CANCELLED", "status=BUILD_FAILED", "platform=IOS",
        "version={version}", "version=nothing", "createdBy={member_email}", "limit=100",
        "buildStatus=SUCCESS", "buildStatus=LOST", "cursor={cursor}",
    ),
    "api/v1/changes": ("ticket=MOBILE-77", "ticket=NONE-1", "sha={sha}", "sha=abcdef1"),
    "api/v1/insights": ("days=30", "days=365", "platform=IOS", "pipelineId={pipeline}"),
    "api/v1/effects": (
        "state=DEAD", "state=PENDING", "state=LEASED", "kind=build.trigger", "kind=mail.digest",
        "releaseId={release}", "state=DEAD&kind=scm.tag", "limit=100", "cursor={cursor}",
    ),
    "api/v1/webhook-deliveries": (
        "state=ORPHAN", "state=NEW", "state=APPLIED", "pipelineId={pipeline}", "limit=100",
        "state=REJECTED&pipelineId={pipeline}", "cursor={cursor}",
    ),
    "api/v1/audit-events": (
        "actor=ada@example.com", "actor=nobody@example.com", "action=release.marked",
        "action=tenant.renamed", "subjectId={release}", "since=2026-01-01T00:00:00Z", "limit=100",
    ),
}  # fmt: skip
# What a request has to contain to change anything; without one, it is refused.
BODIES: dict[str, dict[str, Any]] = {
    "settings/workspace/delete": {"confirmation": "{tenant}"},
    "releases/<slug:release_id>/mark": {"mark": "submitted"},
    "settings/members/<slug:member_id>/role": {"role": "ADMIN"},
    "settings/invitations": {"email": "new@example.com", "role": "VIEWER"},
    "api/v1/invitations": {"email": "new@example.com", "role": "VIEWER"},
}
# Not a filter: what a list or a page is made of.
NO_FILTERS = {"dryRun", "cursor", "limit", "releaseId", "format", "lang"}


@dataclass(frozen=True)
class Call:
    """One request. `name` is the same in every database, `path` is not."""

    name: str
    method: str
    path: str
    client: Any = field(repr=False)
    body: dict[str, Any] | None = None

    @property
    def is_reading(self) -> bool:
        return self.method == "GET"

    def send(self) -> Any:
        """The response, read to its end."""
        if self.path.startswith("/api/"):
            text = json.dumps(self.body or {}) if not self.is_reading else ""
            answer = self.client.generic(self.method, self.path, text, "application/json")
        elif self.is_reading:
            answer = self.client.get(self.path)
        else:
            answer = self.client.post(self.path, self.body or {})
        if getattr(answer, "streaming", False):
            for _part in answer.streaming_content:
                pass
        return answer


def calls(sample: Any, clients: dict[str, Any]) -> list[Call]:
    """All requests for this workspace. `clients` are a signed-in owner, an owner's API token, a
    superuser (`staff`) and nobody."""
    from delivr.tests.test_walk import OWN, ROUTES

    values = values_of(sample)
    found = [call for route in OWN for call in _of_route(route, sample, values, clients)]
    found += _of_admin(sample, clients["staff"])
    _check(found, ROUTES)
    return found


def _of_route(
    route: str, sample: Any, values: dict[str, str], clients: dict[str, Any]
) -> Iterator[Call]:
    from delivr.tests.test_walk import addresses
    from delivr.tests.walk_table import PROVEN, STAFF, TABLE

    for method, who in TABLE[route].items():
        if method in ("HEAD", "OPTIONS"):
            continue
        name = "nobody" if who == PROVEN else "token" if route.startswith("api/") else "owner"
        client = clients["staff" if who == STAFF else name]
        pairs = addresses(route, sample)
        for number, (path, _unknown) in enumerate(pairs):
            label = f"{method} {route}" + (f" ({number + 1})" if number else "")
            body = {k: v.format(**values) for k, v in BODIES.get(route, {}).items()}
            yield Call(label, method, path, client, body if method != "GET" else None)
            for query in QUERIES.get(route, ()) if method == "GET" else ():
                yield Call(f"{label}?{query}", method, f"{path}?{query.format(**values)}", client)


def values_of(sample: Any) -> dict[str, str]:
    """The values of `{…}` in the queries: of a release in the middle of the workspace's history."""
    from base64 import b64encode

    from builds.models import Build
    from releases.models import Release

    rows = Release.objects.filter(tenant=sample.tenant).order_by("created_at", "pk")
    count = rows.count()
    middle = rows[count // 2]
    position = middle.created_at.isoformat().replace("+00:00", "Z")
    return {
        "late": str(min(count // 25, 400)),
        "version": middle.version,
        "release": middle.pk,
        "build": Build.objects.filter(release_pipeline__release=middle)[0].pk,
        "cursor": b64encode(f"p={position}".encode()).decode(),
        "sha": middle.changes.first().sha[:10],
        "pipeline": sample.ids["pipeline_id"],
        "effect": sample.ids["effect_id"],
        "delivery": sample.ids["delivery_id"],
        "member_email": sample.users["MEMBER"].email,
        "tenant": sample.tenant.name,
    }


# --- Django's admin -------------------------------------------------------------------------------


def _of_admin(sample: Any, staff: Any) -> Iterator[Call]:
    """All pages of the admin, each table's list also with its filters and searches."""
    from django.contrib import admin
    from django.urls import reverse

    from delivr.tests.test_walk import LIBRARIES, addresses_of_libraries

    routes = [route for route in LIBRARIES if route.startswith("admin/")]
    for route, path in zip(routes, addresses_of_libraries("admin/", sample), strict=True):
        if not route.startswith(tuple(EXEMPT)):
            yield Call(f"GET {route}", "GET", path, staff)
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        path = reverse(f"admin:{name}_changelist")
        for query in _admin_queries(path, model, sample):
            shown = re.sub(r"(?<=^q=)(?!nothing).+|[0-9a-zA-Z]{10,}(?=&|$)", "…", query)
            yield Call(f"GET {path[1:]}?{shown}", "GET", f"{path}?{query}", staff)


def _of_tenant(model: Any, sample: Any) -> dict[str, Any]:
    has_tenant = any(part.name == "tenant" for part in model._meta.fields)
    return {"tenant": sample.tenant} if has_tenant else {}


def _admin_queries(path: str, model: Any, sample: Any) -> Iterator[str]:
    from django.contrib import admin
    from django.test import RequestFactory

    from delivr.tenants.models import User

    about = admin.site._registry[model]
    if about.search_fields:
        yield "q=nothing"
        row = model._default_manager.filter(**_of_tenant(model, sample)).first()
        yield from [f"q={row.pk}"] if row is not None else []
    if about.date_hierarchy:
        yield f"{about.date_hierarchy}__year=2026"
        yield f"{about.date_hierarchy}__year=2026&{about.date_hierarchy}__month=3"
    request = RequestFactory().get(path)
    request.user = User.objects.get(is_superuser=True)
    shown: Any = about.get_changelist_instance(request)
    for spec in shown.filter_specs:
        choices = [
            str(c["query_string"]).lstrip("?") for c in spec.choices(shown) if not c["selected"]
        ]
        yield from choices[:2]
    if "tenant" in {part.name for part in model._meta.fields}:
        yield f"tenant__id__exact={sample.tenant.pk}"
    yield "p=3"


# --- Nothing is forgotten -------------------------------------------------------------------------


def _check(found: list[Call], routes: list[str]) -> None:
    from django.urls import Resolver404, resolve

    reached = set()
    for call in found:
        try:
            reached.add(resolve(call.path.split("?")[0]).route)
        except Resolver404:
            raise SystemExit(f"{call.name}: {call.path} leads nowhere.") from None
    plain = {route.replace("^", "").replace("$", "") for route in reached}
    missing = [
        route
        for route in routes
        if route.replace("^", "").replace("$", "") not in plain
        and not route.startswith(tuple(EXEMPT))
        and not _answers_nobody(route)
    ]
    unused = [prefix for prefix in EXEMPT if not any(r.startswith(prefix) for r in routes)]
    wrong = [f"neither requested nor exempt: {route}" for route in missing]
    wrong += [f"exempt, but there is no such route: {prefix}" for prefix in unused]
    wrong += _unused_filters(found)
    if wrong:
        raise SystemExit("bench/routes.py:\n" + "\n".join(wrong))


def _answers_nobody(route: str) -> bool:
    """It only leads elsewhere, or answers that there is no such page: no method is allowed."""
    from delivr.tests.walk_table import TABLE

    return route in TABLE and not TABLE[route]


def _unused_filters(found: list[Call]) -> Iterator[str]:
    """The query parameters that the OpenAPI document has and no request uses."""
    from drf_spectacular.generators import SchemaGenerator

    used: dict[str, set[str]] = {}
    for call in found:
        path, _sep, query = call.path.partition("?")
        used.setdefault(path, set()).update(name for name, _value in parse_qsl(query))
    generator: Any = SchemaGenerator
    schema = generator().get_schema(request=None, public=True)
    for template, item in schema["paths"].items():
        pattern = re.compile(re.sub(r"\{[^}]*\}", "[^/]+", template))
        known = {name for path, names in used.items() if pattern.fullmatch(path) for name in names}
        for parameter in item.get("get", {}).get("parameters", []):
            name = parameter["name"]
            if parameter["in"] == "query" and name not in known and name not in NO_FILTERS:
                yield f"a filter that no request uses: {template}?{name}"
