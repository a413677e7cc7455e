"""Tests of the architecture: rules that hold everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models

from builds.models import InsightsNote
from delivr.audit.wording import ACTIONS
from delivr.effects.models import Heartbeat
from delivr.encryption.fields import SecretTextField, secret_fields
from delivr.models import CacheEntry, KeyProbe, RateCounter, RowChange
from delivr.tenants.models import ApiToken, Invitation, Tenant, TenantOwned, User
from delivr.tests.calls import functions, literals, reaches
from integrations.models import FAMILIES
from integrations.providers.base import Provider
from integrations.providers.chat import ChatProvider
from integrations.providers.ci import CiProvider
from integrations.providers.health import HealthProvider
from integrations.providers.registry import (
    COMMUNICATION,
    HEALTH,
    PIPELINES,
    PROVIDERS,
    SCM,
    TARGETS,
    TICKETS,
    ProviderKey,
    fields_of,
    provider_class,
    slug_of,
)
from integrations.providers.scm import ScmProvider
from integrations.providers.stores import StoreProvider
from integrations.providers.tickets import TicketProvider
from submissions.models import StoreLock

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("delivr", "integrations", "releases", "builds", "submissions", "sandbox")
OURS = [m for m in apps.get_models() if m.__module__.split(".")[0] in PACKAGES]

# A lower layer never imports a higher one. What each package may import besides itself:
MAY_IMPORT = {
    "delivr": set(),
    "integrations": {"delivr"},
    "releases": {"delivr", "integrations"},
    "builds": {"delivr", "integrations", "releases"},
    "submissions": {"delivr", "integrations", "releases"},
    "sandbox": set(),
}
# file -> packages, with the reason why it may import more than its layer.
EXCEPTIONS = {
    "integrations/demo.py": {"sandbox"},  # the demo's values, where the operator runs the sandbox
}


def sources(*packages: str, tests: bool = False) -> Iterator[Path]:
    for package in packages or PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if "migrations" not in parts and (tests or "tests" not in parts):
                yield path


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


def test_imports_point_one_way() -> None:
    wrong, used = [], set()
    for path in sources():
        name = str(path.relative_to(ROOT))
        package = name.split("/")[0]
        for module in imports(path):
            other = module.split(".")[0]
            if other not in PACKAGES or other == package or other in MAY_IMPORT[package]:
                continue
            if other in EXCEPTIONS.get(name, ()):
                used.add((name, other))
            else:
                wrong.append(f"{name} imports {module}")
    stale = {(n, o) for n, others in EXCEPTIONS.items() for o in others} - used
    assert not wrong
    assert not stale, "an exception that nobody needs any more"


# Modules that import each other on purpose, with the reason.
CIRCLES: dict[frozenset[str], str] = {}


def test_no_module_imports_itself_in_a_circle() -> None:
    """Imports within functions and for types count, since they only hide a cycle."""
    circles = circles_of(module_imports())
    assert not circles - set(CIRCLES)
    assert not set(CIRCLES) - circles, "an exception that is no longer needed"


def test_circles_are_found() -> None:
    way = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"a"}}
    assert circles_of(way) == {frozenset("abc")}


def module_imports() -> dict[str, set[str]]:
    """Our modules, and those of them that each one imports."""
    files = {_dotted(path): path for path in sources()}
    named = {module: names(path) for module, path in files.items()}
    return {
        module: {_module_of(name, files) for name in found} - {module, ""}
        for module, found in named.items()
    }


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def names(path: Path) -> set[str]:
    """What a file imports, with the name: `a.b.c` for `from a.b import c`."""
    found: set[str] = set()
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def _module_of(name: str, modules: Container[str]) -> str:
    """`a.b` for `a.b.c` if that is a name in our module `a.b`; "" for modules of others."""
    return next((m for m in (name, name.rpartition(".")[0]) if m in modules), "")


def circles_of(imports: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The largest sets of modules that all import each other, directly or indirectly."""
    reached = {module: _reached(module, imports) for module in imports}
    return {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in imports
        if module in reached[module]
    }


