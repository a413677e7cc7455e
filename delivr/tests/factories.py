"""Rows for tests: each factory sets only what a row cannot do without."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

import factory
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from django.utils import timezone
from factory.django import DjangoModelFactory

from builds.buttons.models import ButtonPress, ChatAccount, PressState
from builds.models import Build, InsightsDay, InsightsKept, TestBuild, WebhookDelivery
from delivr.effects.models import Effect
from delivr.ids import webhook_secret
from delivr.signin.sessions import KEY
from delivr.tenants.models import Membership, Role, Tenant, User
from integrations.choices import Verification
from integrations.models import (
    CommunicationIntegration,
    HealthIntegration,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
    TicketIntegration,
)
from releases.models import (
    Change,
    ChangeTicket,
    Release,
    ReleaseCommunication,
    ReleasePipeline,
    ReleaseSettings,
    ReleaseTarget,
    RepositoryPart,
    TicketPart,
)
from submissions.models import (
    HealthReading,
    HealthWatch,
    Preflight,
    RolloutRule,
    Submission,
    SubmissionEvent,
)

PASSWORD = "correct-horse-battery-staple"


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    password = factory.django.Password(PASSWORD)


def give_second_factor(user: User) -> str:
    """Set up an authenticator app for the user; returns its secret."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret


def give_recovery_codes(user: User) -> None:
    RecoveryCodes.activate(user)


def sign_in(client: Client, user: User) -> Client:
    """The client, signed in as the user, with a session that was just used, as most are."""
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session[KEY] = int(time.time())
    session.save()
    return client


