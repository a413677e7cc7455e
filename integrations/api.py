"""The API of connections: connect, edit, verify, disconnect, and the progress of the setup."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import Shape, TenantView
from delivr.api.problems import Problem, camel, from_django, invalid
from delivr.tenants.models import Role
from integrations import operations, store_webhooks
from integrations.checks import shown
from integrations.models import (
    FAMILIES,
    Connection,
    HealthIntegration,
    PipelineIntegration,
    TargetIntegration,
)
from integrations.providers.registry import ProviderKey, secrets_of
from integrations.rotating import CredentialRefused, change
from integrations.serializers import (
    KINDS,
    SetupSerializer,
    StoreSecretSerializer,
    answer_serializer,
    created_serializer,
    generated_names,
    present,
    present_with_secrets,
    request_serializer,
)
from integrations.setup import is_complete, progress
from integrations.throttle import throttled_call
from integrations.verification import verify


def _schema(family: str, *, creating: bool | None, many: bool = False) -> Any:
    """The OpenAPI schema of a family: one serializer, or one of several, one for each kind."""
    if creating is None:
        made: Any = {kind: answer_serializer((family, kind)) for kind in KINDS[family]}
    else:
        made = {
            kind: request_serializer((family, kind), creating=creating) for kind in KINDS[family]
        }
    if len(made) == 1:
        only = next(iter(made.values()))
        return only(many=True) if many else only
    word = {None: "Answer", True: "New", False: "Edited"}[creating]
    field = camel(FAMILIES[family].type_field) if creating is not False else None
    return PolymorphicProxySerializer(
        component_name=f"{word}{family.title()}",
        serializers=made if field else list(made.values()),
        resource_type_field_name=field,
        many=many,
    )


def _with_secret(family: str) -> Any:
    """The OpenAPI schema of new connections with the secrets that delivr generates for them."""
    made: dict[str, Any] = {kind: created_serializer((family, kind)) for kind in KINDS[family]}
    if len(made) == 1:
        return next(iter(made.values()))
    return PolymorphicProxySerializer(
        component_name=f"Created{family.title()}",
        serializers=made,
        resource_type_field_name=camel(FAMILIES[family].type_field),
    )


def _generates_secrets(family: str) -> bool:
    return any(generated_names((family, kind)) for kind in KINDS[family])


class FamilyView(TenantView):
    """A view of one family, which its path names."""

    write_role = Role.ADMIN
    family = ""

    @property
    def model(self) -> type[Connection]:
        return FAMILIES[self.family]

    def find(self, connection_id: str) -> Connection:
        rows: Any = self.model.objects
        if self.model in (PipelineIntegration, HealthIntegration):
            rows = rows.select_related("target")
        found: Connection = self.get_or_404(rows, pk=connection_id)
        return found


class ConnectionList(FamilyView):
    def get(self, request: Request) -> Response:
        rows = self.model.objects.for_tenant(self.tenant)
        if self.model is HealthIntegration:
            rows = rows.select_related("target")
        return self.page(rows, _Present)

    def post(self, request: Request) -> Response:
        return self.once(self._connect)

    def _connect(self) -> Response:
        kind = self._kind()
        shape = self.shape(request_serializer((self.family, kind), creating=True))
        values = {k: v for k, v in shape.values.items() if k != self.model.type_field}
        with shape.complaints():
            connection = operations.connect(
                self.model,
                tenant=self.tenant,
                actor=self.actor,
                kind=kind,
                values=values,
                known_errors=shape.errors,
            )
        answer = present_with_secrets(connection)
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})

    def _kind(self) -> str:
        name = camel(self.model.type_field)
        data = self.request.data
        kind = data.get(name) if isinstance(data, dict) else None
        if not isinstance(kind, str) or kind not in KINDS[self.family]:
            kinds = ", ".join(KINDS[self.family])
            raise invalid({name: [_("Choose one of: %(kinds)s.") % {"kinds": kinds}]})
        return kind


class ConnectionDetail(FamilyView):
    def get(self, request: Request, connection_id: str) -> Response:
        return Response(present(self.find(connection_id)))

    def patch(self, request: Request, connection_id: str) -> Response:
        connection = self.find(connection_id)
        shape = Shape(request_serializer(connection.provider_key, creating=False), request.data)
        with shape.complaints(), self._asking(connection, shape):
            try:
                connection = change(
                    connection, actor=self.actor, values=shape.values, known_errors=shape.errors
                )
            except CredentialRefused as refused:
                raise _refusal(refused, connection.provider_key) from None
        return Response(present(connection))

    def _asking(self, connection: Connection, shape: Shape) -> AbstractContextManager[None]:
        """Count as a verification if a new credential may be verified before it is stored."""
        if any(shape.values.get(name) for name in secrets_of(connection.provider_key)):
            return throttled_call("verify", user=self.actor)
        return nullcontext()

    def delete(self, request: Request, connection_id: str) -> Response:
        try:
            operations.disconnect(self.find(connection_id), actor=self.actor)
        except ValidationError as error:
            raise Problem(409, "in_use", " ".join(error.messages)) from None
        return Response(status=204)


def _refusal(refused: CredentialRefused, key: ProviderKey) -> Problem:
    """Names the checks that the new credential failed; the stored one is still in use."""
    detail = " ".join(refused.messages)
    errors = from_django(refused)
    checks = [shown(key, asdict(check)) for check in refused.checks]
    return Problem(400, "credential_refused", detail, errors, extensions={"checks": checks})


class VerifyView(FamilyView):
    def post(self, request: Request, connection_id: str) -> Response:
        connection = self.find(connection_id)
        with throttled_call("verify", user=self.actor):
            connection = verify(connection, actor=self.actor)
        return Response(present(connection))


class RotateWebhookSecret(FamilyView):
    family = "pipelines"

    @extend_schema(request=None, responses=_with_secret("pipelines"))
    def post(self, request: Request, connection_id: str) -> Response:
        return self.once(lambda: self._rotate(connection_id))

    def _rotate(self, connection_id: str) -> Response:
        pipeline = self.find(connection_id)
        assert isinstance(pipeline, PipelineIntegration)  # noqa: S101 # the family says so
        pipeline = operations.rotate_webhook_secret(pipeline, actor=self.actor)
        headers = {"Cache-Control": "no-store"}
        return Response(present_with_secrets(pipeline), headers=headers)


class RotateStoreSecret(FamilyView):
    family = "targets"

    @extend_schema(request=None, responses=StoreSecretSerializer)
    def post(self, request: Request, connection_id: str) -> Response:
        return self.once(lambda: self._rotate(connection_id))

    def _rotate(self, connection_id: str) -> Response:
        target = self.find(connection_id)
        assert isinstance(target, TargetIntegration)  # noqa: S101 # the family says so
        secret = store_webhooks.replace(target, actor=self.actor)
        answer = {"webhookUrl": target.webhook_url, "webhookSecret": secret}
        return Response(answer, headers={"Cache-Control": "no-store"})


class SetupView(TenantView):
    @extend_schema(responses=SetupSerializer)
    def get(self, request: Request) -> Response:
        steps = [
            {"key": step.key, "state": step.state, "optional": step.optional}
            for step in progress(self.tenant)
        ]
        return Response({"steps": steps, "complete": is_complete(self.tenant)})


class _Present:
    """A serializer for `page` with rows of several kinds."""

    def __init__(self, rows: Any, many: bool, context: Any) -> None:
        self.data = [present(row) for row in rows]


def views_of(family: str) -> tuple[Any, Any, Any]:
    """The list, detail and verify views of one family, described in the OpenAPI document."""
    answer, name = _schema(family, creating=None), family.title()
    page = _schema(family, creating=None, many=True)
    made: list[Any] = []
    for base, methods in (
        (ConnectionList, {"get": None, "post": _schema(family, creating=True)}),
        (ConnectionDetail, {"get": None, "patch": _schema(family, creating=False), "delete": None}),
        (VerifyView, {"post": None}),
    ):
        view = type(f"{name}{base.__name__}", (base,), {"family": family})
        for method, body in methods.items():
            status = {"delete": 204}.get(method, 201 if body and method == "post" else 200)
            shown = page if base is ConnectionList and method == "get" else answer
            if status == 201 and _generates_secrets(family):
                shown = _with_secret(family)
            described = extend_schema(
                operation_id=f"{family}_{base.__name__}_{method}",
                request=body,
                responses={status: None if method == "delete" else shown},
            )
            setattr(view, method, described(_copy(getattr(base, method))))
        made.append(view)
    return made[0], made[1], made[2]


def _copy(function: Any) -> Any:
    """A separate function for each family, since the schema is kept on the function."""

    def method(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        answer: Response = function(self, request, *args, **kwargs)
        return answer

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    return method