def _reached(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = set(imports[start])
    while waiting:
        found.add(module := waiting.pop())
        waiting |= imports[module] - found
    return found


def test_every_table_without_a_tenant_is_listed() -> None:
    free = {model for model in OURS if not issubclass(model, TenantOwned)}
    assert free == {
        User,
        Tenant,
        InsightsNote,
        RateCounter,
        CacheEntry,
        Heartbeat,
        KeyProbe,
        RowChange,
        StoreLock,
    }


@pytest.mark.parametrize(
    "model", [m for m in OURS if issubclass(m, TenantOwned)], ids=lambda m: m.__name__
)
def test_tenant_owned_rows_have_a_tenant_and_its_uniqueness(model: type[models.Model]) -> None:
    assert not model._meta.get_field("tenant").null
    unique = [
        c.fields
        for c in model._meta.constraints
        if isinstance(c, models.UniqueConstraint) and c.condition is None
    ]
    assert ("tenant", "id") in unique


# Kinds whose connections hold no credential, with the reason.
WITHOUT_SECRET = {
    ("communication", "EMAIL"): "sends through the installation's mail server",
    ("health", "PLAY_VITALS"): "uses the service account of its app",
}


@pytest.mark.parametrize("key", PROVIDERS)
def test_every_provider_is_complete(key: ProviderKey) -> None:
    package = PROVIDERS[key].rsplit(".", 2)[0].replace(".", "/")
    folder = ROOT / package
    provider, fields = provider_class(key), {f.name: f for f in fields_of(key)}
    model = FAMILIES[key[0]]
    columns = {f.name: f for f in model._meta.get_fields()}
    assert provider.label
    assert {f.column for f in fields.values() if f.column} <= set(columns)
    assert not set(fields) & set(columns) - {f.column for f in fields.values()}
    secret = {n for n, f in fields.items() if isinstance(columns.get(f.column), SecretTextField)}
    assert {n for n, f in fields.items() if f.secret} == secret
    assert bool(secret) != (key in WITHOUT_SECRET)
    assert provider.address_field is None or provider.address_field in fields
    for field in fields.values():
        assert not field.options or callable(getattr(provider, field.options))
    assert (ROOT / "static/img/providers" / f"{slug_of(key)}.svg").exists()
    assert (folder / "client.py").exists()
    assert list((folder / "tests").glob("test_*.py"))


def _kinds(model: Any) -> list[str]:
    return [value for value, _label in model._meta.get_field(model.type_field).choices]


def test_every_choice_has_a_provider_of_its_family() -> None:
    for model, registered, base in (
        (FAMILIES["scm"], SCM, ScmProvider),
        (FAMILIES["targets"], TARGETS, StoreProvider),
        (FAMILIES["pipelines"], PIPELINES, CiProvider),
        (FAMILIES["communication"], COMMUNICATION, ChatProvider),
        (FAMILIES["tickets"], TICKETS, TicketProvider),
        (FAMILIES["health"], HEALTH, HealthProvider),
    ):
        assert set(_kinds(model)) == set(registered)
        assert all(issubclass(provider_class((model.family, k)), base) for k in registered)
    assert all(issubclass(provider_class(key), Provider) for key in PROVIDERS)


# Where a provider may be named outside of its folder, each with its reason. Tests, migrations, the
# sandbox and docs may name them all.
MAY_NAME_PROVIDERS = {
    "builds/api_urls.py": "the addresses of webhooks, as the contract has them",
    "builds/models.py": "stored words: whose signature was trusted, who reported a build",
    "delivr/outbound/addresses.py": "addresses where clouds tell servers their credentials",
    "delivr/run/up.py": "settings of a public API's address, for the sandbox",
    "delivr/settings/environment.py": "settings of a public API's address",
    "delivr/settings/framework.py": "the names of libraries' loggers",
    "delivr/settings_test.py": "settings of tests",
    "integrations/choices.py": "the choice",
    "integrations/providers/registry.py": "the provider's line",
    "integrations/redaction.py": "shapes of secrets, whether their systems are connected or not",
    "releases/serializers.py": "the contract's word for a CI server's address: jenkinsUrl",
    "templates/integrations/help/": "help pages, one set a provider",
}


# What is also delivr's own word: a kind, and the first words of some fields.
OWN_WORDS = {
    "EMAIL",
    "Email",
    "WEBHOOK",
    "email",
    "events",
    "signing",
    "status",
    "trigger",
    "url",
}


def names_of_providers() -> re.Pattern[str]:
    """Kinds, folders and labels of providers, and the first words of fields without a column of the
    same name (`apple_key_id`), in any case and spelling."""
    names: set[str] = set()
    columns = {field.name for model in FAMILIES.values() for field in model._meta.get_fields()}
    for key, path in PROVIDERS.items():
        names |= {key[1], path.split(".")[-3], provider_class(key).label}
        names |= {f.name.split("_")[0] for f in fields_of(key) if f.name not in columns}
    assert names >= OWN_WORDS, "an exception that nobody needs any more"
    spelled = {re.sub(r"[ _-]", "[ _-]?", name.lower()) for name in names - OWN_WORDS}
    return re.compile("|".join(sorted(spelled)), re.IGNORECASE)


_ADDRESS = re.compile(r"https?://[^\s\"'<>)]+")  # where something is documented is no mention


def test_a_provider_is_named_in_its_folder_alone() -> None:
    """So that a new one is a folder, and no line elsewhere."""
    named, found = names_of_providers(), {}
    for path in product_files():
        name = str(path.relative_to(ROOT))
        text = _ADDRESS.sub("", path.read_text())
        lines = [line.strip() for line in text.splitlines() if named.search(line)]
        if named.search(name) or lines:
            found[name] = lines
    allowed = {key: [n for n in found if n.startswith(key)] for key in MAY_NAME_PROVIDERS}
    wrong = {n: lines for n, lines in found.items() if not n.startswith(tuple(allowed))}
    assert wrong == {}
    assert all(allowed.values()), "an exception that nobody needs any more"


def product_files() -> Iterator[Path]:
    """What is written by hand: code, templates and scripts, but for the providers' folders."""
    folders = {ROOT / path.rsplit(".", 2)[0].replace(".", "/") for path in PROVIDERS.values()}
    yield from (p for p in sources(*MAY_IMPORT.keys() - {"sandbox"}) if not folders & {*p.parents})
    for kind in ("html", "txt"):
        yield from sorted((ROOT / "templates").rglob(f"*.{kind}"))
    yield from sorted((ROOT / "static/js").rglob("*.js"))


SDKS = {"github", "slack_sdk", "jira", "google", "googleapiclient"}
HTTP = {"requests", "urllib3", "http.client", "urllib.request", "httpx", "aiohttp", "socket"}


def test_sdks_are_only_imported_in_clients() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources("delivr", "integrations", "releases", "builds", "submissions")
        if path.name != "client.py"
        for module in imports(path)
        if module.split(".")[0] in SDKS
    ]
    assert not wrong


