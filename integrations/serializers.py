"""Connections as JSON: one serializer per kind, built from the provider's declared fields."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivr.api.problems import camel
from integrations import sharing
from integrations.checks import CheckState
from integrations.choices import (
    CommunicationType,
    HealthType,
    PipelineType,
    ScmType,
    Silence,
    TargetType,
    TicketType,
    Verification,
)
from integrations.models import FAMILIES, Connection, PipelineIntegration
from integrations.providers.fields import MAX_TEXT, ConnectionField
from integrations.providers.registry import (
    ProviderKey,
    entered_fields_of,
    fields_of,
    generated_fields_of,
    provider_class,
    secrets_of,
    slug_of,
)
from integrations.wording import API_ERRORS

Serializer = serializers.Serializer[Any]
MAX_DOCUMENT = 20_000
KINDS: dict[str, list[str]] = {
    "scm": list(ScmType.values),
    "targets": list(TargetType.values),
    "pipelines": list(PipelineType.values),
    "communication": list(CommunicationType.values),
    "tickets": list(TicketType.values),
    "health": list(HealthType.values),
}
REFERENCES = {"scmIntegrationId": "scm", "targetIntegrationId": "target"}


@extend_schema_field({"oneOf": [{"type": "string", "maxLength": MAX_DOCUMENT}, {"type": "object"}]})
class TextOrObject(serializers.CharField):
    """A JSON document as an object or as its text."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return data if isinstance(data, Mapping) else super().run_validation(data)


class CheckSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not DRF's own
    state = serializers.ChoiceField([str(state) for state in CheckState])
    ok = serializers.BooleanField()
    level = serializers.ChoiceField(["ERROR", "WARNING"])
    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()


class ConnectionBase(serializers.Serializer[Any]):
    """The fields of every connection's response."""

    id = serializers.CharField()
    tenantId = serializers.CharField(source="tenant_id")
    displayName = serializers.CharField(source="name")
    verificationStatus = serializers.ChoiceField(Verification.choices, source="verification_status")
    verificationError = serializers.CharField(source="verification_error")
    lastVerifiedAt = serializers.DateTimeField(source="last_verified_at", allow_null=True)
    credentialChangedAt = serializers.DateTimeField(source="credential_changed_at", allow_null=True)
    credentialExpiresAt = serializers.DateTimeField(source="credential_expires_at", allow_null=True)
    checks = CheckSerializer(many=True, source="shown_checks")
    createdAt = serializers.DateTimeField(source="created_at")
    updatedAt = serializers.DateTimeField(source="updated_at")


class StoreSecretSerializer(serializers.Serializer[Any]):
    """Where a store sends its notifications, and the secret with which it signs them."""

    webhookUrl = serializers.CharField()
    webhookSecret = serializers.CharField()


class SilentRecipientSerializer(serializers.Serializer[Any]):
    """A recipient to which nothing is sent any more."""

    recipient = serializers.CharField()
    reason = serializers.ChoiceField([str(why) for why in Silence])
    message = serializers.CharField()
    since = serializers.DateTimeField()


class HasSecret(serializers.BooleanField):
    def get_attribute(self, instance: Connection) -> bool:
        return bool(instance.value_of(str(self.source)))


@functools.cache
def answer_serializer(key: ProviderKey) -> type[Serializer]:
    """The serializer for responses of this kind: secrets only appear as `has<Field>`."""
    (family, kind), name = key, _name_of(key)
    model = FAMILIES[family]
    own: dict[str, Any] = {
        # Its pattern tells the kinds apart whose fields are alike.
        camel(model.type_field): serializers.RegexField(f"^{kind}$", source=model.type_field),
        **{camel(f.name): _shown(f) for f in fields_of(key) if not f.secret},
    }
    for secret in secrets_of(key):
        own["has" + camel(secret)[0].upper() + camel(secret)[1:]] = HasSecret(source=secret)
    if getattr(provider_class(key), "unreachable_code", ""):
        own["silentRecipients"] = SilentRecipientSerializer(many=True, source="silent_recipients")
    for field, option in provider_class(key).shown_discoveries.items():
        own[camel(field)] = serializers.CharField(source=f"options.{option}", default="")
    own |= {n: serializers.CharField(source=f"{s}_id") for n, s in _references(key)}
    if model is PipelineIntegration:
        own["webhookUrl"] = serializers.CharField(source="webhook_url")
    if getattr(provider_class(key), "notifies_as", ""):
        own["webhookUrl"] = serializers.CharField(source="webhook_url")
    return type(f"{name}Connection", (ConnectionBase,), own)


