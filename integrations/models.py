"""A tenant's connections: one table per family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Value
from django.utils import timezone
from django.utils.functional import classproperty
from django.utils.translation import gettext_lazy as _

from delivr.encryption.fields import SecretTextField, secret_fields
from delivr.ids import ID_LENGTH, PrefixedIdField
from delivr.tenants.models import Tenant, TenantOwned, TenantQuerySet, unique_per_tenant
from integrations.checks import CheckState, shown
from integrations.choices import (
    PLATFORM_OF,
    CommunicationType,
    HealthType,
    PipelineType,
    Platform,
    Preset,
    ScmType,
    Silence,
    TargetType,
    TicketType,
    Verification,
)
from integrations.providers.fields import ConnectionField
from integrations.providers.registry import ProviderKey, fields_of, provider_class, slug_of


class ConnectionQuerySet(TenantQuerySet):
    def for_tenant(self, tenant: Tenant | str) -> Self:
        """The tenant's connections without disconnected ones, which are kept for old releases."""
        return super().for_tenant(tenant).filter(disconnected_at=None)

    def valid(self) -> Self:
        return self.filter(verification_status=Verification.VALID)


class Connection(TenantOwned):
    """A connected account of an external system; its credentials are `SecretTextField`s."""

    family: ClassVar[str]  # as in the API's paths
    prefix: ClassVar[str]  # of its ids
    type_field: ClassVar[str]  # the field that names the provider

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, editable=False)
    display_name = models.CharField(_("name"), max_length=80, blank=True)
    verification_status = models.CharField(
        max_length=10, choices=Verification.choices, default=Verification.PENDING, editable=False
    )
    verification_error = models.CharField(max_length=500, blank=True, editable=False)
    checks = models.JSONField(default=list, blank=True, editable=False)
    last_verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    verify_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Since when scheduled verifications fail while the connection still counts as valid.
    doubted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Data of this kind only: fields without a column, by name, and what a verification learned
    # about the server.
    options = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False
    )
    # The owner of the credential, according to the provider.
    # Also a default of the database: an older version writes rows while this one starts.
    account = models.CharField(
        max_length=120, blank=True, default="", db_default="", editable=False
    )
    credential_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    credential_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    disconnected_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # Incremented by each change, so that stale reads are noticed independently of clocks.
    revision = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[Any] = ConnectionQuerySet.as_manager()

    expiry = ""  # set by pages: when the credential expires, in words

    class Meta:
        abstract = True
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name that a person gave it, or else one that follows from its fields."""
        return self.display_name or self.derived_name

    @property
    def derived_name(self) -> str:
        return self.summary

    @property
    def kind(self) -> str:
        """The provider's choice, as in `integrations.choices`."""
        return str(getattr(self, self.type_field))

    @property
    def provider_key(self) -> ProviderKey:
        return self.family, self.kind

    @property
    def provider_class(self) -> Any:
        return provider_class(self.provider_key)

    @property
    def slug(self) -> str:
        """The name of its provider's logo and help pages."""
        return slug_of(self.provider_key)

    @property
    def kind_label(self) -> str:
        label: str = getattr(self, f"get_{self.type_field}_display")()
        return label

    @property
    def id_prefix(self) -> str:
        """The part before the first _ is the family, the rest is the kind."""
        return f"{self.prefix}_{self.kind.replace('_', '').lower()}"

    @classmethod
    def owns(cls, connection_id: str) -> bool:
        """True if the id's prefix belongs to this family."""
        return _BY_PREFIX.get(connection_id.split("_")[0]) is cls

    @property
    def summary(self) -> str:
        """What it points to, in a few words."""
        raise NotImplementedError(type(self).__name__)

    @property
    def is_valid(self) -> bool:
        return self.verification_status == Verification.VALID

    def is_same_as(self, read: Connection) -> bool:
        """True unless it was changed since `read` was read; an older version of delivr only sets
        the time of a change."""
        return (self.revision, self.updated_at) == (read.revision, read.updated_at)

    @property
    def is_unreadable(self) -> bool:
        """True if one of its secrets cannot be decrypted with any key."""
        secrets = [getattr(self, field.attname) for field in secret_fields(type(self))]
        return any(secret is not None and secret.key is None for secret in secrets)

    # --- Fields, as the provider names them -------------------------------------------------------

    def value_of(self, name: str) -> Any:
        """The field's value; of a reference its id."""
        if field := self._fields.get(name):
            return field.read(self)
        column: Any = self._meta.get_field(name)
        return getattr(self, column.attname)

    def set_value(self, name: str, value: Any) -> None:
        if field := self._fields.get(name):
            field.write(self, value)
        else:
            setattr(self, name, value)

    @property
    def field_values(self) -> dict[str, Any]:
        return {name: field.read(self) for name, field in self._fields.items()}

    def name_of(self, column: str) -> str:
        """The name of the provider's field in a column, or else the column's own name."""
        return next((f.name for f in self._fields.values() if f.column == column), column)

    @classproperty
    def bound_by(cls) -> str:
        return cls.type_field

    def bound_name(self, column: str) -> str:
        """The name to which ciphertexts are bound, so that one provider's secret cannot be
        decrypted as another's."""
        return self.name_of(column)

    @property
    def _fields(self) -> dict[str, ConnectionField]:
        return {field.name: field for field in fields_of(self.provider_key)}

    def discovered_values(self, checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Values that a verification found besides its result, by column; they outlive the
        checks."""
        names = self.provider_class.discovered
        found = {c["name"]: c["message"] for c in checks if c["ok"] and c["name"] in names}
        return {"options": {**self.options, **found}} if found else {}

    def forget_discovered(self) -> None:
        """Drop what was learned about the server, because its address changes."""
        names = self.provider_class.discovered
        self.options = {n: value for n, value in self.options.items() if n not in names}

    @property
    def shown_checks(self) -> list[dict[str, Any]]:
        return [shown(self.provider_key, check) for check in self.checks]

    @property
    def untested(self) -> int:
        return sum(check["state"] == CheckState.NOT_TESTABLE for check in self.shown_checks)

    @property
    def passed(self) -> int:
        return sum(check["state"] == CheckState.PASSED for check in self.shown_checks)

    @property
    def failures(self) -> list[dict[str, Any]]:
        return [c for c in self.checks if not c["ok"] and c["level"] == "ERROR"]

    @property
    def has_moved(self) -> bool:
        """The last verification found that it has another address now."""
        code = self.provider_class.moved_code
        return bool(code) and any(check["code"] == code for check in self.failures)

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return [c for c in self.checks if not c["ok"] and c["level"] == "WARNING"]


class ScmIntegration(Connection):
    family, prefix, type_field = "scm", "scm", "scm_type"

    scm_type = models.CharField(max_length=20, choices=ScmType.offered)
    repository_url = models.CharField(_("repository"), max_length=300)
    access_token = SecretTextField(_("access token"))
    private_key = SecretTextField(_("private key"))
    # A token that the private key was exchanged for, and what its provider notes about it.
    session_token = SecretTextField()
    session = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False
    )

    class Meta(Connection.Meta):
        db_table = "tenant_scm_integrations"
        constraints: ClassVar = [unique_per_tenant("scm")]

    @property
    def summary(self) -> str:
        return self.repository_url.split("://")[-1]

    def keep_session(self, token: str, about: dict[str, str]) -> None:
        """Keep it for the next call, unless the connection is a draft or was removed meanwhile. It
        is no change of the connection."""
        if self._state.adding:
            return
        self.session_token, self.session = token, about
        rows = ScmIntegration.objects.for_tenant(self.tenant_id).filter(pk=self.pk)
        rows.update(session_token=self.session_token, session=about)


class TargetIntegration(Connection):
    family, prefix, type_field = "targets", "target", "target_type"

    target_type = models.CharField(max_length=20, choices=TargetType.offered)
    app_identifier = models.CharField(_("app identifier"), max_length=255)
    issuer_id = models.CharField(_("issuer id"), max_length=64, blank=True)
    key_id = models.CharField(_("key id"), max_length=32, blank=True)
    credentials = SecretTextField(_("credentials"))

    class Meta(Connection.Meta):
        db_table = "tenant_target_integrations"
        constraints: ClassVar = [unique_per_tenant("target")]

    @property
    def summary(self) -> str:
        return f"{self.kind_label} · {self.app_identifier}"

    @property
    def platform(self) -> Platform:
        return PLATFORM_OF[TargetType(self.target_type)]

    @property
    def console(self) -> str:
        """What the store calls the site where people manage the app."""
        provider: Any = self.provider_class
        return str(provider.console)

    @property
    def console_url(self) -> str:
        """The app's page on that site."""
        provider: Any = self.provider_class
        return str(provider.console_page(self.options))

    @property
    def webhook_url(self) -> str:
        """Where its store sends notifications; "" if it has none."""
        provider: Any = self.provider_class
        sender = provider.notifies_as
        return f"{settings.BASE_URL}/api/v1/webhooks/{sender}/{self.pk}" if sender else ""


# By the part of a target's id that names its kind
_PLATFORM_OF_ID = {
    str(kind).replace("_", "").lower(): platform for kind, platform in PLATFORM_OF.items()
}


class PipelineIntegration(Connection):
    family, prefix, type_field = "pipelines", "pipeline", "pipeline_type"

    pipeline_type = models.CharField(max_length=20, choices=PipelineType.offered)
    scm = models.ForeignKey(ScmIntegration, on_delete=models.PROTECT, related_name="pipelines")
    target = models.ForeignKey(
        TargetIntegration, on_delete=models.PROTECT, related_name="pipelines"
    )
    server_url = models.CharField(_("address"), max_length=300, blank=True)
    username = models.CharField(_("user"), max_length=120, blank=True)
    api_token = SecretTextField(_("API token"))
    job = models.CharField(_("job"), max_length=300, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    webhook_secret = SecretTextField()
    previous_webhook_secret = SecretTextField()
    previous_webhook_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    # True from the creation on a page until the secret is shown, after the first good verification.
    is_secret_unseen = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta(Connection.Meta):
        db_table = "tenant_pipeline_integrations"
        constraints: ClassVar = [unique_per_tenant("pipeline")]

    @property
    def summary(self) -> str:
        host = self.server_url.split("://")[-1]
        return (
            f"{host}{self.job}" if host else " · ".join(filter(None, [self.kind_label, self.job]))
        )

    @property
    def home(self) -> str | None:
        """The address of its CI server's pages; None if they may be anywhere."""
        ci: Any = self.provider_class
        address: str | None = ci.home_of(self)
        return address

    @property
    def webhook_url(self) -> str:
        """Where its CI server sends its webhooks."""
        ci: Any = self.provider_class
        return f"{settings.BASE_URL}/api/v1/webhooks/{ci.sender}/{self.pk}"

    def on_same_server(self) -> models.QuerySet[PipelineIntegration]:
        """This one and the workspace's others, also removed ones, whose builds the same server
        counts: their ids and, for one job, their numbers are of one space."""
        rows: models.QuerySet[PipelineIntegration] = PipelineIntegration.objects.filter(
            tenant=self.tenant_id, pipeline_type=self.pipeline_type, server_url=self.server_url
        )
        ci: Any = self.provider_class
        if ci.scm_kinds:  # the server is that of the repository
            rows = rows.filter(scm__repository_url=self.scm.repository_url)
        return rows

    @property
    def can_cancel(self) -> bool:
        """True if its CI server can be told to stop a build."""
        ci: Any = self.provider_class
        return bool(ci.can_cancel)

    @property
    def has_log(self) -> bool:
        """True if its CI server passes logs on."""
        ci: Any = self.provider_class
        return bool(ci.has_log)

    @property
    def lists_builds(self) -> bool:
        """True if its CI server can be asked for builds that delivr did not start."""
        ci: Any = self.provider_class
        return bool(ci.lists_builds)

    @property
    def silence(self) -> timedelta | None:
        """After how long without a report a build is lost; None if its CI server is polled."""
        ci: Any = self.provider_class
        limit: timedelta | None = ci.report_timeout(self)
        return limit

    @property
    def derived_name(self) -> str:
        """Platform and job: the address is long and alike for all jobs of one server."""
        provider: Any = self.provider_class
        job = provider.job_name(self.field_values)
        return f"{self.platform.label} · {job}" if job else self.summary

    @property
    def platform(self) -> Platform:
        """Read off the target's id, which names its kind: lists need no join for it."""
        _family, _mark, rest = self.target_id.partition("_")
        return _PLATFORM_OF_ID.get(rest.split("_")[0]) or self.target.platform


class EarlierWebhookSecret(TenantOwned):
    """A webhook secret that was replaced at least twice and is still valid."""

    id = PrefixedIdField(prefix="whs")
    pipeline = models.ForeignKey(
        PipelineIntegration, on_delete=models.CASCADE, related_name="earlier_secrets"
    )
    secret = SecretTextField()
    until = models.DateTimeField()

    class Meta:
        db_table = "webhook_secrets"
        ordering: ClassVar = ["-until", "id"]
        constraints: ClassVar = [unique_per_tenant("webhook_secret")]
        indexes: ClassVar = [models.Index(fields=["until"], name="webhook_secret_ends")]

    def __str__(self) -> str:
        return f"a secret of {self.pipeline}"


class StoreWebhookSecret(TenantOwned):
    """A secret with which a store signs its notifications about a target: the newest one, whose
    `until` is empty, or one that was replaced and still works until then."""

    id = PrefixedIdField(prefix="sws")
    target = models.ForeignKey(
        TargetIntegration, on_delete=models.CASCADE, related_name="webhook_secrets"
    )
    secret = SecretTextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    until = models.DateTimeField(null=True, blank=True)
    # The last notification that was signed with it.
    heard_at = models.DateTimeField(null=True, blank=True)
    heard_event = models.CharField(max_length=80, blank=True)

    class Meta:
        db_table = "store_webhook_secrets"
        ordering: ClassVar = ["-created_at", "id"]
        constraints: ClassVar = [
            unique_per_tenant("store_webhook_secret"),
            models.UniqueConstraint(
                fields=["target"],
                condition=models.Q(until__isnull=True),
                name="store_webhook_newest_once",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["until"], name="store_webhook_secret_ends")]

    def __str__(self) -> str:
        return f"a secret of {self.target}"


SILENT = "silent"  # the option with the recipients to which nothing is sent


class CommunicationIntegration(Connection):
    family, prefix, type_field = "communication", "comm", "communication_type"

    communication_type = models.CharField(max_length=20, choices=CommunicationType.offered)
    token = SecretTextField(_("token"))
    app_token = SecretTextField(_("app token"))
    # The signing secret of an endpoint that was replaced, which still signs for a while.
    previous_token = SecretTextField()
    previous_token_until = models.DateTimeField(null=True, blank=True, editable=False)
    recipients = models.JSONField(_("channels"), default=list, blank=True)
    # Which messages go where: a preset, and by channel and event what differs from it.
    preset = models.CharField(
        max_length=10, choices=Preset.choices, default=Preset.NORMAL, db_default=Preset.NORMAL
    )
    rules = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False
    )
    # Names by id, as last seen; null if an older version wrote the row.
    recipient_names = models.JSONField(default=dict, null=True, blank=True, editable=False)

    class Meta(Connection.Meta):
        db_table = "tenant_communication_integrations"
        constraints: ClassVar = [unique_per_tenant("communication")]

    @property
    def channels(self) -> list[str]:
        """Where messages are posted: the chosen recipients, or the only place that there is."""
        silent = self.silent
        return [one for one in self._chosen if one not in silent]

    @property
    def _chosen(self) -> list[str]:
        only: str = self.provider_class.only_channel
        return [only] if only else list(self.recipients)

    @property
    def silent(self) -> dict[str, dict[str, str]]:
        """The recipients to which nothing is sent, with why and since when: see
        `integrations.recipients`, which writes them. Upper and lower case do not matter."""
        known = {one.lower(): about for one, about in self.options.get(SILENT, {}).items()}
        return {one: known[one.lower()] for one in self._chosen if one.lower() in known}

    @property
    def silent_recipients(self) -> list[dict[str, str]]:
        """The same for the API."""
        return [
            {"recipient": one, "reason": why["why"], "message": why["words"], "since": why["at"]}
            for one, why in self.silent.items()
        ]

    def set_value(self, name: str, value: Any) -> None:
        """That a removed recipient was refused is forgotten, but not that it unsubscribed."""
        super().set_value(name, value)
        if known := self.options.get(SILENT):
            left = self.silent
            chosen = {one.lower() for one in left}
            kept = {
                one: about
                for one, about in known.items()
                if one.lower() in chosen or about["why"] == Silence.UNSUBSCRIBED
            }
            self.options = {**self.options, SILENT: kept}

    @property
    def summary(self) -> str:
        return f"{self.kind_label} · {', '.join(map(self.channel_name, self._chosen))}"

    @property
    def is_endpoint(self) -> bool:
        """True if a program receives its messages: see `ChatProvider.is_endpoint`."""
        return bool(self.provider_class.is_endpoint)

    @property
    def turned_off(self) -> str:
        """Why an endpoint is sent nothing more, in words; "" if it is on."""
        return str(self.options.get("turned_off", ""))

    @property
    def called(self) -> str:
        """What it is called beside its channels: the name that a person gave it, or its kind."""
        return self.display_name or self.kind_label

    def rule_of(self, channel: str, event: str) -> str:
        """The rule that was set for the event in this channel; "" if the preset's applies."""
        if not self.provider_class.wants(self.options, event):
            return "off"
        return str(self.rules.get(channel, {}).get(event, ""))

    def channel_name(self, channel: str) -> str:
        """`#releases` as last seen by a verification, or else the id."""
        if self.provider_class.only_channel:
            return self.provider_class.place_of(self.options) or channel
        return _channels_in(self.checks).get(channel) or self._known.get(channel) or channel

    def full_name_of(self, channel: str) -> str:
        """The channel among those of several connections: also what the connection is called."""
        if self.provider_class.only_channel and not self.is_endpoint:
            return self.called  # the name of its only place says nothing more
        return f"{self.called} {self.channel_name(channel)}"

    def discovered_values(self, checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        seen = {**self._known, **_channels_in(checks)}
        chosen = {one: name for one, name in seen.items() if one in self.recipients}
        return {**super().discovered_values(checks), "recipient_names": chosen}

    @property
    def _known(self) -> dict[str, str]:
        return self.recipient_names or {}


class EndpointAttempt(TenantOwned):
    """One request to an endpoint, with what was sent and answered: a line of its delivery log.

    `message_id` is the `webhook-id`, which repeats have in common; `status` is null without a
    response.
    """

    id = PrefixedIdField(prefix="att")
    integration_id = models.CharField(max_length=40)
    effect_id = models.CharField(max_length=40)
    message_id = models.CharField(max_length=40)
    release_id = models.CharField(max_length=40, blank=True)
    event = models.CharField(max_length=60)
    body = models.TextField()
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True)
    error = models.CharField(max_length=500, blank=True)
    duration_ms = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "endpoint_attempts"
        ordering: ClassVar = ["-at", "-id"]
        constraints: ClassVar = [unique_per_tenant("endpoint_attempt")]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "integration_id", "-at"], name="attempt_by_endpoint"),
            models.Index(fields=["at"], name="attempt_ends"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.message_id}"

    @property
    def is_success(self) -> bool:
        return not self.error


