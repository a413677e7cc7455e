"""Concurrency on a real PostgreSQL: an owner remains, an invitation is used once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from delivr.failures import Conflict
from delivr.tenants.inviting import accept, accept_as_new_user, invite
from delivr.tenants.membership import change_role, leave, remove_member
from delivr.tenants.models import Invitation, Membership, Role, User
from delivr.tests import factories

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

ROUNDS = 20


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """What each job returned or raised; they start together, each on its own connection."""
    gate = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = jobs[number]()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def two_owners() -> tuple[Membership, Membership]:
    one = factories.MembershipFactory(role=Role.OWNER)
    return one, factories.MembershipFactory(tenant=one.tenant, role=Role.OWNER)


@pytest.mark.parametrize("act", ["demote", "remove", "leave"])
def test_two_owners_removing_each_other_leave_one(act: str) -> None:
    for _ in range(ROUNDS):
        a, b = two_owners()
        doing: dict[str, Callable[[Membership, Membership], Any]] = {
            "demote": lambda me, other: change_role(membership=other, role="VIEWER", actor=me.user),
            "remove": lambda me, other: remove_member(membership=other, actor=me.user),
            "leave": lambda me, _other: leave(membership=me),
        }
        results = at_once(lambda: doing[act](a, b), lambda: doing[act](b, a))  # noqa: B023
        owners = Membership.objects.filter(tenant=a.tenant, role=Role.OWNER)
        assert owners.count() == 1
        refused = [r for r in results if isinstance(r, Exception)]
        assert len(refused) == 1
        assert isinstance(refused[0], Conflict | PermissionDenied)


def open_invitation(email: str) -> Invitation:
    owner = factories.MembershipFactory(role=Role.OWNER)
    made = invite(tenant=owner.tenant, email=email, role="MEMBER", actor=owner.user)
    Invitation.objects.filter(pk=made.pk).update(digest="d" * 63 + email[0])
    return made


def test_two_clicks_on_one_invitation_add_one_member() -> None:
    user = factories.UserFactory()
    invitation = open_invitation(user.email)
    results = at_once(*[lambda: accept(invitation=invitation, user=user)] * 4)
    assert sum(isinstance(r, Membership) for r in results) == 1
    assert sum(isinstance(r, Conflict) for r in results) == 3
    assert Membership.objects.filter(user=user).count() == 1


def test_two_sign_ups_with_one_invitation_create_one_account() -> None:
    invitation = open_invitation("ada@example.com")
    results = at_once(
        *[lambda: accept_as_new_user(invitation=invitation, password="correct-horse")] * 4
    )
    assert sum(isinstance(r, User) for r in results) == 1
    assert sum(isinstance(r, Conflict) for r in results) == 3
    assert User.objects.filter(email="ada@example.com").count() == 1


def test_one_address_is_invited_once() -> None:
    owner = factories.MembershipFactory(role=Role.OWNER)
    results = at_once(
        *[
            lambda: invite(
                tenant=owner.tenant, email="ada@example.com", role="VIEWER", actor=owner.user
            )
        ]
        * 4
    )
    assert sum(isinstance(r, Invitation) for r in results) == 1
    assert Invitation.objects.count() == 1
