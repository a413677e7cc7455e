"""The progress of a workspace's setup: derived from its rows each time, never stored.

A step is done while a verified connection of its family exists. So people continue where they left
off, and a connection that stops working opens its step again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from delivr.tenants.models import Tenant
from integrations.choices import Verification
from integrations.expiry import is_ending
from integrations.forms import kinds_of
from integrations.models import FAMILIES, Connection
from integrations.providers.registry import needs_of

NEED_ATTENTION = (Verification.INVALID, Verification.EXPIRED)


class State(enum.StrEnum):
    DONE = "DONE"
    CURRENT = "CURRENT"
    TODO = "TODO"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the wizard; `key` is the family that it connects.

    `label` names it in the wizard, `title` and `about` name the family on other pages. `minutes`
    is how long it takes with what `needs` names at hand.
    """

    key: str
    words: str | Promise  # the label; %(providers)s are the kinds that can be connected
    title: str | Promise
    about: str | Promise
    minutes: int
    optional: bool = False

    @property
    def label(self) -> str:
        return str(self.words) % {"providers": _any_of(label for _kind, label in self._kinds)}

    @property
    def needs(self) -> str:
        return _any_of(str(needs_of((self.key, kind))) for kind, _label in self._kinds)

    @property
    def _kinds(self) -> list[tuple[str, str]]:
        return kinds_of(self.model)

    @property
    def model(self) -> type[Connection]:
        return FAMILIES[self.key]


def _any_of(words: Iterable[str]) -> str:
    return gettext(" or ").join(words)


STEPS = (
    Step(
        key="scm",
        words=_("Connect %(providers)s"),
        title=_("Repository"),
        about=_("The repository that releases are built from."),
        minutes=3,
    ),
    Step(
        key="targets",
        words=_("Targets"),
        title=_("Targets"),
        about=_("The store apps that you build for."),
        minutes=5,
    ),
    Step(
        key="pipelines",
        words=_("Pipelines"),
        title=_("Pipelines"),
        about=_("What builds the app on your CI server, one for each target."),
        minutes=5,
    ),
    Step(
        key="communication",
        words=_("Messages"),
        title=_("Messages"),
        about=_("Where the team is notified about releases and builds."),
        minutes=5,
        optional=True,
    ),
    Step(
        key="tickets",
        words="%(providers)s",
        title=_("Tickets"),
        about=_("Where the epics of each release are created."),
        minutes=3,
        optional=True,
    ),
)
# Families that no release needs: they are connected on the page of all connections.
EXTRAS = (
    Step(
        key="health",
        words=_("Health"),
        title=_("Health"),
        about=_("How well a version works for its users, for the rules of a roll-out."),
        minutes=3,
        optional=True,
    ),
)
SECTIONS = (*STEPS, *EXTRAS)
STEP = {step.key: step for step in SECTIONS}


@dataclass(frozen=True, kw_only=True)
class StepState:
    """The state of a step in one workspace. `url` is empty while the step is not open yet."""

    step: Step
    state: State
    is_open: bool

    @property
    def key(self) -> str:
        return self.step.key

    @property
    def label(self) -> str:
        return str(self.step.label)

    @property
    def optional(self) -> bool:
        return self.step.optional

    @property
    def is_closed(self) -> bool:
        """True if done or skipped, which opens the next step."""
        return self.state in (State.DONE, State.SKIPPED)

    @property
    def url(self) -> str:
        return reverse("setup_step", args=[self.key]) if self.is_open else ""


def progress(tenant: Tenant) -> list[StepState]:
    """All steps in order, from one query. The first that is neither done nor skipped is CURRENT."""
    return _states(_row(tenant))


@dataclass(frozen=True)
class MenuFacts:
    """How many connections need attention, and how many credentials expire soon."""

    is_complete: bool
    failing: int
    ending: int


def menu_facts(tenant: Tenant) -> MenuFacts:
    """In the one query that `progress` needs anyway."""
    failing = Q(verification_status__in=NEED_ATTENTION)
    row = _row(
        tenant,
        **{f"failing_{step.key}": _count(step.model, tenant, failing) for step in SECTIONS},
        **{f"ending_{step.key}": _count(step.model, tenant, is_ending()) for step in SECTIONS},
    )
    return MenuFacts(
        is_complete=current(_states(row)) is None,
        failing=sum(row[f"failing_{step.key}"] for step in SECTIONS),
        ending=sum(row[f"ending_{step.key}"] for step in SECTIONS),
    )


def _count(model: type[Connection], tenant: Tenant, condition: Q) -> Coalesce:
    rows = model.objects.for_tenant(tenant).filter(condition)
    counted = rows.order_by().values("tenant").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted), 0)


def _row(tenant: Tenant, **more: Any) -> dict[str, Any]:
    valid = {step.key: Exists(step.model.objects.for_tenant(tenant).valid()) for step in STEPS}
    rows: Any = Tenant.objects.filter(pk=tenant.pk).values("skipped_steps", **valid, **more)
    found: dict[str, Any] = rows.get()
    return found


def _states(row: dict[str, Any]) -> list[StepState]:
    found: list[StepState] = []
    for step in STEPS:
        is_open = all(earlier.is_closed for earlier in found)
        state = _state(step, done=row[step.key], skipped=row["skipped_steps"], is_open=is_open)
        found.append(StepState(step=step, state=state, is_open=is_open))
    return found


def _state(step: Step, *, done: bool, skipped: Sequence[str], is_open: bool) -> State:
    if done:
        return State.DONE
    if step.optional and step.key in skipped:
        return State.SKIPPED
    return State.CURRENT if is_open else State.TODO


def next_step(tenant: Tenant) -> Step | None:
    """The current step; None when the setup is complete."""
    return current(progress(tenant))


def current(steps: Sequence[StepState]) -> Step | None:
    """The current step of `progress`."""
    return next((state.step for state in steps if not state.is_closed), None)


def minutes_left(steps: Sequence[StepState]) -> int:
    """About how long the steps that are neither done nor skipped take."""
    return sum(state.step.minutes for state in steps if not state.is_closed)


def is_complete(tenant: Tenant) -> bool:
    """True when each step is done or skipped."""
    return next_step(tenant) is None
