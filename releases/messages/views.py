"""The settings of messages: who hears what, a preview of each message, and a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from delivr.api.problems import Problem
from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.pages.live import fingerprint, fragment, refresh
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations.models import CommunicationIntegration
from integrations.throttle import throttle
from releases.messages.events import BY_EVENT
from releases.messages.forms import PresetForm
from releases.messages.muting import mute, unmute
from releases.messages.operations import (
    TESTS_PER_MINUTE,
    change_rules,
    channel_of_test,
    send_test,
    tests_of,
)
from releases.messages.rules import Line, Rule, chat_of, lines_of, possible_rules
from releases.messages.samples import Html, newest_releases, samples
from releases.messages.sent import SentEffect
from releases.models import Release
from releases.wording import event_words, rule_words

RELEASES_OFFERED = 20  # to preview messages with
TESTS_READ = 200  # the newest of a connection, among which is the last of each channel


# --- Who hears what -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShownLine:
    """One event in words."""

    event: str
    label: str
    rule: Rule
    rule_label: str
    preset_label: str
    differs: bool

    @classmethod
    def of(cls, line: Line) -> ShownLine:
        words = event_words(line.notice), line.rule, rule_words(line.rule), rule_words(line.preset)
        return cls(line.event, *words, line.differs)


@dataclass(frozen=True)
class ChannelRules:
    """One channel with a line for each event."""

    id: str
    name: str
    lines: list[ShownLine]

    @property
    def differing(self) -> int:
        return sum(line.differs for line in self.lines)


@dataclass(frozen=True)
class ConnectionRules:
    connection: CommunicationIntegration
    form: PresetForm
    channels: list[ChannelRules]
    possible: list[tuple[Rule, str]]

    @property
    def differing(self) -> int:
        return sum(channel.differing for channel in self.channels)


@require_GET
@tenant_required()
def message_settings(request: TenantRequest) -> HttpResponse:
    return _settings_page(request)


def _settings_page(request: TenantRequest, form: PresetForm | None = None) -> HttpResponse:
    rows = CommunicationIntegration.objects.for_tenant(request.tenant)
    shown = [
        _rules_of(row, form if form and form.connection.pk == row.pk else PresetForm(row))
        for row in rows
    ]
    context = {"shown": shown, "opened": request.GET.get("channel", "")}
    return render(request, "settings/messages/page.html", context)


def _rules_of(connection: CommunicationIntegration, form: PresetForm) -> ConnectionRules:
    return ConnectionRules(
        connection,
        form,
        [
            ChannelRules(
                one,
                connection.channel_name(one),
                [ShownLine.of(line) for line in lines_of(connection, one)],
            )
            for one in connection.channels
        ],
        [(rule, rule_words(rule)) for rule in possible_rules(connection)],
    )


@require_POST
@tenant_required(Role.ADMIN)
def message_preset(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Save the preset and the mentions, or drop all that differs from the preset (`reset`)."""
    connection = _find(request, connection_id)
    if request.POST.get("reset"):
        return _change(request, connection, dict.fromkeys(connection.channels), opened="")
    form = PresetForm(connection, request.POST)
    try:
        if form.submit(request.user) is None:
            return _settings_page(request, form)
    except Conflict as conflict:
        messages.warning(request, conflict.message)
        return redirect("settings_messages")
    messages.success(request, _saved(connection))
    return redirect(_place(connection))