@functools.cache
def created_serializer(key: ProviderKey) -> type[Serializer]:
    """The serializer for the one response that shows the secrets that delivr generated."""
    shown = answer_serializer(key)
    own = {camel(name): serializers.CharField() for name in generated_names(key)}
    return type(f"Created{shown.__name__}", (shown,), own)


@functools.cache
def request_serializer(key: ProviderKey, *, creating: bool) -> type[Serializer]:
    """The serializer for requests of this kind: it checks the format, operations check values."""
    family, _kind = key
    own: dict[str, Any] = {
        "displayName": serializers.CharField(
            source="display_name",
            max_length=80,
            required=False,
            allow_blank=True,
            error_messages=API_ERRORS,
        ),
        **{camel(field.name): _taken(field) for field in entered_fields_of(key)},
    }
    if creating:
        name = FAMILIES[family].type_field
        own[camel(name)] = serializers.ChoiceField(KINDS[family], source=name)
        own[camel(sharing.FIELD)] = serializers.CharField(
            source=sharing.FIELD,
            required=False,
            allow_blank=True,
            help_text=_same_server(key),
        )
    own |= {
        n: serializers.CharField(source=s, required=False, allow_null=True, allow_blank=True)
        for n, s in _references(key)
    }
    verb = "New" if creating else "Edited"
    return type(f"{verb}{_name_of(key)}Connection", (serializers.Serializer,), own)


def _references(key: ProviderKey) -> list[tuple[str, str]]:
    """The API's names of the connections that it works with, and their columns."""
    declared = provider_class(key).references
    return [(name, column) for name, column in REFERENCES.items() if column in declared]


def _name_of(key: ProviderKey) -> str:
    """Its folder's name as the OpenAPI document spells names."""
    return slug_of(key).title().replace("_", "")


def _same_server(key: ProviderKey) -> str:
    names = ", ".join(camel(field.name) for field in sharing.shared_fields(key))
    return f"A connection of the same type. Any of {names} that you leave out is copied from it."


def generated_names(key: ProviderKey) -> list[str]:
    """The secrets that delivr generates for a new connection."""
    names = [field.name for field in generated_fields_of(key)]
    return ["webhook_secret", *names] if key[0] == PipelineIntegration.family else names


def present_with_secrets(connection: Connection) -> dict[str, Any]:
    """The same with the secrets that delivr generated, for the one response that shows them."""
    names = generated_names(connection.provider_key)
    return present(connection) | {camel(n): connection.value_of(n).reveal() for n in names}


def present(connection: Connection) -> dict[str, Any]:
    """The connection as in the API's responses."""
    return dict(answer_serializer(connection.provider_key)(connection).data)


def _shown(field: ConnectionField) -> Any:
    shown: dict[str, Any] = {"list": serializers.ListField, "mapping": serializers.DictField}
    made = shown.get(field.kind, serializers.CharField)
    if field.choices:
        made = functools.partial(serializers.ChoiceField, field.choices)
    return made(source=f"field_values.{field.name}", help_text=str(field.help))


def _taken(field: ConnectionField) -> Any:
    empty: dict[str, Any] = {"required": False, "allow_null": True, "write_only": field.secret}
    text: dict[str, Any] = {
        "allow_blank": True,
        "trim_whitespace": False,
        "error_messages": API_ERRORS,
    }
    if field.choices:
        made = functools.partial(serializers.ChoiceField, field.choices)
        return _sourced(made, field, allow_blank=True, **empty)
    if field.kind == "list":
        return _sourced(serializers.ListField, field, child=serializers.CharField(), **empty)
    if field.kind == "mapping":
        child = serializers.CharField(allow_blank=True, max_length=2000)
        return _sourced(serializers.DictField, field, child=child, **empty)
    if field.accepts_object:
        return _sourced(TextOrObject, field, max_length=MAX_DOCUMENT, **text, **empty)
    longest = MAX_DOCUMENT if field.kind == "textarea" else MAX_TEXT + 100 * field.secret
    return _sourced(serializers.CharField, field, max_length=longest, **text, **empty)


def _sourced(made: Any, field: ConnectionField, **kwargs: Any) -> Any:
    """Set `source` unless it equals the field's name, which DRF refuses."""
    if camel(field.name) != field.name:
        kwargs["source"] = field.name
    return made(help_text=str(field.help), **kwargs)


class SetupStepSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    state = serializers.ChoiceField(["DONE", "CURRENT", "TODO", "SKIPPED"])
    optional = serializers.BooleanField()


class SetupSerializer(serializers.Serializer[Any]):
    steps = SetupStepSerializer(many=True)
    complete = serializers.BooleanField()
