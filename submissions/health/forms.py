"""The rules in the form with which a target is submitted: one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import TargetIntegration
from integrations.providers.stores import Act
from submissions.health.backtest import Outcome, back_test
from submissions.health.models import RolloutRule, RuleAction
from submissions.health.wishes import MIN_SAMPLE, RuleWish, rules_from, sources_of
from submissions.health.wording import METRIC_NAMES, sentence_of
from submissions.models import Submission, store_of

LINES = 3


class RuleForm(forms.Form):
    """One rule; without an action the line is empty."""

    action = forms.ChoiceField(label=gettext_lazy("Action"), required=False)
    source = forms.ChoiceField(label=gettext_lazy("Figures of"), required=False)
    metric = forms.ChoiceField(label=gettext_lazy("Figure"), required=False)
    threshold = forms.FloatField(label=gettext_lazy("Limit, %"), required=False)
    margin = forms.FloatField(label=gettext_lazy("Or worse by, points"), required=False)
    min_sample = forms.IntegerField(label=gettext_lazy("Least sample"), required=False)
    after_hours = forms.FloatField(label=gettext_lazy("Hours at a step"), required=False)

    def __init__(self, *args: Any, choices: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_sources = len(choices["source"]) > 1
        for name, offered in choices.items():
            self.fields[name].choices = offered  # type: ignore[attr-defined] # a ChoiceField
        for name in ("threshold", "margin", "min_sample", "after_hours"):
            self.fields[name].widget = forms.TextInput({"inputmode": "decimal", "size": 6})

    @property
    def is_used(self) -> bool:
        """There is something in it, so that it is not folded."""
        return bool(self["action"].value() or self.errors)

    def wish(self) -> RuleWish | None:
        """None for an empty line. What is filled in beforehand is left out where it means
        nothing."""
        values = self.cleaned_data.items()
        given = {name: value for name, value in values if value not in ("", None)}
        if "source" not in given:
            given.pop("min_sample", None)
        return RuleWish(**given) if "action" in given else None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A rule in a sentence, and what it would have done."""

    sentence: str
    outcomes: Sequence[Outcome]
    waits_only: bool


def rule_forms(target: TargetIntegration, data: Any) -> list[RuleForm]:
    """One for each line, filled in with the rules of the target's last submission."""
    sources = sources_of(target)
    store = store_of(target)
    stop = RuleAction.PAUSE if store.stops_by is Act.PAUSE else RuleAction.HALT
    actions = [stop, RuleAction.ADVANCE] if store.picks_shares else [stop]
    metrics = {metric for row in sources.values() for metric in row.provider_class.metrics}
    choices = {
        "action": [("", _("No rule")), *((one.value, one.label) for one in actions)],
        "source": [("", _("None: wait only")), *((pk, str(row)) for pk, row in sources.items())],
        "metric": [("", "—"), *((m.value, n) for m, n in METRIC_NAMES.items() if m in metrics)],
    }
    first = _last_rules(target)
    initial = [*first, *({"min_sample": MIN_SAMPLE} for _n in range(LINES - len(first)))]
    return [
        RuleForm(data, prefix=f"rules-{n}", initial=values, choices=choices)
        for n, values in enumerate(initial)
    ]


def _last_rules(target: TargetIntegration) -> list[dict[str, Any]]:
    last = Submission.objects.for_tenant(target.tenant_id).filter(target=target.pk).first()
    rules = last.rules.all()[:LINES] if last else []
    names = ("action", "metric", "threshold", "margin", "after_hours")
    return [
        {
            **{name: getattr(rule, name) for name in names},
            "source": rule.source_id or "",
            "min_sample": rule.min_sample or None,
        }
        for rule in rules
    ]


def try_rules(wishes: Sequence[RuleWish], target: TargetIntegration) -> list[Trial]:
    """What each rule will do, and would have done to the target's earlier submissions."""
    sources = sources_of(target)
    rules: list[RolloutRule] = rules_from(target.tenant_id, wishes)
    return [
        Trial(
            sentence=sentence_of(
                rule, store_of(target), str(sources[rule.source_id]) if rule.source_id else ""
            ),
            outcomes=back_test(rule, target),
            waits_only=rule.source_id is None,
        )
        for rule in rules
    ]
