"""The steps in the repository, in the form of a new release and in the workspace's settings."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _

from integrations.models import Connection
from releases.repository.acts import host_class
from releases.tickets.forms import TicketStepsForm


class StepsForm(forms.Form):
    creates_branch = forms.BooleanField(
        label=_("Create the branch"),
        required=False,
        help_text=_("Created together with the release. Builds wait for it."),
    )
    makes_tag = forms.BooleanField(
        label=_("Tag the commit that was built"),
        required=False,
        help_text=_("The tag is v and the version, created when all builds are complete."),
    )
    drafts_release = forms.BooleanField(
        label=_("Draft a release"),
        required=False,
        help_text=_("With the changes since the last release. You publish it yourself."),
    )

    def tell_of_drafts(self, hosts: Iterable[Connection]) -> None:
        """Not every host of these repositories has drafts."""
        notes = {str(host_class(host.kind).draft_note): None for host in hosts}
        field = self.fields["drafts_release"]
        field.help_text = " ".join([str(field.help_text), *notes]).strip()


class SettingsForm(StepsForm, TicketStepsForm):
    """A workspace's defaults."""

    in_repository = tuple(StepsForm.base_fields)
    in_ticket_system = tuple(TicketStepsForm.base_fields)


class RepositoryFields(StepsForm):
    base_branch = forms.CharField(
        label=_("Base branch"),
        max_length=200,
        required=False,
        help_text=_("If empty, the repository's default branch."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
