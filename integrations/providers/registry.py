"""Maps each choice to its provider: one dict per family, loaded on first use.

In each folder, `provider.py` has the class and `fields.py` the fields of its form.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Outcome, ProviderError
from integrations.choices import (
    CommunicationType,
    HealthType,
    PipelineType,
    ScmType,
    TargetType,
    TicketType,
)
from integrations.providers.base import Provider
from integrations.providers.fields import Fields, Words
from integrations.providers.webhooks import Webhooks

_HERE = "integrations.providers"
SCM: dict[str, str] = {
    ScmType.GITHUB: f"{_HERE}.github.provider.GitHub",
    ScmType.GITLAB: f"{_HERE}.gitlab.provider.GitLab",
}
TARGETS: dict[str, str] = {
    TargetType.APP_STORE: f"{_HERE}.app_store.provider.AppStore",
    TargetType.PLAY_STORE: f"{_HERE}.play_store.provider.PlayStore",
}
PIPELINES: dict[str, str] = {
    PipelineType.JENKINS: f"{_HERE}.jenkins.provider.Jenkins",
    PipelineType.GITHUB_ACTIONS: f"{_HERE}.github_actions.provider.GitHubActions",
    PipelineType.GITLAB_CI: f"{_HERE}.gitlab_ci.provider.GitLabCi",
    PipelineType.WEBHOOK: f"{_HERE}.any_ci.provider.AnyCi",
}
COMMUNICATION: dict[str, str] = {
    CommunicationType.SLACK: f"{_HERE}.slack.provider.Slack",
    CommunicationType.TEAMS: f"{_HERE}.teams.provider.Teams",
    CommunicationType.WEBHOOK: f"{_HERE}.outgoing_webhook.provider.OutgoingWebhook",
    CommunicationType.EMAIL: f"{_HERE}.email.provider.Email",
}
TICKETS: dict[str, str] = {
    TicketType.JIRA: f"{_HERE}.jira.provider.Jira",
}
HEALTH: dict[str, str] = {
    HealthType.SENTRY: f"{_HERE}.sentry.provider.Sentry",
    HealthType.PLAY_VITALS: f"{_HERE}.play_vitals.provider.PlayVitals",
}

# Who sends webhooks about builds, by the word in the address that they send them to.
WEBHOOKS: dict[str, str] = {
    "jenkins": f"{_HERE}.jenkins.webhook.WEBHOOKS",
    "github": f"{_HERE}.github.webhook.WEBHOOKS",
    "gitlab": f"{_HERE}.gitlab_ci.webhook.WEBHOOKS",
    "builds": f"{_HERE}.any_ci.webhook.WEBHOOKS",
}

ProviderKey = tuple[str, str]  # family and kind: two families may have a kind of the same name
REGISTERED: dict[str, dict[str, str]] = {
    "scm": SCM,
    "targets": TARGETS,
    "pipelines": PIPELINES,
    "communication": COMMUNICATION,
    "tickets": TICKETS,
    "health": HEALTH,
}
PROVIDERS: dict[ProviderKey, str] = {
    (family, kind): path for family, kinds in REGISTERED.items() for kind, path in kinds.items()
}


@functools.cache
def provider_class(key: ProviderKey) -> type[Provider]:
    loaded: type[Provider] = import_string(PROVIDERS[key])
    return loaded


def slug_of(key: ProviderKey) -> str:
    """The name of its folder, which is that of its logo and its help pages, too."""
    return PROVIDERS[key].split(".")[-3]


@functools.cache
def webhooks_of(sender: str) -> Webhooks:
    loaded: Webhooks = import_string(WEBHOOKS[sender])
    return loaded


@functools.cache
def _declared(key: ProviderKey) -> Any:
    return import_module(f"{PROVIDERS[key].rsplit('.', 2)[0]}.fields")


def fields_of(key: ProviderKey) -> Fields:
    """The fields of a connection of this kind, in the order of its form."""
    fields: Fields = _declared(key).FIELDS
    return fields


def entered_fields_of(key: ProviderKey) -> Fields:
    """Those whose values people enter."""
    return [field for field in fields_of(key) if not field.generated]


def generated_fields_of(key: ProviderKey) -> Fields:
    """Secrets that delivr creates and shows once."""
    return [field for field in fields_of(key) if field.generated]


def needs_of(key: ProviderKey) -> Words:
    """What a person has to have at hand, in words."""
    needs: Words = _declared(key).NEEDS
    return needs


def same_words(key: ProviderKey) -> Words:
    """How a form offers to take the shared fields over from the connection `%(name)s`."""
    words: Words = _declared(key).SAME
    return words


def check_names(key: ProviderKey) -> dict[str, Words]:
    """The names of its checks. `%(subject)s` stands for one of several subjects."""
    names: dict[str, Words] = _declared(key).CHECKS
    return names


def stored_names() -> dict[str, Words]:
    """What the names of all fields are called on pages."""
    names: dict[str, Words] = {}
    for key in PROVIDERS:
        names |= {field.name: field.audit_label or field.label for field in fields_of(key)}
    return names


def secrets_of(key: ProviderKey) -> list[str]:
    """The names of its fields that are secret."""
    return [field.name for field in fields_of(key) if field.secret]


def provider_for(connection: Any) -> Any:
    """The provider that speaks for a connection. Raises ProviderError if its secret is unreadable
    or gone."""
    try:
        return connection.provider_class.from_connection(connection)
    except (SecretUnreadable, AttributeError) as error:
        lost = error if isinstance(error, SecretUnreadable) else _("A credential is missing.")
    raise ProviderError(
        "secret_unreadable",
        str(lost),
        _("Enter the credentials of this connection again."),
        outcome=Outcome.CREDENTIALS,
    )
