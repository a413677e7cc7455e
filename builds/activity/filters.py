"""Filters for the lists of sent effects and received deliveries."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from builds.models import DeliveryState
from delivr.effects.models import EffectState
from delivr.tenants.middleware import TenantRequest
from integrations.models import PipelineIntegration
from integrations.providers.registry import WEBHOOKS
from releases.models import Release
from releases.wording import KINDS

MAX_QUERY = 200


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
            rows = rows.filter(state=self.state)
        if self.chosen:
            rows = rows.filter(**{self.column: self.chosen})
        return rows.filter(self.condition(self.q)) if self.q else rows

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
        named = Release.objects.for_tenant(self.tenant).filter(version=word).values("pk")
        ids = Q(pk=word) | Q(build_id=word) | Q(release_id=word) | Q(integration_id=word)
        return ids | Q(release_id__in=named)


class ReceivedFilter(ListFilter):
    """Filters deliveries. `q` may be the id of the delivery (ours or its sender's), its build,
    pipeline or release."""

    path, states = "activity_received", DeliveryState
    choice, column = "pipeline", "pipeline_id"

    @cached_property
    def choices(self) -> list[tuple[str, str]]:
        pipelines = PipelineIntegration.objects.for_tenant(self.tenant).order_by("created_at")
        return [("", _("All pipelines")), *((p.pk, str(p)) for p in pipelines)]

    def condition(self, word: str) -> Q:
        release = "build__release_pipeline__release"
        ids = Q(pk=word) | Q(build_id=word) | Q(pipeline_id=word)
        of_release = Q(**{f"{release}_id": word}) | Q(**{f"{release}__version": word})
        return (
            ids | of_release | Q(dedupe_key__in=[f"{space}:{word}" for space in ("id", *WEBHOOKS)])
        )