@require_POST
@tenant_required(Role.ADMIN)
def message_rules(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Save the rules of one `channel`, or of all (`everywhere`); with `reset`, the preset's."""
    connection = _find(request, connection_id)
    channel = request.POST.get("channel", "")
    rules = {event: request.POST[event] for event in BY_EVENT if event in request.POST}
    wanted = None if request.POST.get("reset") else rules
    channels = connection.channels if request.POST.get("everywhere") else [channel]
    return _change(request, connection, dict.fromkeys(channels, wanted), opened=channel)


def _change(
    request: TenantRequest,
    connection: CommunicationIntegration,
    rules: Mapping[str, Mapping[str, str | None] | None],
    *,
    opened: str,
) -> HttpResponse:
    try:
        change_rules(connection, actor=request.user, rules=rules)
    except (ValidationError, Conflict) as error:
        messages.warning(request, _in_words(error))
        return redirect("settings_messages")
    messages.success(request, _saved(connection))
    return redirect(_place(connection, opened))


def _saved(connection: CommunicationIntegration) -> str:
    return _("Saved for %(name)s.") % {"name": connection}


def _place(connection: CommunicationIntegration, channel: str = "") -> str:
    query = f"?channel={channel}" if channel in connection.channels else ""
    return f"{reverse('settings_messages')}{query}#{connection.pk}"


def _in_words(error: ValidationError | Conflict) -> str:
    return error.message if isinstance(error, Conflict) else " ".join(error.messages)


def _find(request: TenantRequest, connection_id: str) -> CommunicationIntegration:
    rows = CommunicationIntegration.objects.for_tenant(request.tenant)
    found: CommunicationIntegration = get_object_or_404(rows, pk=connection_id)
    return found


# --- Preview --------------------------------------------------------------------------------------


@require_GET
@tenant_required()
def message_preview(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Every message with the data of `?release=`, or else of the newest release."""
    connection = _find(request, connection_id)
    offered = newest_releases(request.tenant, RELEASES_OFFERED)
    wanted = request.GET.get("release") or next((one.pk for one in offered), "")
    rows = Release.objects.for_tenant(request.tenant).with_everything()
    release = rows.filter(pk=wanted).first() if wanted else None
    context = {
        "connection": connection,
        "release": release,
        "offered": offered,
        "samples": [
            {
                "label": event_words(one.notice),
                "sample": one,
                "heard": _heard(connection, one.rules),
            }
            for one in samples(connection, release, chat=Html)
        ],
        **_tests(connection),
    }
    return render(request, "settings/messages/preview.html", context)


def _heard(
    connection: CommunicationIntegration, rules: Mapping[str, Rule]
) -> list[tuple[str, list[str]]]:
    """The channels of each rule: `[("In the channel", ["#a", "#b"]), …]`."""
    return [
        (rule_words(rule), names)
        for rule in Rule
        if (names := [connection.channel_name(one) for one, its in rules.items() if its == rule])
    ]


# --- Test -----------------------------------------------------------------------------------------


@fragment
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.ADMIN)
def message_test(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Send a test to the posted `channel`; GET is the fragment with the results."""
    connection = _find(request, connection_id)
    if request.method != "POST":
        context = {"connection": connection, **_tests(connection)}
        seen, is_moving = context["tests_seen"], context["is_testing"]
        return refresh(
            request, "settings/messages/_tests.html", context, seen=seen, is_moving=is_moving
        )
    try:
        throttle("message-test", user=request.user, limit=TESTS_PER_MINUTE)
        send_test(connection, actor=request.user, channel=request.POST.get("channel", ""))
    except Problem as problem:
        messages.warning(request, problem.detail)
    except (ValidationError, Conflict) as error:
        messages.warning(request, _in_words(error))
    return redirect(f"{reverse('message_preview', args=[connection.pk])}#tests")


def _tests(connection: CommunicationIntegration) -> dict[str, Any]:
    """The channels, each with the result of its last test."""
    newest: dict[str, Effect] = {}
    for effect in tests_of(connection).order_by("-created_at")[:TESTS_READ]:
        newest.setdefault(channel_of_test(connection, effect), effect)
    lines = [
        {
            "id": one,
            "name": connection.channel_name(one),
            "sent": SentEffect.of(newest[one], newest[one].created_at) if one in newest else None,
        }
        for one in connection.channels
    ]
    return {
        "tests": lines,
        "tests_seen": fingerprint(lines),
        "is_testing": any(effect.is_open for effect in newest.values()),
        "chat": chat_of(connection).label,
    }


# --- Mute -----------------------------------------------------------------------------------------


@require_POST
@tenant_required(Role.MEMBER)
def release_mute(request: TenantRequest, release_id: str) -> HttpResponse:
    """Mute the release, or unmute it with `undo`."""
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    change = unmute if request.POST.get("undo") else mute
    change(release=release, actor=request.user)
    return redirect("release", release.pk)
