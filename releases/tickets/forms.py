"""What follows a release in its ticket system: in the form of a new one, and in the settings."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from releases.tickets.models import MoveAt


class TicketStepsForm(forms.Form):
    links_epics = forms.BooleanField(
        label=_("Link the epics to the release"),
        required=False,
        help_text=_("The link shows the release's status. Nobody is notified."),
    )
    comments_epics = forms.BooleanField(
        label=_("Comment on the epics at milestones"),
        required=False,
        help_text=_("All builds complete, not all succeeded, submitted, released, cancelled."),
    )
    moves_epics = forms.ChoiceField(
        label=_("Move the epics to done"),
        required=False,
        choices=MoveAt.choices,
        help_text=_("To a status that counts as done."),
    )
    makes_version = forms.BooleanField(
        label=_("Create a version"),
        required=False,
        help_text=_(
            "With the release's number. The tickets that the changes name are added to it, and it "
            "is released with the release."
        ),
    )
