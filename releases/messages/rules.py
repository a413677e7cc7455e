"""Who hears what: the rules of a connection, by channel and event.

A connection stores its preset, and of the rules only those that differ from it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from integrations.choices import Preset
from integrations.providers.chat import ChatProvider
from releases.messages.events import BY_EVENT, MILESTONES, Notice, event_of

if TYPE_CHECKING:
    from integrations.models import CommunicationIntegration


class Rule(enum.StrEnum):
    """What a channel hears of an event."""

    ON = "on"
    OFF = "off"
    THREAD = "thread"  # only in the release's thread, where the chat has threads


Rules = dict[str, dict[str, str]]  # by channel and event

_QUIET = {
    Notice.RELEASE_CREATED,
    Notice.RELEASE_COMPLETE,
    Notice.RELEASE_FAILED,
    Notice.RELEASE_CANCELLED,
    Notice.RELEASE_RELEASED,
    Notice.SUBMISSION_REJECTED,
    Notice.SUBMISSION_NEEDS_PERSON,
    Notice.BUILD_WAITING,
    Notice.BUILD_FAILED,
    Notice.BUILD_NOT_STARTED,
}


def rule_for(communication: CommunicationIntegration, channel: str, notice: Notice) -> Rule:
    """The rule that was set for the channel and the event, or else that of the preset."""
    chosen = communication.rule_of(channel, event_of(notice))
    return (
        Rule(chosen)
        if chosen in possible_rules(communication)
        else preset_rule(chat_of(communication), communication.preset, notice)
    )


def preset_rule(chat: type[ChatProvider], preset: str, notice: Notice) -> Rule:
    if preset == Preset.EVERYTHING:
        return Rule.ON
    if preset == Preset.QUIET:
        return Rule.ON if notice in _QUIET else Rule.OFF
    if notice in MILESTONES or chat.tells_steps:
        return Rule.ON
    return Rule.THREAD if chat.threads or chat.edits_in_place else Rule.OFF


def possible_rules(communication: CommunicationIntegration) -> list[Rule]:
    """Those that this kind of chat can follow."""
    return [rule for rule in Rule if rule != Rule.THREAD or chat_of(communication).threads]


def chat_of(communication: CommunicationIntegration) -> type[ChatProvider]:
    return cast("type[ChatProvider]", communication.provider_class)


# --- As a table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One event in one channel: the rule in force, and that of the preset."""

    event: str
    notice: Notice
    rule: Rule
    preset: Rule

    @property
    def differs(self) -> bool:
        return self.rule != self.preset


def lines_of(communication: CommunicationIntegration, channel: str) -> Iterator[Line]:
    """A line for each event, in the order in which a release meets them."""
    chat = chat_of(communication)
    for event, notice in BY_EVENT.items():
        rule = rule_for(communication, channel, notice)
        yield Line(event, notice, rule, preset_rule(chat, communication.preset, notice))


def rules_in_force(communication: CommunicationIntegration) -> Rules:
    """The rule of every event in every channel."""
    return {
        channel: {line.event: line.rule.value for line in lines_of(communication, channel)}
        for channel in communication.channels
    }


def different(communication: CommunicationIntegration) -> Rules:
    """The rules that differ from the preset."""
    found = {
        channel: {
            line.event: line.rule.value for line in lines_of(communication, channel) if line.differs
        }
        for channel in communication.channels
    }
    return {channel: rules for channel, rules in found.items() if rules}


def with_changes(
    communication: CommunicationIntegration,
    preset: str,
    rules: Mapping[str, Mapping[str, str | None] | None],
) -> Rules:
    """What to store for `preset` and these changes of rules; None stands for the preset's rule.
    Another preset replaces the rules that were set before."""
    chat, before = chat_of(communication), communication.rules
    kept = {} if preset != communication.preset else before
    found: Rules = {}
    for channel in communication.channels:
        changed = rules.get(channel, {})
        wanted = {} if changed is None else {**kept.get(channel, {}), **changed}
        mine = {
            event: str(rule)
            for event, rule in wanted.items()
            if rule and event in BY_EVENT and rule != preset_rule(chat, preset, BY_EVENT[event])
        }
        if mine:
            found[channel] = mine
    return found