def _channels_in(checks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The names of channels by id, from a verification's checks."""
    prefix = "channel:"
    return {
        check["name"].removeprefix(prefix): check["message"]
        for check in checks
        if check["ok"] and check["message"] and check["name"].startswith(prefix)
    }


class TicketIntegration(Connection):
    family, prefix, type_field = "tickets", "ticket", "ticket_type"

    ticket_type = models.CharField(max_length=20, choices=TicketType.offered)
    server_url = models.CharField(_("address"), max_length=300, blank=True)
    username = models.CharField(_("user"), max_length=254, blank=True)
    api_token = SecretTextField(_("API token"))
    project = models.CharField(_("project"), max_length=40, blank=True)

    class Meta(Connection.Meta):
        db_table = "tenant_ticket_integrations"
        constraints: ClassVar = [unique_per_tenant("ticket")]

    @property
    def summary(self) -> str:
        return f"{self.server_url.split('://')[-1]} · {self.project}"

    def page_of(self, url: str) -> str:
        """The URL of a ticket's page from its stored URL; "" if unknown."""
        provider: Any = self.provider_class
        page: str = provider.page_of(url, server_url=self.server_url, options=self.options)
        return page


class HealthIntegration(Connection):
    """A source of figures about how well a version works for its users."""

    family, prefix, type_field = "health", "health", "health_type"

    health_type = models.CharField(max_length=20, choices=HealthType.offered)
    server_url = models.CharField(_("address"), max_length=300, blank=True)
    api_token = SecretTextField(_("token"))
    organization = models.CharField(_("organization"), max_length=100, blank=True)
    project = models.CharField(_("project"), max_length=100, blank=True)
    # The app whose credentials it uses, if it has none of its own.
    target = models.ForeignKey(
        TargetIntegration,
        on_delete=models.PROTECT,
        related_name="health_sources",
        null=True,
        blank=True,
    )

    class Meta(Connection.Meta):
        db_table = "tenant_health_integrations"
        constraints: ClassVar = [unique_per_tenant("health")]

    def knows(self, app: TargetIntegration) -> bool:
        """True if it may have figures of this app."""
        if self.target is not None and self.target.app_identifier != app.app_identifier:
            return False
        return str(app.platform) in self.provider_class.platforms

    @property
    def summary(self) -> str:
        if self.target is not None:
            return f"{self.kind_label} · {self.target.app_identifier}"
        return f"{self.kind_label} · {self.organization}/{self.project}"


FAMILIES: dict[str, type[Connection]] = {
    model.family: model
    for model in (
        ScmIntegration,
        TargetIntegration,
        PipelineIntegration,
        CommunicationIntegration,
        TicketIntegration,
        HealthIntegration,
    )
}
_BY_PREFIX = {model.prefix: model for model in FAMILIES.values()}


def find_connection(
    *, tenant: Tenant | str, connection_id: str, lock: bool = False
) -> Connection | None:
    """The tenant's connection by its id, whose prefix names the family."""
    model = _BY_PREFIX.get(connection_id.split("_")[0])
    if model is None:
        return None
    rows = model.objects.for_tenant(tenant).filter(pk=connection_id)
    found: Connection | None = (rows.select_for_update(no_key=True) if lock else rows).first()
    return found
