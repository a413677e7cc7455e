"""F1e: kills while emails are sent, to a connection's recipient and to a member."""

from __future__ import annotations

from django.conf import settings

from delivr import mail
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Membership
from delivr.tests import factories
from faults.clients import Client
from faults.outcome import Options, Outcome, judge
from faults.repository import NOT_SENT, SENT, killed_at, settled
from faults.stack import Stack
from faults.workspaces import Workspace, reset, workspaces
from integrations.providers.email.tests.post_office import PostOffice, post_office

KINDS = ("message.post", "mail.release")
TWICE = ("after_send", "before_settle_commit")  # the server has it, and delivr does not know


def crash_points(stack: Stack, options: Options) -> Outcome:
    """F1e: a worker is killed at each step of sending an email. None is lost; one whose answer was
    lost is sent once more, with the same `Message-ID`."""
    reset(stack)
    stack.stop_all("worker1", "worker2", "sweeper")
    (space,) = workspaces(stack, 1)
    space.wired.slack = factories.SlackFactory(
        tenant=space.wired.tenant,
        communication_type="EMAIL",
        token=None,
        recipients=["ada@example.com"],
    )
    outcome = Outcome()
    with post_office(settings) as office:
        for kind in KINDS:
            for point in (*NOT_SENT, *SENT):
                _kill(stack, space, office, outcome, kind, point)
    stack.restart("worker1", "worker2", "sweeper")
    judged = judge(stack, Client(stack.web_port))
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


def _kill(
    stack: Stack, space: Workspace, office: PostOffice, outcome: Outcome, kind: str, point: str
) -> None:
    effect = _email(space, kind)
    killed_at(stack, kind, point, EMAIL_URL=settings.EMAIL_URL)
    before = _sent(office, effect)
    outcome.expect(before == int(point in SENT), f"{kind} {point}: sent {before} times")
    settled(stack, EMAIL_URL=settings.EMAIL_URL)
    after = _sent(office, effect)
    outcome.figures[f"{kind} {point}"] = f"sent {before} times before the kill, {after} in all"
    outcome.expect(after == 1 + int(point in TWICE), f"{kind} {point}: sent {after} times in all")
    effect.refresh_from_db()
    outcome.expect(effect.state == EffectState.DONE, f"{kind} {point}: {effect.state}")


def _email(space: Workspace, kind: str) -> Effect:
    """The effect of this kind of a new release, which has no other."""
    is_for_member = kind == "mail.release"
    choices = {"milestones": "instant" if is_for_member else "off"}
    Membership.objects.filter(tenant=space.wired.tenant).update(mail_choices=choices)
    space.wired.release("ios", slack=not is_for_member)
    found: Effect = Effect.objects.open().get()
    if found.kind != kind:
        raise RuntimeError(f"the release has {found.kind} in place of {kind}")
    return found


def _sent(office: PostOffice, effect: Effect) -> int:
    wanted = mail.message_id(effect.pk)
    return sum(one["Message-ID"] == wanted for one in office.taken)