# Modules that may import network libraries, with the reason.
HTTP_ALLOWED = {
    "delivr/outbound": "opens all connections",
    "delivr/run/up.py": "holds the port and asks its own children on loopback",
    "integrations/providers": "clients use sessions of delivr.outbound",
}


def test_only_outbound_opens_connections() -> None:
    wrong = []
    for path in sources("delivr", "integrations", "releases", "builds", "submissions"):
        name = str(path.relative_to(ROOT))
        if any(name.startswith(allowed) for allowed in HTTP_ALLOWED):
            continue
        wrong += [f"{name} imports {m}" for m in imports(path) if m in HTTP]
    assert not wrong


def test_clients_create_no_session_of_their_own() -> None:
    made = re.compile(r"requests\.(Session|get|post|put|patch|delete|request)\(|urlopen\(")
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources("integrations")
        for line in path.read_text().splitlines()
        if made.search(line) and not line.strip().startswith("#")
    ]
    assert not wrong


BANNED = ("countdown", "eta")


def test_celery_only_runs_jobs() -> None:
    """No delays, retries, chords or results: they lose or repeat work when a broker fails."""
    wrong = []
    for path in sources("delivr", "integrations", "releases", "builds", "submissions"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            keywords = {k.arg for k in node.keywords}
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if keywords & set(BANNED) or name in ("chord", "chain", "AsyncResult", "delay"):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
            if name == "retry" and not path.is_relative_to(ROOT / "integrations/providers"):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} retry")
    assert not wrong


def test_no_serializer_shows_a_secret() -> None:
    from rest_framework import serializers

    import integrations.serializers
    import releases.serializers  # noqa: F401 # imported so that its classes exist

    for key in PROVIDERS:
        integrations.serializers.answer_serializer(key)
    secrets = {f.name for model in OURS for f in secret_fields(model)} | {"digest", "password"}
    shown = [
        f"{serializer.__name__}.{name}"
        for serializer in _subclasses(serializers.Serializer)
        if serializer.__module__.split(".")[0] in PACKAGES
        for name, field in serializer._declared_fields.items()
        if (field.source or name) in secrets
        and not field.write_only
        and not isinstance(field, integrations.serializers.HasSecret)
    ]
    assert not shown


