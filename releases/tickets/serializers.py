"""The ticket system's part of a release as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from releases.models import Release
from releases.repository.serializers import KnownFieldsOnly
from releases.tickets.acts import ticket_part_of
from releases.tickets.card import VersionFacts
from releases.tickets.models import MoveAt


class TicketStepsSerializer(KnownFieldsOnly):
    """What follows a release in its ticket system. Omitted steps use the workspace's default.

    `moveAt` is when its epics are moved to a status that counts as done: null for never.
    """

    link = serializers.BooleanField(source="links_epics", required=False)
    comments = serializers.BooleanField(source="comments_epics", required=False)
    moveAt = serializers.ChoiceField(
        [MoveAt.SUBMITTED.value, MoveAt.RELEASED.value],
        source="moves_epics",
        required=False,
        allow_null=True,
    )
    version = serializers.BooleanField(source="makes_version", required=False)

    def validate_moveAt(self, value: str | None) -> str:
        return value or ""

    def to_representation(self, instance: Any) -> Any:
        shown = super().to_representation(instance)
        return {**shown, "moveAt": shown["moveAt"] or None}


class OpenTicketSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    status = serializers.CharField()
    url = serializers.CharField()


class TicketVersionSerializer(serializers.Serializer[Any]):
    """The release's version in the ticket system, in the project of the connection.

    `notDone` of its `tickets` are not done, as of `checkedAt` (null if not looked up yet; `message`
    says why the last look failed); `notDoneTickets` are the first of them. `added` are the tickets
    of the release's changes that have the version. `elsewhere` are in other projects, which have
    versions of their own, `unknown` do not exist or may not be seen, and `refused` says why others
    were refused.
    """

    name = serializers.CharField()
    url = serializers.CharField()
    released = serializers.BooleanField(source="is_released")
    tickets = serializers.IntegerField(source="total", allow_null=True)
    notDone = serializers.IntegerField(source="not_done", allow_null=True)
    notDoneTickets = OpenTicketSerializer(source="open_tickets", many=True)
    added = serializers.ListField(child=serializers.CharField())
    elsewhere = serializers.ListField(child=serializers.CharField())
    unknown = serializers.ListField(child=serializers.CharField())
    refused = serializers.DictField(child=serializers.CharField())
    checkedAt = serializers.DateTimeField(source="looked_at", allow_null=True)
    message = serializers.CharField(source="note")


class VersionPreview(serializers.Serializer[Any]):
    """The version in the ticket system as it is now. `exists` is null if it could not be looked up;
    `message` then says why. `notDone` of its `tickets` are not done."""

    name = serializers.CharField()
    exists = serializers.BooleanField(allow_null=True)
    url = serializers.CharField()
    tickets = serializers.IntegerField(source="total")
    notDone = serializers.IntegerField(source="not_done")
    notDoneTickets = OpenTicketSerializer(source="open_tickets", many=True)
    message = serializers.CharField()


class TicketsPreview(serializers.Serializer[Any]):
    """What would follow the release in the ticket system, in words."""

    steps = serializers.ListField(child=serializers.CharField())
    version = VersionPreview(allow_null=True)


def ticket_steps_shown(release: Release) -> dict[str, Any] | None:
    part = ticket_part_of(release)
    return None if part is None else dict(TicketStepsSerializer(part).data)


def ticket_version_shown(release: Release, effects: Any) -> dict[str, Any] | None:
    part = ticket_part_of(release)
    if part is None or not part.makes_version:
        return None
    return dict(TicketVersionSerializer(VersionFacts.of(release, part, effects)).data)
