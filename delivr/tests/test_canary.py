"""No secret gets out: everything is exercised, failures too, then every channel is searched for
every secret in every spelling. A leak planted into a channel must be found, or the search is blind.
"""

from __future__ import annotations

import base64
import html
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.urls import path
from django.utils import timezone
from rest_framework.test import APIClient

from builds.tests.test_main_flow import connect_all, create_release
from delivr.effects.models import Effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tenants.models import Tenant, User
from delivr.tests import factories
from delivr.tests.admin_pages import detail, listing
from delivr.tests.test_walk import all_of, signed_in
from sandbox import accounts
from sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

PROVIDERS = ("github", "jenkins", "slack", "jira", "app_store", "google_play", "google_oauth")
FAMILIES = ("scm", "targets", "pipelines", "communication", "tickets")
PAGES = (
    "/releases",
    "/integrations",
    "/activity",
    "/activity/received",
    "/activity/healed",
    "/insights",
    "/setup/done",
    "/settings/",
    "/settings/tokens",
    "/settings/audit",
    "/settings/audit/export.csv",
    "/settings/audit/export.json",
    "/settings/security",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
)


def spellings(secret: str) -> set[str]:
    """The ways in which a text may hold `secret`; base64 at its three alignments."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found |= {quote(secret), html.escape(secret), raw.hex()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            found.add(text[(0, 2, 3)[before] : -3])
    return found


@dataclass
class Watch:
    """The secrets by name, and all that was seen by channel."""

    secrets: dict[str, str]
    seen: dict[str, list[str]] = field(default_factory=dict)

    def see(self, channel: str, text: str) -> None:
        self.seen.setdefault(channel, []).append(text)

    def leaks(self) -> set[tuple[str, str]]:
        """(channel, name of the secret) of everything that got out."""
        forms = {name: spellings(text) for name, text in self.secrets.items()}
        return {
            (channel, name)
            for channel, texts in self.seen.items()
            for text in texts
            for name, ways in forms.items()
            if any(way in text for way in ways)
        }


# --- Looking into the channels --------------------------------------------------------------------


def see_stores(watch: Watch, sandbox: SandboxServer, caplog: Any) -> None:
    for model in apps.get_models(include_auto_created=True):
        columns = ", ".join(f'"{part.column}"' for part in model._meta.concrete_fields)
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT {columns} FROM "{model._meta.db_table}"')  # noqa: S608 # ours
            for row in cursor.fetchall():
                words = [bytes(v).decode("latin-1") if _is_binary(v) else str(v) for v in row]
                watch.see("database", "\n".join(words))
    for session in Session.objects.all():
        watch.see("sessions", json.dumps(session.get_decoded(), default=str))
    watch.see("log", caplog.text)
    watch.see("log", "\n".join(repr(record.__dict__) for record in caplog.records))
    for message in mail.outbox:
        watch.see("mail", message.message().as_string())
    watch.see("slack", json.dumps(sandbox.world.slack.dump(), default=str))
    watch.see("jira", json.dumps(sandbox.world.jira.dump(), default=str))


def _is_binary(value: Any) -> bool:
    return isinstance(value, bytes | memoryview)


# --- Exercising everything ------------------------------------------------------------------------


@pytest.fixture
def watch(sandbox: SandboxServer, sandbox_values: dict[str, Any], settings: Any) -> Watch:
    account = sandbox_values["targets"][1]["googleServiceAccount"]
    apple = sandbox_values["targets"][0]["appleApiKey"]
    return Watch(
        {
            "github": accounts.GITHUB_PUSH_TOKEN,
            "slack": accounts.SLACK_BOT_TOKEN,
            "jenkins": accounts.JENKINS_API_TOKEN,
            "jira": accounts.JIRA_API_TOKEN,
            "apple": apple.splitlines()[1],
            "google": account["private_key"].splitlines()[1],
            "SECRET_KEY": settings.SECRET_KEY,
            **{f"FERNET_KEYS {n}": key for n, key in enumerate(settings.FERNET_KEYS)},
            "password": factories.PASSWORD,
        }
    )


@pytest.fixture
def root(db: None) -> Client:
    user = User.objects.create_superuser("root@example.com")
    factories.give_second_factor(user)  # without one the admin is closed
    return signed_in(user)


@pytest.fixture
def exercised(
    watch: Watch,
    tenant: Tenant,
    owner: User,
    root: Client,
    sandbox: SandboxServer,
    sandbox_values: dict[str, Any],
    caplog: Any,
) -> Iterator[Watch]:
    """Everything was done once, well and badly, with the log at its most talkative."""
    with caplog.at_level(logging.DEBUG):
        page = signed_in(owner)
        api = _api(watch, page)
        connected = connect_all(api, sandbox_values)
        for number, made in enumerate(connected["pipelines"]):
            watch.secrets[f"webhook {number}"] = made["webhookSecret"].removeprefix("whsec_")
        release = create_release(api, connected)
        api.post(f"/api/v1/releases/{release['id']}/builds", {})
        sweep_until_idle()
        _rotate(watch, api, connected["pipelines"][0]["id"])
        _sign_in_badly_and_well(watch, owner)
        _meet_echoes(watch, api, sandbox, connected)
        _look_at_everything(watch, api, page, root)
        yield watch


def _api(watch: Watch, page: Client) -> APIClient:
    """A token as a person makes it: on the page that shows it once."""
    key = page.get("/settings/tokens").context["form_key"]
    form = {"name": "ci", "role": "OWNER", "days": 30, "form_key": key}
    shown = page.post("/settings/tokens", form).context["text_of_token"]
    watch.secrets["token"] = shown.rpartition("_")[2]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {shown}")
    return client


def _rotate(watch: Watch, api: APIClient, pipeline_id: str) -> None:
    path = f"/api/v1/integrations/pipelines/{pipeline_id}/rotate-webhook-secret"
    answer = api.post(path, headers={"idempotency-key": "kept-encrypted"})
    watch.secrets["rotated webhook"] = answer.json()["webhookSecret"].removeprefix("whsec_")


def _sign_in_badly_and_well(watch: Watch, owner: User) -> None:
    watch.secrets["wrong password"] = "wrong-horse-wrong-battery"
    for password in ("wrong-horse-wrong-battery", factories.PASSWORD):
        form = {"login": owner.email, "password": password}
        watch.see("answers", all_of(Client().post("/accounts/login/", form)))
    Client().post("/accounts/password/reset/", {"email": owner.email})
    watch.secrets["TOTP"] = generate_totp_secret()
    TOTP.activate(owner, watch.secrets["TOTP"])


def _meet_echoes(
    watch: Watch, api: APIClient, sandbox: SandboxServer, connected: dict[str, Any]
) -> None:
    """Providers that show the Authorization header to whoever it concerns, at every status."""
    for status in (400, 401, 403, 404, 429, 500):
        sandbox.world.faults.clear()
        _verify_all(watch, api)
        release = api.post("/api/v1/releases", _release_body(connected, f"2.0.{status}"))
        assert release.status_code == 201, release.json()
        triggered = api.post(f"/api/v1/releases/{release.json()['id']}/builds", {})
        watch.see("answers", all_of(release) + all_of(triggered))
        for provider in PROVIDERS:
            sandbox.world.faults.add("echo", provider=provider, status=status)
        waiting = Effect.objects.filter(state="PENDING")
        waiting.update(attempts=7, next_at=timezone.now(), rung_at=None)  # the last try
        sweep_until_idle(limit=3)
        _verify_all(watch, api)
    sandbox.world.faults.clear()


def _verify_all(watch: Watch, api: APIClient) -> None:
    for family in FAMILIES:
        for made in api.get(f"/api/v1/integrations/{family}").json()["results"]:
            where = f"/api/v1/integrations/{family}/{made['id']}"
            watch.see("answers", all_of(api.post(f"{where}/verify")))


def _release_body(connected: dict[str, Any], version: str) -> dict[str, Any]:
    return {
        "version": version,
        "scmIntegrationId": connected["scm"]["id"],
        "targets": [t["id"] for t in connected["targets"]],
        "pipelines": [p["id"] for p in connected["pipelines"]],
        "communicationId": connected["communication"]["id"],
        "ticketId": connected["ticket"]["id"],
    }


def _look_at_everything(watch: Watch, api: APIClient, page: Client, root: Client) -> None:
    addresses = list(PAGES)
    for family in FAMILIES:
        watch.see("answers", all_of(api.get(f"/api/v1/integrations/{family}")))
        addresses.append(f"/setup/{family}")
        for made in api.get(f"/api/v1/integrations/{family}").json()["results"]:
            addresses.append(f"/integrations/{family}/{made['id']}")
            watch.see("answers", all_of(api.get(f"/api/v1/integrations/{family}/{made['id']}")))
    for path_ in ("setup", "releases", "effects", "webhook-deliveries", "audit-events", "schema"):
        watch.see("answers", all_of(api.get(f"/api/v1/{path_}", {"limit": 100})))
    for release in api.get("/api/v1/releases").json()["results"]:
        addresses.append(f"/releases/{release['id']}")
        watch.see("answers", all_of(api.get(f"/api/v1/releases/{release['id']}")))
    for address in addresses:
        answer = page.get(address)
        assert answer.status_code in (200, 302), address
        watch.see("pages", all_of(answer))
    for model in apps.get_models():
        if not admin.site.is_registered(model):
            continue
        addresses = [listing(model), *map(detail, model._default_manager.all()[:20])]
        for address in addresses:
            answer = root.get(address)
            assert answer.status_code == 200, address
            watch.see("admin", all_of(answer))


def test_no_secret_gets_out(exercised: Watch, sandbox: SandboxServer, caplog: Any) -> None:
    see_stores(exercised, sandbox, caplog)
    wanted = {"answers", "pages", "admin", "database", "sessions", "log", "mail"}
    assert set(exercised.seen) == wanted | {"slack", "jira"}
    assert exercised.seen["mail"], "no mail was sent"
    assert Authenticator.objects.exists()
    failed = Effect.objects.exclude(last_error="").count()
    assert failed > 5, "the echoing providers were not met"
    assert exercised.leaks() == set()


# --- The search is not blind ----------------------------------------------------------------------


def plant_in_database(secret: str) -> None:
    factories.ReleaseFactory(branch=f"release/{base64.b64encode(b'x' + secret.encode()).decode()}")


def plant_in_session(secret: str) -> None:
    client = Client()
    session = client.session
    session["kept"] = secret
    session.save()


def plant_in_log(secret: str) -> None:
    logging.getLogger("delivr").debug("sent %s", quote(secret, safe=""))


def plant_in_mail(secret: str) -> None:
    mail.send_mail("Hello", f"Your token: {secret}", None, ["a@example.com"])


def plant_in_cache(secret: str) -> None:
    cache.set("kept", secret)


def plant_in_slack(secret: str) -> None:
    """By the real client, as a message would carry it."""
    import requests

    requests.post(
        SLACK["url"],
        json={"channel": "C123", "text": f"token {secret}"},
        headers={"Authorization": f"Bearer {accounts.SLACK_BOT_TOKEN}"},
        timeout=5,
    ).raise_for_status()


SLACK: dict[str, str] = {}
PLANTS: list[tuple[str, Callable[[str], None]]] = [
    ("database", plant_in_database),
    ("sessions", plant_in_session),
    ("log", plant_in_log),
    ("mail", plant_in_mail),
    ("database", plant_in_cache),  # a table, pickled and in base64
    ("slack", plant_in_slack),
]


@pytest.mark.parametrize(("channel", "plant"), PLANTS)
def test_planted_leak_is_found(
    channel: str, plant: Callable[[str], None], watch: Watch, sandbox: SandboxServer, caplog: Any
) -> None:
    SLACK["url"] = f"{sandbox.url}/slack/api/chat.postMessage"
    see_stores(watch, sandbox, caplog)
    assert watch.leaks() == set()
    with caplog.at_level(logging.DEBUG):
        plant(watch.secrets["jenkins"])
        see_stores(watch, sandbox, caplog)
    assert (channel, "jenkins") in watch.leaks()
    cache.clear()


@pytest.mark.parametrize(
    "spell", [str, quote, html.escape, json.dumps, lambda s: f"a{s}b", lambda s: s.encode().hex()]
)
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_leak_is_found_in_every_spelling(spell: Any, before: str) -> None:
    secret = 'a-"secret"&<5>/+é-0123456789'
    watch = Watch({"s": secret})
    watch.see("answers", f"<p>{spell(secret)}</p>")
    watch.see("pages", base64.b64encode(f"{before}{secret}tail".encode()).decode())
    watch.see("admin", base64.urlsafe_b64encode(f"{before}{secret}tail".encode()).decode())
    assert watch.leaks() == {("answers", "s"), ("pages", "s"), ("admin", "s")}


# --- The debug page -------------------------------------------------------------------------------


def _breaks(request: Any) -> Any:
    access_token = request.POST["access_token"]
    raise RuntimeError(f"no luck with {len(access_token)} letters")


urlpatterns = [path("breaks", _breaks)]


def test_debug_page_shows_no_secret(settings: Any) -> None:
    watch = Watch(
        {
            "form": "ghp_posted-0123456789",
            "SECRET_KEY": settings.SECRET_KEY,
            "FERNET_KEYS": settings.FERNET_KEYS[0],
            "header": "dlv_aaaaaaaa_0123456789",
        }
    )
    with override_settings(DEBUG=True, ROOT_URLCONF=__name__):
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {watch.secrets['header']}"}
        answer = client.post("/breaks", {"access_token": watch.secrets["form"]}, headers=headers)
    assert answer.status_code == 500
    assert b"RuntimeError" in answer.content
    watch.see("debug page", all_of(answer))
    assert watch.leaks() == set()
