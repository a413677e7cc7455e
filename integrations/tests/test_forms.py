"""The form of a connection: format only, no secret rendered, every error on its field."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from delivr.tenants.models import Tenant
from delivr.tests import factories as make
from integrations import operations
from integrations.forms import ConnectionForm, kinds_of
from integrations.models import FAMILIES, ScmIntegration
from integrations.providers.registry import PROVIDERS, ProviderKey, entered_fields_of, fields_of
from integrations.tests.keys import key_of

pytestmark = pytest.mark.on_sqlite

CANARY = "canary-secret-value"
STORED: dict[ProviderKey, Any] = {
    key_of("GITHUB"): (make.ScmFactory, {"access_token": CANARY}),
    key_of("GITLAB"): (make.ScmFactory, {"scm_type": "GITLAB", "access_token": CANARY}),
    key_of("APP_STORE"): (make.AppStoreFactory, {"credentials": CANARY}),
    key_of("PLAY_STORE"): (make.PlayStoreFactory, {"credentials": CANARY}),
    key_of("JENKINS"): (make.PipelineFactory, {"api_token": CANARY, "webhook_secret": CANARY}),
    key_of("GITHUB_ACTIONS"): (
        make.PipelineFactory,
        {"pipeline_type": "GITHUB_ACTIONS", "api_token": CANARY},
    ),
    key_of("GITLAB_CI"): (
        make.PipelineFactory,
        {"pipeline_type": "GITLAB_CI", "api_token": CANARY},
    ),
    key_of("WEBHOOK"): (make.PipelineFactory, {"pipeline_type": "WEBHOOK", "api_token": CANARY}),
    key_of("SENTRY"): (make.SentryFactory, {"api_token": CANARY}),
    key_of("PLAY_VITALS"): (make.PlayVitalsFactory, {}),
    key_of("SLACK"): (make.SlackFactory, {"token": CANARY}),
    key_of("TEAMS"): (
        make.SlackFactory,
        {"communication_type": "TEAMS", "token": CANARY, "recipients": []},
    ),
    ("communication", "WEBHOOK"): (make.EndpointFactory, {"token": CANARY}),
    key_of("EMAIL"): (
        make.SlackFactory,
        {"communication_type": "EMAIL", "token": None, "recipients": ["ada@example.com"]},
    ),
    key_of("JIRA"): (make.JiraFactory, {"api_token": CANARY}),
}


def form(
    tenant: Tenant, kind: str | ProviderKey, data: Any = None, **kwargs: Any
) -> ConnectionForm:
    key = key_of(kind) if isinstance(kind, str) else kind
    return ConnectionForm(data, tenant=tenant, key=key, **kwargs)


def connect(sent: ConnectionForm) -> Any:
    return sent.submit(
        partial(operations.connect, sent.model, tenant=sent.tenant, actor=None, kind=sent.kind)
    )


def test_every_kind_has_its_family() -> None:
    families = {(model.family, kind) for model in FAMILIES.values() for kind, _ in kinds_of(model)}
    assert families == set(PROVIDERS)


@pytest.mark.parametrize("key", PROVIDERS)
def test_a_form_asks_for_what_the_provider_declares(tenant: Tenant, key: ProviderKey) -> None:
    asked = form(tenant, key)
    assert {f.name for f in entered_fields_of(key)} < set(asked.fields)
    assert not {f.name for f in fields_of(key) if f.generated} & set(asked.fields)
    for field in entered_fields_of(key):
        is_required = field.required and not field.is_conditional
        assert asked.fields[field.name].required is is_required


@pytest.mark.parametrize("key", PROVIDERS)
def test_a_stored_secret_is_neither_shown_nor_required_again(
    tenant: Tenant, key: ProviderKey
) -> None:
    factory, secrets = STORED[key]
    shown = form(tenant, key, connection=factory(tenant=tenant, **secrets))
    assert CANARY not in shown.as_div()
    for field in entered_fields_of(key):
        if field.secret:
            assert not shown.fields[field.name].required


@pytest.mark.parametrize("key", PROVIDERS)
def test_an_entered_secret_is_not_rendered_with_the_errors(
    tenant: Tenant, key: ProviderKey
) -> None:
    data = {f.name: CANARY for f in fields_of(key) if f.secret}
    sent = form(tenant, key, data)
    assert connect(sent) is None
    assert sent.errors
    assert CANARY not in sent.as_div()


@pytest.mark.parametrize(
    ("kind", "name", "address"),
    [
        ("GITHUB", "repository_url", f"https://{CANARY}@github.com/o/app"),
        ("GITHUB", "repository_url", f"git clone https://octo:{CANARY}@github.com/o/app.git"),
        ("GITLAB", "repository_url", f"https://oauth2:{CANARY}@git.example.com/group/app.git"),
        ("JENKINS", "jenkins_url", f"https://ci:{CANARY}@ci.example.com/jenkins"),
        ("JIRA", "jira_url", f"https://{CANARY}@octo.atlassian.net"),
    ],
)
def test_a_password_in_an_address_is_not_rendered_again(
    tenant: Tenant, kind: str, name: str, address: str
) -> None:
    sent = form(tenant, kind, {name: address})
    assert connect(sent) is None
    assert CANARY not in sent.as_div()
    assert address.rpartition("@")[2] in sent.as_div()


def test_a_password_in_a_repositorys_address_is_not_stored(tenant: Tenant) -> None:
    address = f"https://octo:{CANARY}@github.com/o/app"
    made = connect(form(tenant, "GITHUB", {"access_token": "ghp_1", "repository_url": address}))
    assert ScmIntegration.objects.get(pk=made.pk).repository_url == "https://github.com/o/app"


@pytest.mark.parametrize("key", PROVIDERS)
def test_browsers_are_told_not_to_store_secrets(tenant: Tenant, key: ProviderKey) -> None:
    asked = form(tenant, key)
    for field in entered_fields_of(key):
        if field.secret:
            assert asked.fields[field.name].widget.attrs["autocomplete"] == "off"


def test_the_demos_secrets_are_shown_if_requested(tenant: Tenant) -> None:
    initial = {"access_token": "made-up"}
    assert "made-up" in form(tenant, "GITHUB", initial=initial, show_secrets=True).as_div()
    assert "made-up" not in form(tenant, "GITHUB", initial=initial).as_div()


def test_a_sent_form_connects(tenant: Tenant) -> None:
    data = {"access_token": "ghp_x", "repository_url": "dream11/app", "display_name": "App"}
    connection = connect(form(tenant, "GITHUB", data))
    assert (connection.repository_url, str(connection)) == ("https://github.com/dream11/app", "App")


def test_all_errors_are_reported_at_once(tenant: Tenant) -> None:
    data = {"repository_url": "not a repository", "display_name": "x" * 81}
    sent = form(tenant, "GITHUB", data)
    assert connect(sent) is None
    assert set(sent.errors) == {"access_token", "repository_url", "display_name"}
    assert all(len(messages) == 1 for messages in sent.errors.values())
    assert not ScmIntegration.objects.exists()


def test_a_form_with_only_format_errors_writes_nothing(tenant: Tenant) -> None:
    data = {"access_token": "t", "repository_url": "a/b", "display_name": "x" * 81}
    assert connect(form(tenant, "GITHUB", data)) is None
    assert not ScmIntegration.objects.exists()


def test_the_models_own_errors_are_on_their_field(tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    data = {
        "scm": pipeline.scm_id,
        "target": pipeline.target_id,
        "jenkins_url": "http://127.0.0.1:1/jenkins",
        "jenkins_username": "u" * 121,
        "jenkins_api_token": "t",
        "jenkins_job_path": "/job/ios",
    }
    sent = form(tenant, "JENKINS", data)
    assert connect(sent) is None
    assert set(sent.errors) == {"jenkins_username"}


@pytest.mark.parametrize("text", ["C123\nC456", "C123, C456", " C123 ,\r\n\r\nC456 "])
def test_several_values_are_separated_by_lines_or_commas(tenant: Tenant, text: str) -> None:
    sent = form(tenant, "SLACK", {"slack_channels": text})
    assert sent.values()["slack_channels"] == ["C123", "C456"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("FLAVOUR=prod\n\n EXTRA = a=b ", {"FLAVOUR": "prod", "EXTRA": "a=b"}),
        ("EMPTY=", {"EMPTY": ""}),
        ("Build Type=release\nGröße:=L", {"Build Type": "release", "Größe:": "L"}),
        ("", {}),
        ("NOTES<<EOF\nfirst\n\n  A=b\nEOF\nB=1", {"NOTES": "first\n\n  A=b", "B": "1"}),
        (" Release notes << END_\r\nfirst\r\nEND_\r\n", {"Release notes": "first"}),
        ("A=x<<EOF", {"A": "x<<EOF"}),
        ("NOTES<<EOF\nEOF", {"NOTES": ""}),
    ],
)
def test_parameters_are_lines(tenant: Tenant, text: str, pairs: dict[str, str]) -> None:
    assert form(tenant, "JENKINS", {"parameters": text}).values()["parameters"] == pairs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FLAVOUR=prod\nnonsense", "Line 2: write it as NAME=value."),
        ("=value", "Line 1: write it as NAME=value."),
        ("A=1\nA=2", "A: listed twice."),
        ("A=1\nNOTES<<EOF\nfirst", "Line 2: this value must end with a line EOF."),
        ("<<EOF\nfirst\nEOF", "Line 1: write it as NAME=value."),
    ],
)
def test_an_invalid_parameter_line_is_named(tenant: Tenant, text: str, words: str) -> None:
    assert form(tenant, "JENKINS", {"parameters": text}).errors["parameters"] == [words]


def test_stored_values_are_shown_in_the_format_of_input(tenant: Tenant) -> None:
    slack = make.SlackFactory(tenant=tenant, recipients=["C123", "C456"])
    assert "C123\nC456" in form(tenant, "SLACK", connection=slack).as_div()
    pipeline = make.PipelineFactory(tenant=tenant, parameters={"A": "1", "B": "2"})
    assert "A=1\nB=2" in form(tenant, "JENKINS", connection=pipeline).as_div()


@pytest.mark.parametrize("value", ["first\nsecond", "EOF\nEOF_\n", "\n\nlast", "a\u2028b"])
def test_a_value_of_several_lines_is_unchanged(tenant: Tenant, value: str) -> None:
    stored = {"NOTES": value, "B": "1"}
    pipeline = make.PipelineFactory(tenant=tenant, parameters=stored)
    shown = form(tenant, "JENKINS", connection=pipeline)["parameters"].value()
    assert form(tenant, "JENKINS", {"parameters": shown}).values()["parameters"] == stored


def test_a_malicious_line_is_parsed_fast(tenant: Tenant) -> None:
    text = f"A=1\n{' ' * 5000}{'<<' * 7000}!"
    sent, began = form(tenant, "JENKINS", {"parameters": text}), time.process_time()
    assert "parameters" in sent.errors
    assert time.process_time() - began < 2


def test_a_help_text_is_no_markup(tenant: Tenant) -> None:
    assert "NAME&lt;&lt;EOF" in form(tenant, "JENKINS").as_div()


# --- What a pipeline refers to --------------------------------------------------------------------


def test_a_pipeline_offers_its_own_workspaces_connections(tenant: Tenant) -> None:
    mine, _foreign = make.AppStoreFactory(tenant=tenant), make.AppStoreFactory()
    choices = form(tenant, "JENKINS").fields["target"].choices
    assert [value for value, _words in choices] == [mine.pk]


def test_another_workspaces_target_is_refused(tenant: Tenant) -> None:
    foreign = make.AppStoreFactory()
    sent = form(tenant, "JENKINS", {"target": foreign.pk})
    assert connect(sent) is None
    assert "target" in sent.errors


def test_the_only_choice_is_preselected(tenant: Tenant) -> None:
    target = make.AppStoreFactory(tenant=tenant)
    assert form(tenant, "JENKINS").initial["target"] == target.pk


def test_a_target_that_does_not_work_is_marked_among_the_choices(tenant: Tenant) -> None:
    make.AppStoreFactory(tenant=tenant)
    make.PlayStoreFactory(tenant=tenant, verification_status="INVALID")
    words = [words for _value, words in form(tenant, "JENKINS").fields["target"].choices]
    assert words == [
        "Choose…",
        "App Store · com.dream11.app",
        "Play Store · com.dream11.app (needs attention)",
    ]


def test_what_unstable_builds_count_as_is_a_choice(tenant: Tenant) -> None:
    assert form(tenant, "JENKINS").fields["jenkins_unstable"].choices[0][0] == "FAILED"
    pipeline = make.PipelineFactory(tenant=tenant, options={"jenkins_unstable": "GOOD_ENOUGH"})
    assert form(tenant, "JENKINS", connection=pipeline)["jenkins_unstable"].value() == "GOOD_ENOUGH"
    sent = form(tenant, "JENKINS", {"jenkins_unstable": "IGNORED"})
    assert "jenkins_unstable" in sent.errors