def _subclasses(base: type) -> Iterator[type]:
    for child in base.__subclasses__():
        yield child
        yield from _subclasses(child)


def test_no_template_reveals_a_secret() -> None:
    secrets = {f.name for model in OURS for f in secret_fields(model)}
    # A variable may be called `token`, and a form has one of its own: of rows the attribute counts.
    words = [r"(?<!form)\.token" if name == "token" else rf"\b{name}" for name in secrets]
    pattern = re.compile(r"\{\{[^}]*(\breveal|" + "|".join(words) + r")\b[^}]*\}\}")
    wrong = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in (ROOT / "templates").rglob("*.html")
        for match in pattern.finditer(path.read_text())
    ]
    assert not wrong


def test_the_admin_shows_no_secret() -> None:
    from django.contrib import admin

    for model, model_admin in admin.site._registry.items():
        hidden = {f.name for f in secret_fields(model)}
        if model in (ApiToken, Invitation):
            hidden.add("digest")
        fields = model_admin.get_fields(_superuser_request()) if hidden else []
        shown = {*fields, *model_admin.get_list_display(_superuser_request())}
        assert not hidden & shown, model.__name__


def test_every_model_is_in_the_admin() -> None:
    from django.contrib import admin

    from delivr.tenants.models import IdempotentRequest
    from integrations.models import EarlierWebhookSecret

    # encrypted responses and secrets; counters with hashed keys; random texts; notes of minutes
    unseen = {IdempotentRequest, EarlierWebhookSecret, RateCounter, CacheEntry, KeyProbe, RowChange}
    missing = set(OURS) - set(admin.site._registry) - unseen
    assert not missing


def _superuser_request() -> Any:
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = User(is_staff=True, is_superuser=True, is_active=True)
    return request


def test_encrypted_fields_are_only_our_own() -> None:
    import fernet_fields

    wrong = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, fernet_fields.EncryptedField)
        and not isinstance(field, SecretTextField)
    ]
    assert not wrong


def test_secrets_are_revealed_in_few_places() -> None:
    """Only where a provider's client is created, where a webhook is verified, where a secret is
    shown once, and where secrets are removed from other systems' texts."""
    allowed = {
        "delivr/encryption/fields.py",
        "delivr/api/base.py",
        "delivr/views.py",
        "integrations/store_webhooks.py",
        "integrations/webhook_secrets.py",
        "integrations/endpoint_secrets.py",
        "integrations/serializers.py",  # shows what was generated, once
        "integrations/views/endpoint_secret.py",
        "integrations/redaction.py",  # to remove them from others' texts
        "integrations/providers/base.py",  # the protocol's words
        "integrations/demo.py",  # gives the sandbox's Jenkins its webhook secret
        "integrations/sharing.py",  # copies credentials into another connection: bound to their row
    }
    found = {
        str(path.relative_to(ROOT))
        for path in sources("delivr", "integrations", "releases", "builds", "submissions")
        if ".reveal()" in path.read_text()
    }
    clients = {name for name in found if re.match(r"integrations/providers/\w+/provider\.py", name)}
    pages = {name for name in found if name.startswith("integrations/views/webhook_secret")}
    assert found - clients - pages <= allowed


# --- Audit ----------------------------------------------------------------------------------------

