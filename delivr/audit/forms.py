from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from delivr.audit import wording
from delivr.date_bounds import FIRST, LAST

_DAYS = [MinValueValidator(FIRST), MaxValueValidator(LAST)]


class AuditFilter(forms.Form):
    """Filters of the audit log. An invalid field is reported and filters nothing."""

    who = forms.CharField(label=_("Who"), max_length=254, required=False)
    action = forms.ChoiceField(label=_("What"), required=False)
    subject = forms.CharField(label=_("Name or id"), max_length=200, required=False)
    since = forms.DateField(
        label=_("From"),
        required=False,
        validators=_DAYS,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = forms.DateField(
        label=_("To"),
        required=False,
        validators=_DAYS,
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["action"]
        field.choices = [("", _("Everything")), *wording.choices()]

    @property
    def wanted(self) -> dict[str, Any]:
        """Arguments for `AuditEventQuerySet.matching`; days are whole days, including the last."""
        self.is_valid()
        wanted = {name: value for name, value in self.cleaned_data.items() if value}
        if "since" in wanted:
            wanted["since"] = _midnight(wanted["since"])
        if "until" in wanted:
            wanted["until"] = _midnight(wanted["until"] + timedelta(days=1))
        return wanted


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