class TenantFactory(DjangoModelFactory):
    class Meta:
        model = Tenant

    name = factory.Sequence(lambda n: f"Workspace {n}")


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    tenant = factory.SubFactory(TenantFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.MEMBER


class ConnectionFactory(DjangoModelFactory):
    """A verified connection; pass `tenant=` to connect rows."""

    class Meta:
        abstract = True

    tenant = factory.SubFactory(TenantFactory)
    verification_status = Verification.VALID
    last_verified_at = factory.LazyFunction(timezone.now)

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
        row = model_class(*args, **kwargs)
        if not row.pk:
            from delivr.ids import new_id

            row.pk = new_id(row.id_prefix)
        row.save(force_insert=True)
        return row


class ScmFactory(ConnectionFactory):
    class Meta:
        model = ScmIntegration

    scm_type = "GITHUB"
    repository_url = "https://github.com/dream11/app"
    access_token = "ghp_factory_token"


class AppStoreFactory(ConnectionFactory):
    class Meta:
        model = TargetIntegration

    target_type = "APP_STORE"
    app_identifier = "com.dream11.app"
    issuer_id = "57246542-96fe-1a63-e053-0824d011072a"
    key_id = "2X9R4HXF34"
    credentials = "factory p8"


class PlayStoreFactory(ConnectionFactory):
    class Meta:
        model = TargetIntegration

    target_type = "PLAY_STORE"
    app_identifier = "com.dream11.app"
    credentials = "{}"


class PipelineFactory(ConnectionFactory):
    class Meta:
        model = PipelineIntegration

    pipeline_type = "JENKINS"
    scm = factory.SubFactory(ScmFactory, tenant=factory.SelfAttribute("..tenant"))
    target = factory.SubFactory(AppStoreFactory, tenant=factory.SelfAttribute("..tenant"))
    server_url = "http://127.0.0.1:1/jenkins"
    username = "delivr"
    api_token = "factory jenkins token"
    job = "/job/ios-prod"
    webhook_secret = "whsec_" + "ZmFjdG9yeS1zZWNyZXQtZmFjdG9yeS1zZWNyZXQtMTI="


class SlackFactory(ConnectionFactory):
    class Meta:
        model = CommunicationIntegration

    communication_type = "SLACK"
    token = "xoxb-factory-token"
    recipients = factory.LazyFunction(lambda: ["C123"])


class EndpointFactory(ConnectionFactory):
    class Meta:
        model = CommunicationIntegration

    communication_type = "WEBHOOK"
    options = factory.LazyFunction(lambda: {"url": "http://127.0.0.1:1/events"})
    token = factory.LazyFunction(webhook_secret)


class JiraFactory(ConnectionFactory):
    class Meta:
        model = TicketIntegration

    ticket_type = "JIRA"
    server_url = "http://127.0.0.1:1/jira"
    username = "delivr@example.com"
    api_token = "factory jira token"
    project = "MOBILE"


class SentryFactory(ConnectionFactory):
    class Meta:
        model = HealthIntegration

    health_type = "SENTRY"
    server_url = "http://127.0.0.1:1/sentry"
    api_token = "factory sentry token"
    organization = "dream11"
    project = "mobile-app"


class PlayVitalsFactory(ConnectionFactory):
    class Meta:
        model = HealthIntegration

    health_type = "PLAY_VITALS"
    target = factory.SubFactory(PlayStoreFactory, tenant=factory.SelfAttribute("..tenant"))


class ReleaseFactory(DjangoModelFactory):
    class Meta:
        model = Release
        skip_postgeneration_save = True

    tenant = factory.SubFactory(TenantFactory)
    version = factory.Sequence(lambda n: f"1.{n}.0")
    branch = factory.LazyAttribute(lambda release: f"release/{release.version}")
    scm = factory.SubFactory(ScmFactory, tenant=factory.SelfAttribute("..tenant"))

    @factory.post_generation
    def communication(release: Release, create: bool, chosen: Any, **kwargs: Any) -> None:
        if chosen is not None:
            ReleaseCommunication.objects.create(
                tenant=release.tenant, release=release, communication=chosen
            )


def fill_buttons(slack: Any, build: Any, user: Any) -> None:
    """A press below the message about the build, and the user's account in the chat."""
    common = {"tenant": slack.tenant, "team": "T1"}
    ButtonPress.objects.create(
        **common,
        communication=slack,
        envelope="e",
        user="U1",
        channel="C123",
        action="trigger_again",
        value=build.pk,
        state=PressState.DONE,
    )
    ChatAccount.objects.create(**common, chat_user="U1", user=user)
    ButtonPress.objects.create(
        **common,
        communication=slack,
        envelope="of a stranger",
        user="U9",
        channel="C123",
        action="trigger_again",
        value=build.pk,
        state=PressState.REFUSED,
    )


def fill_stores(part: ReleaseTarget, user: Any) -> Submission:
    """A submission of a release's target that the store does not have yet, and a pre-flight."""
    common = {"tenant": part.tenant, "release_target": part}
    Preflight.objects.create(**common)
    submission = Submission.objects.create(
        **common,
        release=part.release,
        target=part.target,
        store_build="7",
        created_by=user,
    )
    SubmissionEvent.objects.create(
        tenant=part.tenant, submission=submission, state=submission.state, what="Begun"
    )
    return submission


def fill_health(submission: Submission, source: HealthIntegration) -> None:
    """A rule of a submission, with what its source said."""
    about = {"tenant": submission.tenant, "submission": submission, "source": source}
    figure = {"metric": "crash_free_sessions", "value": 99.5, "sample": 1000}
    now = timezone.now()
    RolloutRule.objects.create(**about, metric="crash_free_sessions", threshold=99, action="HALT")
    HealthReading.objects.create(**about, **figure, until=now)
    HealthWatch.objects.create(**about, figures=[{**figure, "until": now.isoformat()}])


def fill_insights(tenant: Tenant) -> None:
    """One day, long ago, whose figures are kept."""
    day = date(2020, 1, 1)
    InsightsKept.objects.create(tenant=tenant, until=day)
    InsightsDay.objects.create(tenant=tenant, day=day, tally={"counts": {"builds": 1}})


def fill_repository(release: Release) -> None:
    """What a release does in its repository, with one change; and the workspace's settings."""
    ReleaseSettings.objects.create(tenant=release.tenant)
    RepositoryPart.objects.create(
        tenant=release.tenant, release=release, makes_tag=True, since="6.9.0", total=1, listed=1
    )
    TicketPart.objects.create(tenant=release.tenant, release=release)
    change = Change.objects.create(
        tenant=release.tenant,
        release=release,
        position=1,
        sha="a" * 40,
        title="A change",
        url="https://github.com/dream11/app/commit/a",
        pull_number=1,
        tickets=["MOBILE-1"],
    )
    ChangeTicket.objects.create(tenant=release.tenant, change=change, key="MOBILE-1")


class ReleaseTargetFactory(DjangoModelFactory):
    class Meta:
        model = ReleaseTarget

    tenant = factory.SelfAttribute("release.tenant")
    release = factory.SubFactory(ReleaseFactory)
    target = factory.SubFactory(AppStoreFactory, tenant=factory.SelfAttribute("..tenant"))
    store = factory.SelfAttribute("target.target_type")
    app_identifier = factory.SelfAttribute("target.app_identifier")


class ReleasePipelineFactory(DjangoModelFactory):
    class Meta:
        model = ReleasePipeline

    tenant = factory.SelfAttribute("release.tenant")
    release = factory.SubFactory(ReleaseFactory)
    pipeline = factory.SubFactory(
        PipelineFactory,
        tenant=factory.SelfAttribute("..tenant"),
        scm=factory.SelfAttribute("..release.scm"),
    )
    platform = "IOS"
    job_path = "/job/ios-prod"


class BuildFactory(DjangoModelFactory):
    class Meta:
        model = Build

    tenant = factory.SelfAttribute("release_pipeline.tenant")
    release_pipeline = factory.SubFactory(ReleasePipelineFactory)
    attempt = factory.Sequence(lambda n: n + 1)


class TestBuildFactory(DjangoModelFactory):
    class Meta:
        model = TestBuild

    tenant = factory.SelfAttribute("pipeline.tenant")
    pipeline = factory.SubFactory(PipelineFactory)
    job_path = "/job/ios-prod"


class EffectFactory(DjangoModelFactory):
    class Meta:
        model = Effect

    tenant = factory.SubFactory(TenantFactory)
    kind = "message.post"
    integration_id = "comm_slack_factory"
    dedupe_key = factory.Sequence(lambda n: f"factory:{n}")
    payload = factory.LazyFunction(
        lambda: {"channel": "C123", "notice": "release_created", "words": {}}
    )
    next_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=1))


class DeliveryFactory(DjangoModelFactory):
    class Meta:
        model = WebhookDelivery

    tenant = factory.SelfAttribute("pipeline.tenant")
    pipeline = factory.SubFactory(PipelineFactory)
    dedupe_key = factory.Sequence(lambda n: f"factory:{n}")
    trust = "SIGNED"
    body = b"{}"
