"""Messages that are edited instead of followed by another one: in a chat that can edit, each
channel has one message about the release, and in its thread one about each build.

Such a message is its `message.post` effect, whose payload says `kept`. A change creates a
`message.edit` effect that names it, in the transaction of the change; the newest of all these rows
has what the message should say ([ADR 15](../../docs/adr/0015-messages-edited-in-place.md)).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext_noop

from delivr.effects import clock
from delivr.effects.models import Effect, EffectQuerySet, EffectState
from delivr.effects.operations import create_effects, reopen

if TYPE_CHECKING:
    from releases.models import Release

POST, EDIT = "message.post", "message.edit"
Place = tuple[str, str]  # a connection and a channel
MUTED = gettext_noop("The release is muted.")  # kept with the effect, like every error
# What these say may still be changed: they are sent, or sent again, with what they then hold.
_OPEN_TO_CHANGE = Q(state__in=(EffectState.PENDING, EffectState.DEAD))
# Never posted, since the release was muted; a person who cancels one wants it never.
_KEPT_BACK = Q(kind=POST, state=EffectState.CANCELLED, last_error=MUTED)


def kept_messages(release: Release, build_id: str = "") -> dict[Place, Effect]:
    """The messages about the release or one of its builds, by place."""
    rows = Effect.objects.for_tenant(release.tenant_id).filter(
        kind=POST, release_id=release.pk, build_id=build_id, payload__kept=True
    )
    return {place_of(row): row for row in rows.order_by("created_at")}


def place_of(effect: Effect) -> Place:
    return effect.integration_id, effect.payload["channel"]


def change_messages(release: Release, messages: Collection[Effect], said: dict[str, Any]) -> None:
    """Have these messages say something else. The caller holds the release's lock.

    One that is still to be posted, or to be edited, is then sent with the new words: its row is
    locked until the caller commits, so whoever claims it afterwards sees them. What may be on its
    way already is left alone, and another edit follows it. One that muting kept back is posted now.
    """
    waiting = _lock_waiting(release, [message.pk for message in messages])
    changed, new, now = [], [], clock.now()
    kept_back = [row.pk for row in waiting.values() if row.state == EffectState.CANCELLED]
    for message in messages:
        row = waiting.get(message.pk)
        if row is not None and (row.state == EffectState.PENDING or row == message):
            row.payload |= said
            row.created_at = now if row.kind == EDIT else row.created_at
            changed.append(row)
        elif message.state != EffectState.CANCELLED:
            new.append(_edit_of(message, said))
    Effect.objects.bulk_update(changed, ["payload", "created_at"])
    if kept_back:
        reopen(Effect.objects.filter(pk__in=kept_back), kind=POST)
    if new:
        _supersede(release, new)
        create_effects(tenant=release.tenant, kind=EDIT, effects=new)


def _lock_waiting(release: Release, ids: list[str]) -> dict[str, Effect]:
    """The newest row of each of these messages that nobody is sending. A row that someone else has
    locked is left out, so that nobody waits for anybody."""
    rows: EffectQuerySet = Effect.objects.for_tenant(release.tenant_id).filter(
        Q(pk__in=ids) | Q(kind=EDIT, payload__message__in=ids),
        _OPEN_TO_CHANGE | _KEPT_BACK,
        release_id=release.pk,
    )
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    return {message_of(row): row for row in rows.order_by("created_at")}


def message_of(effect: Effect) -> str:
    """The id of the message that a post or an edit belongs to."""
    return str(effect.payload.get("message", effect.pk))


def _edit_of(message: Effect, said: Mapping[str, Any]) -> dict[str, Any]:
    pk = Effect().pk
    where = {name: message.payload.get(name) for name in ("channel", "channel_name")}
    return {
        "id": pk,
        "integration_id": message.integration_id,
        "release_id": message.release_id,
        "build_id": message.build_id,
        "dedupe_key": f"message:{message.pk}:edit:{pk}",
        "payload": {**where, **said, "message": message.pk},
    }


def _supersede(release: Release, new: Iterable[Mapping[str, Any]]) -> None:
    """Edits that failed have nothing left to say: the new ones say what is so now."""
    ids = [one["payload"]["message"] for one in new]
    failed = Effect.objects.for_tenant(release.tenant_id).filter(
        kind=EDIT, release_id=release.pk, payload__message__in=ids, state=EffectState.DEAD
    )
    failed.update(state=EffectState.CANCELLED)


def said_by(message: Effect) -> dict[str, Any]:
    """What the message should say now: the payload of its newest row."""
    edits = edits_of(message).order_by("created_at").last()
    return dict((edits or message).payload)


def edits_of(message: Effect) -> EffectQuerySet:
    found: EffectQuerySet = Effect.objects.for_tenant(message.tenant_id).filter(
        kind=EDIT, release_id=message.release_id, payload__message=message.pk
    )
    return found
