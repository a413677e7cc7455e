"""Mails to owners about refused credentials: once a day per connection, while it still applies."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.failures import Outcome, ProviderError
from delivr.tenants.models import Membership
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.providers.base import Check
from integrations.verification import Findings, store_findings

pytestmark = pytest.mark.django_db
REFUSED = ProviderError("bad_credentials", "Jenkins refused it.", "", outcome=Outcome.CREDENTIALS)


@pytest.fixture
def pipeline(tenant: Any, owner: Any) -> Any:
    factories.MembershipFactory(tenant=tenant, role="MEMBER")
    return factories.PipelineFactory(tenant=tenant)


def refuse(pipeline: Any) -> None:
    type(pipeline).objects.filter(pk=pipeline.pk).update(verification_status="VALID")
    store_findings(fresh(pipeline), Findings(checks=[Check.from_error("x", REFUSED)]), actor=None)


def mails() -> list[Effect]:
    return list(Effect.objects.filter(kind="mail.refused"))


def test_each_owner_gets_one_mail_a_day_and_members_none(
    pipeline: Any, owner: Any, mailoutbox: Any
) -> None:
    refuse(pipeline)
    refuse(pipeline)
    (effect,) = mails()
    run_effect(effect.pk)
    (sent,) = mailoutbox
    assert sent.to == [owner.email]
    assert str(pipeline) in sent.subject
    assert "Jenkins refused it." in sent.body
    assert "/integrations" in sent.body
    assert Effect.objects.get(pk=effect.pk).state == EffectState.DONE


def test_no_mail_goes_out_once_the_connection_works_again(pipeline: Any, mailoutbox: Any) -> None:
    refuse(pipeline)
    type(pipeline).objects.update(verification_status="VALID")
    (effect,) = mails()
    run_effect(effect.pk)
    assert (mailoutbox, Effect.objects.get(pk=effect.pk).state) == ([], EffectState.CANCELLED)


def test_no_mail_is_sent_to_former_owners(pipeline: Any, mailoutbox: Any) -> None:
    refuse(pipeline)
    Membership.objects.update(role="VIEWER")
    (effect,) = mails()
    run_effect(effect.pk)
    assert (mailoutbox, Effect.objects.get(pk=effect.pk).state) == ([], EffectState.CANCELLED)
