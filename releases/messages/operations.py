"""Change the rules of a connection's messages, and send a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from delivr import ids
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.effects.operations import create_effect
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations import endpoints
from integrations.choices import Preset
from integrations.models import CommunicationIntegration
from releases.messages.events import BY_EVENT
from releases.messages.mentions import OPTION, Mentions, Whom
from releases.messages.rules import chat_of, different, possible_rules, with_changes

Errors = dict[str, list[str]]
Changes = Mapping[str, Mapping[str, str | None] | None]
TESTS_PER_MINUTE = 20  # that one user may send, on pages and by the API together
TESTS_KEPT = timedelta(days=1)  # shown on the page
MAX_GROUP = 60  # characters of a group's id
# Told at once: each names what there is, and a request may hold thousands.
MOST_PROBLEMS = 20


@transaction.atomic
def change_rules(
    communication: CommunicationIntegration,
    *,
    actor: User | None,
    preset: str | None = None,
    rules: Changes | None = None,
    mentions: Mapping[str, str] | None = None,
    known_errors: Errors | None = None,
) -> CommunicationIntegration:
    """Change the preset, rules by channel and event, or whom failures mention (`whom`, `group`).

    Another preset replaces the rules that were set before; of `rules`, None stands for the rule of
    the preset, for an event or a whole channel. Messages that were created already are still sent.
    Raises ValidationError under `preset`, `rules`, `whom` and `group`, and Conflict if the
    connection was disconnected meanwhile.
    """
    rows = CommunicationIntegration.objects.for_tenant(communication.tenant_id)
    found = rows.select_for_update(no_key=True).filter(pk=communication.pk).first()
    if found is None:
        raise Conflict("disconnected", _("This connection was disconnected in the meantime."))
    locked: CommunicationIntegration = found
    before, mentioned = different(locked), Mentions.of(locked)
    errors = dict(known_errors or {})
    wanted = _clean_mentions(locked, mentioned, mentions or {}, errors)
    if preset is not None and preset not in Preset.values:
        errors["preset"] = [_choose(Preset.values)]
    if wrong := list(islice(_wrong_rules(locked, rules or {}), MOST_PROBLEMS)):
        errors["rules"] = list(dict.fromkeys(wrong))
    if errors:
        raise ValidationError(errors)
    changes: dict[str, Any] = {}
    stored = with_changes(locked, preset or locked.preset, rules or {})
    if preset is not None and preset != locked.preset:
        changes["preset"] = [locked.preset, preset]
        locked.preset = preset
    locked.rules = stored
    changes |= _changed_rules(locked, before, different(locked))
    if wanted != mentioned:
        changes[OPTION] = [_in_words(mentioned), _in_words(wanted)]
        locked.options = {**locked.options, OPTION: wanted.stored}
    if changes:
        # Not `save`: nothing that a verification looks at has changed.
        rows.filter(pk=locked.pk).update(
            preset=locked.preset, rules=locked.rules, options=locked.options
        )
        record(actor=actor, action="integration.rules_changed", subject=locked, changes=changes)
    return locked


def _wrong_rules(communication: CommunicationIntegration, rules: Changes) -> Iterator[str]:
    possible, channels = possible_rules(communication), communication.channels
    for channel, of_channel in rules.items():
        if channel not in channels:
            words = _("“%(channel)s” is not a channel of this connection. It has: %(channels)s.")
            yield words % {"channel": channel[:60], "channels": ", ".join(channels)}
            continue
        for event, rule in (of_channel or {}).items():
            if event not in BY_EVENT:
                words = _("There is no event “%(event)s”. Choose one of: %(known)s.")
                yield words % {"event": event[:60], "known": ", ".join(BY_EVENT)}
            elif rule is not None and rule not in possible:
                yield f"{event}: {_choose(possible)}"


def _choose(known: list[Any]) -> str:
    return _("Choose one of: %(known)s.") % {"known": ", ".join(known)}


def _clean_mentions(
    communication: CommunicationIntegration,
    before: Mentions,
    wanted: Mapping[str, str],
    errors: Errors,
) -> Mentions:
    whom = wanted.get("whom", before.whom)
    group = wanted.get("group", before.group).strip()
    chat = chat_of(communication)
    if whom not in Whom.values:
        errors["whom"] = [_choose(Whom.values)]
    elif whom != Whom.NOBODY and not chat.mentions:
        words = _("%(chat)s cannot mention anybody.")
        errors["whom"] = [words % {"chat": chat.label}]
    elif whom == Whom.GROUP and not group:
        errors["group"] = [_("Name the group that is mentioned.")]
    if group and "group" not in errors:
        try:
            group = chat.clean_group(group)
        except ValueError as error:
            errors["group"] = [str(error)]
    return Mentions(whom, group)


def _in_words(mentions: Mentions) -> str:
    if mentions.whom == Whom.GROUP:
        return f"{mentions.whom} {mentions.group}"
    return str(mentions.whom)


def _changed_rules(
    communication: CommunicationIntegration,
    before: Mapping[str, Mapping[str, str]],
    after: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """For the audit log: by channel, what differed from the preset and what does now."""
    return {
        communication.channel_name(channel): [before.get(channel, {}), after.get(channel, {})]
        for channel in communication.channels
        if before.get(channel) != after.get(channel)
    }


@transaction.atomic
def send_test(
    communication: CommunicationIntegration, *, actor: User | None, channel: str
) -> Effect:
    """Have a message posted that says it is a test; while one is on its way, that one is returned.
    An endpoint gets a test event, whatever the channel.

    Raises Conflict if the endpoint is turned off, and ValidationError under `channel`.
    """
    if communication.is_endpoint:
        return endpoints.send_test(communication, actor=actor)
    name = communication.channel_name(channel)
    if channel not in communication.channels:
        words = _("Choose one of this connection's channels: %(channels)s.")
        known = ", ".join(communication.channels)
        raise ValidationError({"channel": [words % {"channels": known}]})
    # Locked, so that of two presses only one sends.
    CommunicationIntegration.objects.select_for_update(no_key=True).get(pk=communication.pk)
    waiting: Effect | None = tests_of(communication).open().filter(payload__channel=channel).first()
    if waiting is not None:
        return waiting
    record(
        actor=actor,
        action="message.tested",
        subject=communication,
        changes={"channel": [None, name]},
    )
    return create_effect(
        tenant=communication.tenant,
        kind="message.test",
        integration_id=communication.pk,
        dedupe_key=ids.new_id(f"message:test:{communication.pk}"),
        payload={"channel": channel, "channel_name": name},
    )


def tests_of(communication: CommunicationIntegration) -> Any:
    """The effects of its recent tests; older ones tell nothing about now."""
    rows = Effect.objects.for_tenant(communication.tenant_id)
    recent = rows.filter(created_at__gt=clock.now() - TESTS_KEPT)
    return recent.filter(integration_id=communication.pk, kind="message.test")
