"""The forms of the message settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from delivr.tenants.models import User
from integrations.choices import Preset
from integrations.models import CommunicationIntegration
from integrations.providers.chat import ChatProvider
from releases.messages.mentions import Mentions, Whom
from releases.messages.operations import MAX_GROUP, change_rules
from releases.messages.rules import chat_of


def _presets(chat: type[ChatProvider]) -> list[tuple[Preset, Any]]:
    """The presets in words that are true for the chat."""
    if chat.is_endpoint:
        normal, everything = _("Normal: everything"), None
    elif chat.threads:
        normal = _("Normal: also each step, quietly in the thread")
        everything = _("Everything, to the whole channel")
    else:
        normal = _("Normal: all milestones and failures")
        everything = _("Everything: also each step of every build")
    quiet = _("Quiet: the main milestones and failures")
    words = {Preset.QUIET: quiet, Preset.NORMAL: normal, Preset.EVERYTHING: everything}
    return [(preset, text) for preset, text in words.items() if text]


class PresetForm(forms.Form):
    """The preset of a connection, and whom failures mention where its chat can mention people."""

    preset = forms.ChoiceField(label=_("Preset"), widget=forms.RadioSelect)
    whom = forms.ChoiceField(label=_("A failure mentions"), choices=Whom.choices)
    group = forms.CharField(label=_("Group"), required=False, max_length=MAX_GROUP)

    def __init__(self, connection: CommunicationIntegration, data: Any = None) -> None:
        mentions = Mentions.of(connection)
        initial = {"preset": connection.preset, "whom": mentions.whom, "group": mentions.group}
        super().__init__(data, initial=initial, auto_id=f"{connection.pk}_%s")
        self.connection = connection
        chat = chat_of(connection)
        presets = dict(_presets(chat))
        self.fields["preset"].choices = list(presets.items())  # type: ignore[attr-defined]
        if connection.preset not in presets:
            self.initial["preset"] = Preset.NORMAL
        if chat.mentions:
            self.fields["whom"].help_text = str(chat.mention_help)
            self.fields["group"].help_text = str(chat.group_help)
            self.fields["group"].widget.attrs |= {
                "data-picker-url": reverse("message_groups", args=[connection.pk]),
                "data-picker-label": _("Load groups"),
            }
        else:
            del self.fields["whom"], self.fields["group"]

    def submit(self, actor: User) -> CommunicationIntegration | None:
        """The changed connection, or None with every error at its field. Raises Conflict."""
        if not self.is_valid():
            return None
        values = self.cleaned_data
        mentions: dict[str, str] = {n: values[n] for n in ("whom", "group") if n in values}
        try:
            return change_rules(
                self.connection, actor=actor, preset=values["preset"], mentions=mentions
            )
        except ValidationError as error:
            for name, words in error.message_dict.items():
                self.add_error(name, words)
            return None
