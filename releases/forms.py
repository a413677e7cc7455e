"""The form of a new release. It checks the shape only; `create_release` has the rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.tenants.models import Tenant, User
from integrations.choices import Platform
from integrations.models import (
    CommunicationIntegration,
    Connection,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
    TicketIntegration,
)
from releases.holding import app_of, holders, known_versions
from releases.models import Release
from releases.operations import VERSION, ReleasePlan, create_release
from releases.preview import preview
from releases.repository.forms import RepositoryFields
from releases.repository.steps import STEPS, Wishes, settings_of, steps_of
from releases.tickets.forms import TicketStepsForm
from releases.tickets.steps import ticket_steps_of
from releases.versions import newest_of, step_to, suggestions

NONE = ""
LOOK_BACK = 50  # releases whose versions the suggestions are based on
NEEDED = ("scm", "targets", "pipelines")


class Options:
    """The connections of one family as choices; one that cannot be chosen says why."""

    def __init__(self, connections: Sequence[Connection], *, must_be_valid: bool) -> None:
        self.connections = connections
        self.must_be_valid = must_be_valid

    def is_open(self, connection: Connection) -> bool:
        return connection.is_valid or not self.must_be_valid

    def choices(self) -> list[tuple[str, str]]:
        return [(c.pk, self._label(c)) for c in self.connections]

    def closed(self) -> set[str]:
        return {c.pk for c in self.connections if not self.is_open(c)}

    def targets(self) -> dict[str, str]:
        """The target of each pipeline, by id."""
        rows = [c for c in self.connections if isinstance(c, PipelineIntegration)]
        return {pipeline.pk: pipeline.target_id for pipeline in rows}

    def verified(self) -> list[str]:
        return [c.pk for c in self.connections if c.is_valid]

    def _label(self, connection: Connection) -> str:
        context = {
            "connection": connection,
            "closed": not self.is_open(connection),
            "platform": _platform_of(connection),
        }
        return render_to_string("releases/choice.html", context)


def _platform_of(connection: Connection) -> str:
    """The name of the platform of a target, or of the target that a pipeline builds for."""
    target = getattr(connection, "target", connection)
    return str(Platform(target.platform).label) if isinstance(target, TargetIntegration) else ""


class ClosedOptions(forms.widgets.ChoiceWidget):
    """Choices, some of which are disabled. `targets` has the target of each pipeline, so that the
    page can untick both together."""

    closed: set[str] = frozenset()  # type: ignore[assignment]
    targets: dict[str, str] = {}  # replaced, never changed

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)
        if str(value) in self.closed:
            option["attrs"]["disabled"] = True
            option["attrs"].pop("checked", None)
        if target := self.targets.get(str(value)):
            option["attrs"]["data-target"] = target
        return option


class Checkboxes(ClosedOptions, forms.CheckboxSelectMultiple):
    pass


class Radios(ClosedOptions, forms.RadioSelect):
    pass


class ReleaseForm(RepositoryFields, TicketStepsForm):
    in_repository = tuple(RepositoryFields.base_fields)
    field_order = ("version", "branch", "scm", "targets", "pipelines", "communications", "ticket")
    in_ticket_system = tuple(TicketStepsForm.base_fields)
    version = forms.CharField(
        label=gettext_lazy("Version"),
        max_length=64,
        help_text=gettext_lazy("As shown in the stores, for example 1.0.0."),
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "off", "list": "id_version_next"}
        ),
    )
    branch = forms.CharField(
        label=gettext_lazy("Branch"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Leave empty for release/ and the version."),
        widget=forms.TextInput(
            attrs={"placeholder": gettext_lazy("release/<version>"), "autocomplete": "off"}
        ),
    )
    scm = forms.ChoiceField(label=gettext_lazy("Repository"), widget=Radios)
    targets = forms.MultipleChoiceField(label=gettext_lazy("Targets"), widget=Checkboxes)
    pipelines = forms.MultipleChoiceField(label=gettext_lazy("Pipelines"), widget=Checkboxes)
    communications = forms.MultipleChoiceField(
        label=gettext_lazy("Messages"),
        required=False,
        help_text=gettext_lazy(
            "Where updates about the release are posted. Settings > Messages says which ones."
        ),
        widget=Checkboxes,
    )
    ticket = forms.ChoiceField(
        label=gettext_lazy("Epics"),
        required=False,
        help_text=gettext_lazy("Where an epic is created for each target."),
        widget=Radios,
    )

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        self.tenant = tenant
        self.options = options_of(tenant)
        initial = first_choice(tenant, self.options)
        chosen = initial["targets"] if data is None else data.getlist("targets")
        targets = cast("list[TargetIntegration]", self.options["targets"].connections)
        self.apps = [app_of(target) for target in targets if target.pk in chosen]
        known = known_versions(tenant, self.apps, most=LOOK_BACK)
        self.next_versions = next_versions(known)
        defaults = settings_of(tenant)
        initial |= steps_of(defaults) | ticket_steps_of(defaults)
        initial["version"] = next((version for version, _step in self.next_versions), "")
        super().__init__(data, initial=initial)
        self.tell_of_drafts(self.options["scm"].connections)
        if newest := newest_of(known):
            words = _("As shown in the stores. The newest release is %(version)s.")
            self.fields["version"].help_text = words % {"version": newest}
        for name, options in self.options.items():
            if options.connections or self.fields[name].required:
                self._offer(name, options)
            else:
                del self.fields[name]
        for name in () if "ticket" in self.fields else self.in_ticket_system:
            del self.fields[name]

    @property
    def is_possible(self) -> bool:
        """True if there is at least one connection of each family that a release needs."""
        return all(self.options[name].connections for name in NEEDED)

    @cached_property
    def taken_by(self) -> list[Release]:
        """The releases that already have the version, if that is an error of the form."""
        version = str(self["version"].value() or "").strip()
        if "version" not in self.errors or not VERSION.fullmatch(version):
            return []
        return holders(self.tenant, version, self.apps)

    def submit(self, actor: User) -> Release | None:
        """The new release, or None with every error at its field."""
        try:
            return create_release(actor=actor, **self._plan_values())
        except ValidationError as error:
            self._add_errors(error)
            return None

    def preview(self, user: User) -> dict[str, Any] | None:
        """What the release would cause, or None with every error at its field."""
        try:
            return preview(ReleasePlan(**self._plan_values()), user=user)
        except ValidationError as error:
            self._add_errors(error)
            return None

    def _plan_values(self) -> dict[str, Any]:
        known = {name: list(map(str, messages)) for name, messages in self.errors.items()}
        values = self.cleaned_data
        return {
            "tenant": self.tenant,
            "version": values.get("version", ""),
            "branch": values.get("branch", ""),
            "scm_id": values.get("scm", ""),
            "target_ids": values.get("targets", []),
            "pipeline_ids": values.get("pipelines", []),
            "communication_ids": values.get("communications", []),
            "ticket_id": values.get("ticket") or None,
            "wishes": Wishes(
                values.get("base_branch", ""),
                {name: bool(values.get(name)) for name in STEPS},
                {name: values[name] for name in self.in_ticket_system if name in values},
            ),
            "known_errors": known,
        }

    def _add_errors(self, error: ValidationError) -> None:
        for name, messages in error.message_dict.items():
            field = name if name in self.fields else None
            known = set(map(str, self.errors.get(field or "__all__", [])))
            self.add_error(field, [words for words in messages if words not in known])

    def _offer(self, name: str, options: Options) -> None:
        field = cast(forms.ChoiceField, self.fields[name])
        choices = options.choices()
        if not field.required and not isinstance(field, forms.MultipleChoiceField):
            choices = [(NONE, _("None")), *choices]
        field.choices = choices
        widget = cast(ClosedOptions, field.widget)
        widget.closed, widget.targets = options.closed(), options.targets()


def next_versions(known: Sequence[str]) -> list[tuple[str, str]]:
    """Suggestions for the next version, each with the part that it increases."""
    newest, today = newest_of(known), timezone.localdate()
    found = suggestions(known, today=today)
    return [(version, step_to(version, after=newest, today=today)) for version in found]


def options_of(tenant: Tenant) -> dict[str, Options]:
    """The choices of each field, in one query each."""
    pipelines = PipelineIntegration.objects.for_tenant(tenant).select_related("scm", "target")
    return {
        "scm": Options(_all(ScmIntegration, tenant), must_be_valid=True),
        "targets": Options(_all(TargetIntegration, tenant), must_be_valid=True),
        "pipelines": Options(list(pipelines), must_be_valid=False),
        "communications": Options(_all(CommunicationIntegration, tenant), must_be_valid=False),
        "ticket": Options(_all(TicketIntegration, tenant), must_be_valid=False),
    }


def _all(model: type[Any], tenant: Tenant) -> list[Connection]:
    return list(model.objects.for_tenant(tenant))


def first_choice(tenant: Tenant, options: dict[str, Options]) -> dict[str, Any]:
    """The initial choice: that of the last release, or else everything that is verified."""
    rows = Release.objects.for_tenant(tenant)
    last = rows.prefetch_related("targets", "pipelines", "communication_rows").first()
    last_choice = _choice_of(last, options) if last else {}
    if all(last_choice.get(name) for name in NEEDED):
        return last_choice
    scm = next(iter(options["scm"].verified()), "")
    targets = options["targets"].verified()
    fitting = [
        p.pk
        for p in cast("list[PipelineIntegration]", options["pipelines"].connections)
        if p.is_valid and p.scm_id == scm and p.target_id in targets
    ]
    return {
        "scm": scm,
        "targets": targets,
        "pipelines": fitting,
        "communications": options["communications"].verified(),
        "ticket": next(iter(options["ticket"].verified()), NONE),
    }


def _choice_of(last: Release, options: dict[str, Options]) -> dict[str, Any]:
    """The choices of the last release, without those that are no longer possible."""

    def still(name: str, ids: Iterable[str | None]) -> list[str]:
        available = {c.pk for c in options[name].connections} - options[name].closed()
        return [pk for pk in ids if pk and pk in available]

    return {
        "scm": next(iter(still("scm", [last.scm_id])), ""),
        "targets": still("targets", [t.target_id for t in last.targets.all()]),
        "pipelines": still("pipelines", [p.pipeline_id for p in last.pipelines.all()]),
        "communications": still("communications", last.communication_ids),
        "ticket": next(iter(still("ticket", [last.ticket_id])), NONE),
    }
