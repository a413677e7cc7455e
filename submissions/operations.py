"""Submit a target of a release, and act on a submission."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects.models import Effect
from delivr.effects.operations import cancel_effect
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.providers.stores import Act, SubmissionState
from releases.models import Release, ReleaseStatus, ReleaseTarget
from releases.operations import lock_release
from submissions.effects import PREFLIGHT, URGENT, create_act, create_step, open_effects
from submissions.health.wishes import rules_from
from submissions.models import RolloutRule, Submission, store_of
from submissions.plans import Errors, Wishes, draft, errors_in, is_built, takes_submissions
from submissions.states import lock_submission, note, set_state


@transaction.atomic
def submit(
    *,
    release: Release,
    actor: User | None,
    target_id: str,
    wishes: Wishes,
    known_errors: Errors | None = None,
) -> Submission:
    """Submit one target; the first effect looks once more at what stands in the way.

    Raises ValidationError under the names of `Wishes` and `target_id`, and Conflict:
    `builds_not_complete`, `already_submitted`, `release_cancelled` or `already_released`.
    """
    release = lock_release(release.pk)
    _refuse_over(release)
    rows = release.targets.select_related("target", "release")
    part = rows.filter(target=target_id).prefetch_related("release__pipelines__pipeline").first()
    if part is None:
        words = [_("This release has no such target.")]
        raise ValidationError({"target_id": words, **(known_errors or {})})
    row = draft(part, wishes)
    if errors := {**errors_in(wishes, row), **(known_errors or {})}:
        raise ValidationError(errors)
    _refuse_unready(part)
    _replace_earlier(part)
    row.created_by = actor
    row.save(force_insert=True)
    _keep_rules(row, wishes)
    target = part.target.pk
    record(
        actor=actor, action="submission.created", subject=row, changes={"target": [None, target]}
    )
    create_step(row, PREFLIGHT)
    return row


def _keep_rules(row: Submission, wishes: Wishes) -> None:
    rules = rules_from(row.tenant_id, wishes.rollout_rules)
    for rule in rules:
        rule.submission = row
    RolloutRule.objects.bulk_create(rules)


def _refuse_over(release: Release) -> None:
    if release.status == ReleaseStatus.CANCELLED:
        raise Conflict("release_cancelled", _("This release was cancelled."))
    if not takes_submissions(release):
        raise Conflict("already_released", _("This release has been released."))


def _refuse_unready(part: ReleaseTarget) -> None:
    if part.target.disconnected_at is not None:
        words = _("%(name)s was disconnected. Connect the app again.") % {"name": part.target}
        raise Conflict("disconnected", words)
    if not is_built(part):
        words = _("The builds for %(name)s are not complete.") % {"name": part.target}
        raise Conflict("builds_not_complete", words)


def _replace_earlier(part: ReleaseTarget) -> None:
    """The one before is only kept for the record. Raises Conflict if the store still has it."""
    before = part.submissions.select_for_update().filter(is_current=True).first()
    if before is None:
        return
    if not before.may_be_followed:
        words = _("%(name)s was already submitted. Withdraw that first.") % {"name": part.target}
        raise Conflict("already_submitted", words)
    before.is_current, before.read_at = False, None
    before.save(update_fields=["is_current", "read_at"])


@transaction.atomic
def act_on(
    *, submission: Submission, act: Act, actor: User | None, seen: int | None = None
) -> Submission:
    """Have the store withdraw, publish, advance, pause, resume, halt or complete it.

    `seen` is the number of acts that the person knew of: a second click on "next step" is not
    another step, however fast the first one was done.

    A halt and a pause take the place of an act that is not done yet. Raises Conflict:
    `not_possible` with the reason, `changed_meanwhile`, or `in_progress` while an earlier step or
    act is still on its way.
    """
    row = lock_submission(submission.pk)
    if seen not in (None, row.acts) and act not in URGENT:
        words = _("Something else was asked for since this page was shown. See how it stands now.")
        raise Conflict("changed_meanwhile", words)
    if reason := refusal_of(row, act):
        raise Conflict("not_possible", reason)
    if act is Act.WITHDRAW and row.submitted_at is None:
        return _give_up(row, actor)
    earlier = list(open_effects(row))
    if must_wait(act, earlier):
        raise Conflict("in_progress", _("An earlier step is still in progress."))
    row.acts += 1
    row.save(update_fields=["acts"])
    _cancel_unsent(earlier, actor)
    record(actor=actor, action="submission.acted", subject=row, changes={"act": [None, act.value]})
    create_act(row, act, share=share_after(row, act))
    return row


def must_wait(act: Act, earlier: Iterable[Effect]) -> bool:
    """Whether it has to wait for these: nothing holds up a halt but another one."""
    return any(act not in URGENT or effect.payload["step"] in URGENT for effect in earlier)


def _cancel_unsent(earlier: Iterable[Effect], actor: User | None) -> None:
    """The others end by themselves: they find that something else was asked for."""
    for effect in earlier:
        with contextlib.suppress(ValidationError):
            cancel_effect(effect=effect, actor=actor)


def refusal_of(row: Submission, act: Act) -> str:
    """Why an act is not possible now, in words; "" if it is."""
    if row.ended_at is not None or not row.is_current:
        return _("This submission has ended.")
    if row.submitted_at is None:
        if act is Act.WITHDRAW:
            return ""
        return _("The store does not have it yet.")
    return store_of(row.target).refusal(act, row.plan, row.seen)


def share_after(row: Submission, act: Act) -> float | None:
    """The share of the users that the act leads to; None for all, or where the store decides."""
    shares = [float(share) for share in row.shares]
    if act is Act.ADVANCE:
        rest = [share for share in shares if share > (row.percent or 0)]
        return rest[0] if rest and rest[0] < 100 else None
    if act is Act.RESUME and store_of(row.target).picks_shares:
        return row.percent if row.percent is not None and row.percent < 100 else None
    return None


def _give_up(row: Submission, actor: User | None) -> Submission:
    """Nothing was submitted: only end it here, and whatever is on its way."""
    for effect in open_effects(row):
        try:
            cancel_effect(effect=effect, actor=actor)
        except ValidationError:
            words = _("A step is being sent to the store right now. Try again in a minute.")
            raise Conflict("in_progress", words) from None
    row = lock_submission(row.pk)
    record(
        actor=actor,
        action="submission.acted",
        subject=row,
        changes={"act": [None, Act.WITHDRAW.value]},
    )
    set_state(row, SubmissionState.WITHDRAWN, cause=row.pk)
    note(row, _("Given up before it was submitted"))
    return row
