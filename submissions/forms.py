"""The form with which a target is submitted. It shows only what the target's store knows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.providers.stores import ReleaseType
from releases.models import ReleaseTarget
from submissions.files import uploadable
from submissions.health.forms import Trial, rule_forms, try_rules
from submissions.models import Submission, store_of
from submissions.operations import submit
from submissions.plans import Wishes, built_number, draft, errors_in

DEFAULT_SHARES = "1, 5, 20, 50, 100"
_TYPES = [
    (ReleaseType.MANUAL, _("Someone publishes it by hand, after the approval")),
    (ReleaseType.AFTER_APPROVAL, _("Right after the approval")),
    (ReleaseType.SCHEDULED, _("Not before a date")),
]
_ANSWERS = [("", _("Not answered here")), ("no", _("No")), ("yes", _("Yes"))]


class SubmissionForm(forms.Form):
    store_build = forms.CharField(label=_("Build"), max_length=40)
    artifact = forms.ChoiceField(
        label=_("Bundle"),
        required=False,
        help_text=_("delivr uploads a file only if the store does not have this build yet."),
    )
    track = forms.CharField(label=_("Track"), max_length=60, required=False)
    shares = forms.CharField(
        label=_("Staged roll-out"),
        required=False,
        help_text=_("Percentages in order. Leave it empty to release to everyone at once."),
    )
    is_phased = forms.BooleanField(
        label=_("Phased release"),
        required=False,
        help_text=_("To 1, 2, 5, 10, 20, 50 and 100 % of the users, one step a day."),
    )
    release_type = forms.ChoiceField(
        label=_("Publication"), choices=_TYPES, widget=forms.RadioSelect, initial=ReleaseType.MANUAL
    )
    release_at = forms.DateTimeField(
        label=_("Not before"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )
    testflight_groups = forms.CharField(
        label=_("Groups of testers"),
        required=False,
        help_text=_("Names, separated by commas. They get the build first."),
    )
    uses_encryption = forms.ChoiceField(
        label=_("Does the app use encryption that is not exempt?"),
        choices=_ANSWERS,
        required=False,
        help_text=_("A legal statement: delivr never answers it by itself."),
    )
    notes = forms.CharField(
        label=_("What's new"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_(
            "One language after the other, each below a line with its code in brackets: [en-US]. "
            "Leave it empty to keep what the store has."
        ),
    )

    def __init__(self, part: ReleaseTarget, data: Any = None) -> None:
        super().__init__(data)
        self.part, store = part, store_of(part.target)
        self.rules = rule_forms(part.target, data)
        self.fields["store_build"].initial = built_number(part)
        files = uploadable(part)
        self.fields["artifact"].choices = [  # type: ignore[attr-defined] # a ChoiceField's
            ("", gettext("%(store)s already has it") % {"store": store.label}),
            *((file.name, gettext("Upload %(file)s") % {"file": file.title}) for file in files),
        ]
        self.fields["track"].initial = next(iter(store.tracks), "")
        self.fields["shares"].initial = DEFAULT_SHARES
        self.fields["is_phased"].initial = True
        unknown = {
            "artifact": not files,
            "track": not store.tracks,
            "shares": not store.picks_shares,
            "is_phased": not store.fixed_shares,
            "release_type": not store.has_release_type,
            "release_at": not store.has_release_type,
            "testflight_groups": not store.has_groups,
            "uses_encryption": not store.asks_about_encryption,
        }
        for name in [name for name, is_unknown in unknown.items() if is_unknown]:
            del self.fields[name]

    def clean_shares(self) -> list[float]:
        parts = [part.strip(" %") for part in self.cleaned_data["shares"].split(",")]
        try:
            return [float(part) for part in parts if part]
        except ValueError:
            raise ValidationError(_("Enter percentages, like 1, 5, 20, 100.")) from None

    def clean_testflight_groups(self) -> list[str]:
        names = self.cleaned_data["testflight_groups"].split(",")
        return [name.strip() for name in names if name.strip()]

    def clean_uses_encryption(self) -> bool | None:
        return {"yes": True, "no": False}.get(self.cleaned_data["uses_encryption"])

    def clean_notes(self) -> dict[str, str]:
        """The text of each language."""
        found: dict[str, list[str]] = {}
        lines: list[str] | None = None
        for line in self.cleaned_data["notes"].splitlines():
            mark = line.strip()
            if mark.startswith("[") and mark.endswith("]"):
                lines = found.setdefault(mark[1:-1].strip(), [])
            elif lines is not None:
                lines.append(line)
            elif mark:
                raise ValidationError(
                    _("Begin with the code of the language in brackets, like [en-US].")
                )
        return {locale: "\n".join(lines).strip() for locale, lines in found.items()}

    def clean(self) -> dict[str, Any]:
        """Everything that is wrong at once, as `submit` will find it."""
        wishes = self._wishes()
        for name, words in errors_in(wishes, draft(self.part, wishes)).items():
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, words)
        for number, line in enumerate(self.rules, start=1):
            if line.errors:
                self.add_error(None, gettext("Rule %(n)d has an error.") % {"n": number})
        return self.cleaned_data

    def _wishes(self) -> Wishes:
        """As far as it was entered without errors."""
        rules = [wish for line in self.rules if not line.errors and (wish := line.wish())]
        return Wishes(**self.cleaned_data, rollout_rules=rules)

    @property
    def has_sources(self) -> bool:
        return self.rules[0].has_sources

    def trials(self) -> list[Trial]:
        """What the entered rules will do, and would have done; none with errors in the form."""
        if not self.is_valid():
            return []
        return try_rules(self._wishes().rollout_rules, self.part.target)

    def submit(self, actor: User) -> Submission | None:
        """The submission; None with errors in the form."""
        if not self.is_valid():
            return None
        try:
            return submit(
                release=self.part.release,
                actor=actor,
                target_id=self.part.target_id,
                wishes=self._wishes(),
            )
        except ValidationError as error:
            for name, words in error.message_dict.items():
                self.add_error(name if name in self.fields else None, words)
        except Conflict as conflict:
            self.add_error(None, conflict.message)
        return None