RECORDERS = {
    ("delivr.audit.operations", "record"),
    ("delivr.audit.operations", "record_each"),
    ("delivr.audit.operations", "record_in_each"),
}
# Functions that change rows in a transaction without an audit row, with the reason.
UNAUDITED = {
    "builds.buttons.presses._try_later": "nothing is done; the press is its own record",
    "builds.buttons.presses.store": "a press is its own record; what it does is recorded",
    "builds.webhooks.deliveries._set_aside": "a delivery is its own record; a stop is recorded",
    "builds.webhooks.deliveries.due_deliveries": "hands out work; the delivery is the record",
    "builds.webhooks.deliveries.store": "a delivery is its own record",
    "builds.insights.keeping._keep_some": "figures that are derived from rows",
    "builds.logs.reading._due": "hands out work",
    "builds.offers.finding.due": "hands out work",
    "builds.polling.poller._hand_out": "hands out work",
    "builds.polling.poller._look_whether_it_stopped": "what the CI server still does; no status",
    "builds.polling.poller._plan": "when to ask the CI server again",
    "builds.testbuilds.operations.apply_test_update": "a test build is its own record",
    "builds.testbuilds.operations.test_failed": "likewise; its effect has the details",
    "builds.testbuilds.operations.test_missed": "likewise",
    "builds.testbuilds.operations.note_test_webhook": "likewise",
    "submissions.notifications.hear": "when the store is asked again",
    "builds.webhooks.views._keep": "a delivery is its own record",
    "delivr.api.base._begin": "keeps the first answer of a request; what it did is recorded",
    "delivr.api.base._first": "likewise, around the operation",
    "delivr.audit.management.commands.grants.handle": "rights of the database, by its operator",
    "delivr.audit.sealing.seal_batch": "seals the audit log",
    "delivr.encryption.key_usage._keep_probes": "which keys are in use, of no workspace",
    "delivr.encryption.key_usage.forget_lost_keys": "likewise, by the operator",
    "delivr.effects.health.blocked_until": "decides whether a provider may be called",
    "delivr.effects.pace.end": "when a provider may be called again",
    "delivr.effects.pace.postponed": "likewise",
    "delivr.effects.pace.take": "likewise",
    "delivr.effects.health.note_failure": "counts failures of a provider",
    "delivr.effects.runner._wake_if_settled": "when to try again",
    "delivr.effects.operations.pause_integration": "its caller records the refusal",
    "delivr.effects.operations.resume_integration": "moves times; its callers record why",
    "delivr.effects.runner._finish": "the effect is the record of what was sent",
    "delivr.effects.runner._wait_for_credentials": "the called function records the refusal",
    "delivr.effects.runner._settle": "likewise",
    "delivr.batches.in_batches": "what it changes is the caller's to record",
    "delivr.effects.runner._claim": "takes a lease",
    "delivr.effects.sweeper.due_effects": "hands out work",
    "delivr.encryption.rotation._rotate_batch": "the same secret under another key",
    "delivr.signin.forms.save": "an address is the user's own, in no workspace's log",
    "integrations.expiring.warn_by_id": "creates mails; each effect is its own record",
    "integrations.verification.due_verifications": "hands out work",
    "integrations.views.once._run": "keeps the first answer of a form, around the operation",
    "releases.branches.due": "hands out work",
    "releases.repository.changes._store": "keeps what the repository's host told",
    "releases.repository.changes.due": "hands out work",
    "releases.tickets.readiness.due": "hands out work",
    "submissions.health.reading._failed": "keeps why nothing is known; a rule's act is recorded",
    "submissions.health.reading.due": "hands out work",
    "submissions.preflight.ask": "asks the stores, changes nothing there",
    "submissions.preflight.due": "hands out work",
    "submissions.reading.due": "hands out work",
}


def test_every_change_in_a_transaction_is_audited() -> None:
    known = functions(sources("delivr", "integrations", "releases", "builds", "submissions"))
    silent = {
        ".".join(name)
        for name, function in known.items()
        if function.is_atomic and not reaches(name, RECORDERS, known)
    }
    new, stale = silent - set(UNAUDITED), set(UNAUDITED) - silent
    assert not new, "call delivr.audit.operations.record, or give the reason in UNAUDITED"
    assert not stale, "an exception that nobody needs any more"


def test_every_audited_action_has_words() -> None:
    paths = list(sources("delivr", "integrations", "releases", "builds", "submissions"))
    written = {action for action in literals(paths, "action") if "." in action}
    assert not written - set(ACTIONS), "give it words in delivr/audit/wording.py"
    assert not set(ACTIONS) - written - FORMER_ACTIONS, "words for what nobody writes"


FORMER_ACTIONS: set[str] = set()  # from older versions: their rows still need words


# --- Dependencies ---------------------------------------------------------------------------------

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", re.M)


def pins(name: str) -> set[tuple[str, str]]:
    found = PIN.findall((ROOT / name).read_text())
    return {(re.sub(r"[-_.]+", "-", package).lower(), version) for package, version in found}


@pytest.mark.parametrize(
    "name", ["requirements", "requirements-pip", "requirements-dev", "requirements-tools"]
)
def test_the_locks_list_all_requirements_with_hashes_and_no_hosts(name: str) -> None:
    assert pins(f"{name}.txt") <= pins(f"{name}.lock"), "run `make lock`"
    text = (ROOT / f"{name}.lock").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_tested_versions_equal_the_installed_ones() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")
