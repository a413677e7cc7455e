"""Causes and consequences: from a click to its effect, its build, the report, the message.

The links are recorded, not guessed from timestamps: an effect's payload names the `BuildEvent` that
caused it, and an event names its delivery. Each list takes a fixed number of queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from builds.activity.lists import build_name, sent_lines
from builds.models import Build, BuildEvent, Source, WebhookDelivery
from delivr.effects.models import Effect
from delivr.pages.statuses import look_of
from releases.messages.events import Notice
from releases.messages.in_place import EDIT
from releases.messages.standing import template_of
from releases.models import Release

MAX_CONSEQUENCES = 25  # the release's page and the lists have the rest


@dataclass(frozen=True)
class Trace:
    """One cause or consequence. `kind` (effect, delivery, release) and `id` name its page; a build
    is shown on the page of its release."""

    kind: str
    id: str
    text: str
    at: datetime
    state: str = ""  # a stored state of its kind

    @property
    def kind_of_state(self) -> str:
        return "build" if self.kind == "release" else self.kind

    @property
    def href(self) -> str:
        return reverse(self.kind, args=[self.id])


def subject_of(effect: Effect) -> tuple[Release | None, Build | None]:
    """The release and the build that an effect is about."""
    releases = Release.objects.for_tenant(effect.tenant_id).select_related("created_by")
    builds = Build.objects.for_tenant(effect.tenant_id).select_related(
        "release_pipeline__release", "started_by"
    )
    return (
        releases.filter(pk=effect.release_id).first() if effect.release_id else None,
        builds.filter(pk=effect.build_id).first() if effect.build_id else None,
    )


def causes_of(effect: Effect, release: Release | None, build: Build | None) -> list[Trace]:
    """The causes of an effect, the earliest first."""
    event = _event_of(effect)
    if event is not None:
        return [*_sources(event), _status_change(event)]
    if build is not None:
        return [_triggered(build)]
    if release is None:
        return []
    if cause := _done_to(release, effect):
        return [cause]
    if effect.kind == EDIT and _told_by(effect) != Notice.RELEASE_CREATED:
        return []  # builds changed; which of them is not recorded
    return [_created(release)]


def _event_of(effect: Effect) -> BuildEvent | None:
    event_id = effect.payload.get("event")
    if not isinstance(event_id, int):
        return None
    events = BuildEvent.objects.for_tenant(effect.tenant_id).select_related(
        "delivery", "build__release_pipeline__release"
    )
    found: BuildEvent | None = events.filter(pk=event_id).first()
    return found


def _sources(event: BuildEvent) -> Iterator[Trace]:
    """Where an update came from."""
    if event.delivery is not None:
        yield _received(event.delivery)
    elif event.source == Source.TRIGGER:
        triggers = Effect.objects.for_tenant(event.tenant_id).filter(
            kind="build.trigger", build_id=event.build_id
        )
        yield from _sent(triggers[:1])
    else:
        words = _("Done by a user")
        if event.source == Source.POLL:
            words = _("Polled %(server)s") % {"server": event.build.pipeline.kind_label}
        yield Trace("release", _release_of(event.build), words, event.at)


def consequences_of(effect: Effect, build: Build | None) -> list[Trace]:
    """What an effect led to: for a trigger, its build, the reports and the messages about it."""
    if build is None or not effect.kind.startswith("build."):
        return []
    found = [_current_state(build)]
    if effect.kind == "build.trigger":
        reports = build.deliveries.defer("body").order_by("received_at")[:MAX_CONSEQUENCES]
        about = Effect.objects.for_tenant(effect.tenant_id).filter(
            build_id=build.pk, release_id=effect.release_id
        )
        later = about.exclude(pk=effect.pk).order_by("created_at", "pk")[:MAX_CONSEQUENCES]
        found += sorted([*map(_received, reports), *_sent(later)], key=attrgetter("at"))
    return found


def causes_of_delivery(delivery: WebhookDelivery) -> list[Trace]:
    """The trigger of the build that a delivery is about; empty if it matched no build."""
    if delivery.build is None:
        return []
    triggers = Effect.objects.for_tenant(delivery.tenant_id).filter(
        kind="build.trigger", build_id=delivery.build_id, release_id=_release_of(delivery.build)
    )
    return list(_sent(triggers[:1]))


def consequences_of_delivery(delivery: WebhookDelivery) -> list[Trace]:
    """The effects that follow from a delivery."""
    return list(_sent(effects_of([delivery])))


def effects_of(deliveries: Iterable[WebhookDelivery]) -> list[Effect]:
    """The effects that follow from these deliveries (loaded with `events` and `build`), oldest
    first."""
    known = [d for d in deliveries if d.build is not None]
    events = [event.pk for d in known for event in d.events.all()]
    if not events:
        return []
    releases = {_release_of(d.build) for d in known if d.build}
    rows = Effect.objects.for_tenant(known[0].tenant_id).filter(
        release_id__in=releases, payload__event__in=events
    )
    return list(rows.order_by("created_at", "pk"))


def effect_ids_of(deliveries: Iterable[WebhookDelivery]) -> dict[str, list[str]]:
    """The ids of `effects_of`, by delivery id."""
    rows = list(deliveries)
    delivery_of = {event.pk: row.pk for row in rows for event in row.events.all()}
    found = defaultdict(list)
    for effect in effects_of(rows):
        found[delivery_of[effect.payload["event"]]].append(effect.pk)
    return found


# --- One Trace each -------------------------------------------------------------------------------


def _sent(effects: Iterable[Effect]) -> Iterator[Trace]:
    rows = list(effects)
    if rows:
        for row, line in zip(rows, sent_lines(rows[0].tenant_id, rows), strict=True):
            yield Trace("effect", row.pk, line.text, row.created_at, row.state)


def _received(delivery: WebhookDelivery) -> Trace:
    words = _("Webhook delivery")
    return Trace("delivery", delivery.pk, words, delivery.received_at, delivery.state)


def _status_change(event: BuildEvent) -> Trace:
    before, after = (look_of(s, "build").label for s in (event.from_status, event.to_status))
    words = f"{build_name(event.build)}: {before} → {after}"
    return Trace("release", _release_of(event.build), words, event.at)


def _current_state(build: Build) -> Trace:
    return Trace(
        "release", _release_of(build), build_name(build), build.created_at, state=build.status
    )


def _triggered(build: Build) -> Trace:
    by = build.started_by
    words: dict[str, Any] = {"build": build_name(build), "who": by.called if by else ""}
    text = _("%(who)s triggered the %(build)s") if by else _("%(build)s triggered")
    return Trace("release", _release_of(build), text % words, build.created_at)


def _created(release: Release) -> Trace:
    by = release.created_by
    words: dict[str, Any] = {"version": release, "who": by.called if by else ""}
    text = _("Release %(version)s created")
    if by:
        text = _("%(who)s created release %(version)s")
    return Trace("release", release.pk, text % words, release.created_at)


def _done_to(release: Release, effect: Effect) -> Trace | None:
    """The action of a person that a message reports; both were written in one transaction. The
    person is not named: someone else may have removed the mark and set it again."""
    texts: dict[str, str] = {
        Notice.RELEASE_CANCELLED: _("Release %(version)s cancelled"),
        Notice.RELEASE_SUBMITTED: _("Release %(version)s marked as submitted"),
        Notice.RELEASE_RELEASED: _("Release %(version)s marked as released"),
        Notice.RELEASE_NOT_SUBMITTED: _("Mark “submitted” removed from release %(version)s"),
        Notice.RELEASE_NOT_RELEASED: _("Mark “released” removed from release %(version)s"),
    }
    text = texts.get(_told_by(effect))
    if text is None:
        return None
    return Trace("release", release.pk, text % {"version": release}, effect.created_at)


def _told_by(effect: Effect) -> str:
    """The notice of a message; of an edit how the release stands, which the message says now."""
    payload = effect.payload
    return template_of(payload) if effect.kind == EDIT else str(payload.get("notice", ""))


def _release_of(build: Build) -> str:
    return str(build.release_pipeline.release_id)
