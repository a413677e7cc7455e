"""Filters for the lists of sent effects and received deliveries."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from builds.models import Build, DeliveryState
from delivr.effects.models import EffectState
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Tenant
from integrations.models import FAMILIES, PipelineIntegration
from integrations.providers.registry import WEBHOOKS
from releases.models import Release
from releases.wording import KINDS

MAX_QUERY = 200
MOST_RELEASES = 100  # with the same version: of different apps, or cancelled


class ListFilter:
    """Reads the query string of a list: `state`, one more choice, and `q`, a whole id or version.

    An unknown state or choice is ignored; a `q` that matches nothing gives an empty list.
    """

    path: str  # the URL name of the list
    states: Any
    choice: str  # the name of the second parameter, and
    column: str  # the column that it filters

    def __init__(self, request: TenantRequest) -> None:
        self.tenant, self.query = request.tenant, request.GET.copy()
        for name in ("page", "seen"):
            self.query.pop(name, None)
        self.q = request.GET.get("q", "").strip()[:MAX_QUERY]
        state, chosen = request.GET.get("state", ""), request.GET.get(self.choice, "")
        self.state = state if state in self.states.values else ""
        self.chosen = chosen if chosen in dict(self.choices) else ""

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if "\0" in self.q:  # PostgreSQL refuses NUL, and no id contains one
            return rows.none()
        if self.state:
            rows = self.in_state(rows)
        if self.chosen:
            rows = rows.filter(**{self.column: self.chosen})
        return rows.filter(self.condition(self.q)) if self.q else rows

    def in_state(self, rows: Any) -> QuerySet[Any]:
        found: QuerySet[Any] = rows.filter(state=self.state)
        return found

    def condition(self, word: str) -> Q:
        raise NotImplementedError

    @cached_property
    def choices(self) -> list[tuple[str, str]]:
        raise NotImplementedError

    @property
    def is_on(self) -> bool:
        return bool(self.q or self.state or self.chosen)

    @property
    def chips(self) -> list[dict[str, Any]]:
        """Links to the list of each state, and of all states; the other filters are kept."""
        every = [("", _("All")), *self.states.choices]
        return [
            {"label": label, "href": self._with_state(state), "current": state == self.state}
            for state, label in every
        ]

    def _with_state(self, state: str) -> str:
        query = self.query.copy()
        query.pop("state", None)
        if state:
            query["state"] = state
        return f"{reverse(self.path)}?{query.urlencode()}" if query else reverse(self.path)


class SentFilter(ListFilter):
    """Filters effects. `q` may be the id of the effect, its build, release or connection."""

    path, states, choice, column = "activity", EffectState, "kind", "kind"

    @cached_property
    def choices(self) -> list[tuple[str, str]]:
        return [("", _("All kinds")), *((kind, str(words)) for kind, words in KINDS.items())]

    def condition(self, word: str) -> Q:
        if any(family.owns(word) for family in FAMILIES.values()):
            return Q(integration_id=word)
        return Q(pk=word) | Q(build_id=word) | Q(release_id__in=[word, *named(self.tenant, word)])


class ReceivedFilter(ListFilter):
    """Filters deliveries. `q` may be the id of the delivery (ours or its sender's), its build,
    pipeline or release."""

    path, states = "activity_received", DeliveryState
    choice, column = "pipeline", "pipeline_id"

    def in_state(self, rows: Any) -> QuerySet[Any]:
        found: QuerySet[Any] = rows.in_state(self.state)
        return found

    @cached_property
    def choices(self) -> list[tuple[str, str]]:
        pipelines = PipelineIntegration.objects.for_tenant(self.tenant).order_by("created_at")
        return [("", _("All pipelines")), *((p.pk, str(p)) for p in pipelines)]

    def condition(self, word: str) -> Q:
        if word in dict(self.choices):
            return Q(pipeline_id=word)
        builds = Build.objects.for_tenant(self.tenant)
        releases = [word, *named(self.tenant, word)]
        of_release = builds.filter(release_pipeline__release__in=releases).values_list("pk")
        by_build = Q(build_id__in=[word, *(pk for (pk,) in of_release)])
        pipelines = PipelineIntegration.objects.filter(tenant=self.tenant).values_list("pk")
        keys = [f"{space}:{word}" for space in ("id", *WEBHOOKS)]
        of_sender = Q(pipeline_id__in=[pk for (pk,) in pipelines], dedupe_key__in=keys)
        return Q(pk=word) | by_build | of_sender


def named(tenant: Tenant, version: str) -> list[str]:
    """The releases with this version. Read before the rows: a database that has lists of ids looks
    each of them up in an index, and with a subquery reads every row."""
    rows = Release.objects.for_tenant(tenant).filter(version=version)
    return list(rows.values_list("pk", flat=True)[:MOST_RELEASES])
