"""The effects that take a submission through its store, one step each.

A step is looked for in the store before it is taken, so that what somebody did by hand, or an
earlier attempt whose response was lost, is adopted and not done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Postpone, Unneeded
from delivr.effects.models import Effect, EffectQuerySet, EffectState
from delivr.effects.operations import create_effect
from delivr.effects.runner import keep_lease
from delivr.failures import Outcome, ProviderError
from integrations.models import TargetIntegration
from integrations.providers.base import Check
from integrations.providers.registry import provider_for
from integrations.providers.stores import (
    UPLOAD,
    Act,
    BuildFile,
    StepRefused,
    StoreProvider,
    SubmissionPlan,
    SubmissionState,
)
from releases.models import ReleaseStatus
from releases.of_effects import connection_of
from submissions.files import open_file
from submissions.locks import RETRY_DELAY, keep, locked
from submissions.models import Submission, store_of
from submissions.preflight import blockers_words, passes_by_itself, stops, store_checks
from submissions.states import (
    AFTER_ACT,
    lock_submission,
    note,
    set_state,
    tell_person,
    usual_review,
)

STEP, ACT = "store.step", "store.act"
BLOCKED = "blocked"  # the code of a step that something in the store stands in the way of
PREFLIGHT = "preflight"  # the first step: nothing is sent while something stands in the way
PUBLIC = 100.0
URGENT = (Act.HALT, Act.PAUSE)


def provider_of(effect: Effect) -> StoreProvider:
    found: StoreProvider = provider_for(connection_of(effect, TargetIntegration))
    return found


def submission_of(effect: Effect) -> Submission:
    rows = Submission.objects.for_tenant(effect.tenant_id)
    found: Submission = rows.select_related(
        "release", "target", "release_target__release", "release_target__target"
    ).get(pk=effect.payload["submission"])
    return found


def create_step(row: Submission, step: str) -> None:
    """Within the transaction that decides on it."""
    create_effect(
        tenant=row.tenant,
        kind=STEP,
        integration_id=row.target_id,
        release_id=row.release_id,
        dedupe_key=f"submission:{row.pk}:step:{step}",
        payload={"submission": row.pk, "step": step},
    )


def create_act(row: Submission, act: Act, *, share: float | None) -> None:
    """The caller counted it in `row.acts`."""
    create_effect(
        tenant=row.tenant,
        kind=ACT,
        integration_id=row.target_id,
        release_id=row.release_id,
        dedupe_key=f"submission:{row.pk}:act:{row.acts}",
        payload={"submission": row.pk, "step": str(act), "share": share, "number": row.acts},
    )


def open_effects(row: Submission) -> EffectQuerySet:
    """Its steps and acts that are not settled."""
    mine = Effect.objects.for_tenant(row.tenant_id).filter(release_id=row.release_id)
    found: EffectQuerySet = mine.filter(kind__in=(STEP, ACT), payload__submission=row.pk).open()
    return found


class InStore(EffectHandler):
    cap = timedelta(minutes=5)
    max_attempts = 30
    expires_after = timedelta(hours=48)

    def around(self, effect: Effect) -> AbstractContextManager[None]:
        return locked(provider_of(effect).lock_key)

    def prepare(self, effect: Effect) -> None:
        row = submission_of(effect)
        is_over = row.ended_at is not None or not row.is_current
        if is_over or row.release.status == ReleaseStatus.CANCELLED:
            raise Unneeded
        self._find_done(effect)

    def _find_done(self, effect: Effect) -> None:
        """Somebody may have done it already. Looked for before the effect counts as sent, so that
        both calls together are never longer than one may be."""
        found = provider_of(effect).find_step(effect.payload["step"], self.plan(effect))
        effect.result = {} if found is None else {"references": dict(found), "wasDone": True}

    def plan(self, effect: Effect) -> SubmissionPlan:
        return submission_of(effect).plan

    def send(self, effect: Effect) -> dict[str, Any]:
        if effect.result:
            return dict(effect.result)
        found = provider_of(effect).take_step(effect.payload["step"], self.plan(effect))
        return {"references": dict(found), "wasDone": False}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        found = provider_of(effect).find_step(effect.payload["step"], self.plan(effect))
        return None if found is None else {"references": dict(found), "wasDone": False}

    def lock(self, effect: Effect) -> None:
        lock_submission(effect.payload["submission"])


class TakeStep(InStore):
    """One step of a submission; the next one follows when it is done."""

    def send(self, effect: Effect) -> dict[str, Any]:
        row = submission_of(effect)
        if effect.payload["step"] == UPLOAD and not effect.result:
            with _declined(effect, StepRefused):
                found = provider_of(effect).upload(row.plan, _file_of(row, effect))
            return {"references": dict(found), "wasDone": False}
        if effect.payload["step"] != PREFLIGHT:
            with _declined(effect, StepRefused):
                return super().send(effect)
        checks = list(provider_of(effect).preflight(row.plan))
        store_checks(row.release_target, checks)
        if any(map(stops, checks)):
            raise _blocked(checks)
        return {"references": {}, "wasDone": False}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        if effect.payload["step"] == PREFLIGHT:
            return None
        with _declined(effect):
            return super().find(effect)

    def _find_done(self, effect: Effect) -> None:
        if effect.payload["step"] != PREFLIGHT:
            with _declined(effect):
                super()._find_done(effect)

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        row = lock_submission(effect.payload["submission"])
        row.references = {**row.references, **result["references"]}
        row.message = row.hint = ""
        names = [PREFLIGHT, *store_of(row.target).steps(row.plan)]
        rest = names[names.index(effect.payload["step"]) + 1 :]
        if rest:
            row.save(update_fields=["references", "message", "hint"])
            create_step(row, rest[0])
            return
        row.submitted_at = row.submitted_at or clock.now()
        row.changed_at = clock.now()
        row.usual_review = usual_review(row)
        row.step = 1 if row.shares else 0
        self._note_submitted(row, by_hand=result["wasDone"])
        set_state(row, SubmissionState.WAITING_FOR_REVIEW, cause=effect.pk)

    def _note_submitted(self, row: Submission, *, by_hand: bool) -> None:
        store = store_of(row.target)
        if by_hand:
            words = _("Submitted in %(console)s, not by delivr") % {"console": store.console}
        else:
            words = _("Submitted to %(store)s") % {"store": store.label}
        note(row, words, is_outside=by_hand)

    def gave_up(self, effect: Effect) -> None:
        """A person can mend what stands in the way; another failure needs a decision."""
        row = lock_submission(effect.payload["submission"])
        row.message, row.hint = effect.last_error[:1000], effect.last_error_hint[:500]
        is_blocked = effect.last_error_code == BLOCKED
        state = SubmissionState.NEEDS_PERSON if is_blocked else SubmissionState.FAILED
        set_state(row, state, cause=effect.pk)
        note(row, row.message or str(_("A step failed.")))
        if is_blocked:
            tell_person(row, cause=effect.pk)

    def revive(self, effect: Effect) -> None:
        row = lock_submission(effect.payload["submission"])
        if not row.is_current or row.ended_at is not None:
            raise ValidationError({"state": [_("Another submission replaced it.")]})
        row.message = row.hint = ""
        set_state(row, SubmissionState.DRAFT, cause=effect.pk)


def _file_of(row: Submission, effect: Effect) -> BuildFile:
    """The file of the build that is to be uploaded. Each piece holds lease and lock for longer."""
    return BuildFile(
        name=row.file["name"],
        open=lambda: open_file(row),
        may_go_on=lambda: keep() and keep_lease(effect),
    )


@contextmanager
def _declined(effect: Effect, kind: type[ProviderError] = ProviderError) -> Iterator[None]:
    """Around a look or a step: a refusal of this kind stands in the way, and is kept like what the
    pre-flight finds. A person mends it and tries again."""
    try:
        yield
    except kind as error:
        if error.outcome is not Outcome.REFUSED:
            raise
        found = error.checks if isinstance(error, StepRefused) else ()
        checks = found or [Check.from_error(effect.payload["step"], error)]
        store_checks(submission_of(effect).release_target, checks)
        blocked = ProviderError.refused(BLOCKED, error.message, error.hint or _mend())
    else:
        return
    raise blocked


def _mend() -> str:
    return _("Mend what stands in the way, then try again.")


def _blocked(checks: Sequence[Check]) -> ProviderError:
    """Wait for what passes by itself; the rest needs a person."""
    words = blockers_words(checks)
    if passes_by_itself(checks):
        return ProviderError(
            "not_ready", words, _("delivr continues by itself."), outcome=Outcome.NOT_YET
        )
    return ProviderError.refused(BLOCKED, words, _mend())


class DoAct(InStore):
    """What a person or a rule asked for later: pause, halt, and the like."""

    # Tried each minute as long as somebody may still want it, which an open breaker spaces out
    # except for what is urgent.
    cap = timedelta(minutes=1)
    max_attempts = 720
    expires_after = timedelta(hours=6)

    def is_urgent(self, effect: Effect) -> bool:
        return effect.payload["step"] in URGENT

    def around(self, effect: Effect) -> AbstractContextManager[None]:
        return locked(provider_of(effect).lock_key, goes_first=True)

    def prepare(self, effect: Effect) -> None:
        """A later act took its place; or it waits until an earlier one is not on its way."""
        if effect.payload["number"] < submission_of(effect).acts:
            raise Unneeded(_("Something else was asked for afterwards."))
        others = open_effects(submission_of(effect)).exclude(pk=effect.pk)
        leased = others.filter(state=EffectState.LEASED, lease_until__gt=clock.now())
        if on_its_way := leased.first():
            raise Postpone(RETRY_DELAY, on_its_way)
        super().prepare(effect)

    def plan(self, effect: Effect) -> SubmissionPlan:
        return replace(super().plan(effect), share=effect.payload["share"])

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        row, act = lock_submission(effect.payload["submission"]), Act(effect.payload["step"])
        row.references = {**row.references, **result["references"]}
        row.message = row.hint = ""
        share = effect.payload["share"]
        if act in (Act.ADVANCE, Act.RESUME) and share is not None:
            row.percent = share
            row.step = sum(one <= share for one in row.shares)
        if act is Act.COMPLETE:
            row.percent, row.step = PUBLIC, len(row.shares)
        row.next_step_at = None  # the next look tells it
        row.changed_at = clock.now()  # look again soon
        set_state(row, AFTER_ACT.get(act, SubmissionState(row.state)), cause=effect.pk)
        note(row, _done_words(act, share))

    def gave_up(self, effect: Effect) -> None:
        row = lock_submission(effect.payload["submission"])
        note(row, f"{ACT_NAMES[Act(effect.payload['step'])]}: {effect.last_error}")


def _done_words(act: Act, share: float | None) -> str:
    if act is Act.ADVANCE and share is not None:
        return _("Rolled out to %(percent)s %%") % {"percent": f"{share:g}"}
    return str(DONE_WORDS[act])


ACT_NAMES = {
    Act.WITHDRAW: gettext_lazy("Withdraw"),
    Act.PUBLISH: gettext_lazy("Publish"),
    Act.ADVANCE: gettext_lazy("Next step"),
    Act.PAUSE: gettext_lazy("Pause"),
    Act.RESUME: gettext_lazy("Resume"),
    Act.HALT: gettext_lazy("Halt"),
    Act.COMPLETE: gettext_lazy("Release to everyone"),
}
DONE_WORDS = {
    Act.WITHDRAW: gettext_lazy("Withdrawn"),
    Act.PUBLISH: gettext_lazy("Published"),
    Act.ADVANCE: gettext_lazy("Rolled out to more users"),
    Act.PAUSE: gettext_lazy("Paused"),
    Act.RESUME: gettext_lazy("Resumed"),
    Act.HALT: gettext_lazy("Halted"),
    Act.COMPLETE: gettext_lazy("Released to everyone"),
}
