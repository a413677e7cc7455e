"""No secret leaks: the tests use everything, with failures, then search every channel for every
secret in every encoding. A planted leak must be found in each channel, which tests the search.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from django.urls import path
from django.utils import timezone
from rest_framework.test import APIClient

from builds.models import Build
from builds.tests.test_main_flow import connect_all, create_release
from delivr.effects import queue
from delivr.effects.models import Effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.encryption.fields import MASK
from delivr.models import RateCounter
from delivr.signin.sealing import unseal
from delivr.tenants.models import Tenant, User
from delivr.tests import factories
from delivr.tests.admin_pages import detail
from delivr.tests.canary import (
    FAMILIES,
    Watch,
    broker_address,
    look_everywhere,
    see_all,
    see_stores,
)
from delivr.tests.processes import empty_broker
from delivr.tests.test_walk import all_of, signed_in
from delivr.tests.wired import wired_to
from sandbox import accounts
from sandbox.server import SandboxServer

needs_database = pytest.mark.django_db(transaction=True)

PROVIDERS = ("github", "jenkins", "slack", "jira", "app_store", "google_play", "google_oauth")
# (channel, secret) pairs that must appear: secrets in mails, and sessions' keys in the database.
WANTED = {
    ("mail", "invitation's link"),
    ("mail", "reset link"),
    ("database", "session"),
}


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
def broker(settings: Any) -> Iterator[str]:
    """The Redis of this run, if it has one: all messages go there, and no worker takes them."""
    if not broker_address():
        yield ""
        return
    settings.CELERY_BROKER_URL = broker_address()
    empty_broker()
    yield broker_address()
    empty_broker()


@pytest.fixture
def root(db: None) -> Client:
    user = User.objects.create_superuser("root@example.com")
    factories.give_second_factor(user)  # the admin requires one
    return signed_in(user)


# --- Exercising everything ------------------------------------------------------------------------


@pytest.fixture
def exercised(
    watch: Watch,
    broker: str,
    tenant: Tenant,
    owner: User,
    root: Client,
    sandbox: SandboxServer,
    sandbox_values: dict[str, Any],
    caplog: Any,
) -> Iterator[Watch]:
    """Everything was done once, with and without success, with the log at DEBUG."""
    with caplog.at_level(logging.DEBUG):
        page = signed_in(owner)
        watch.secrets["session"] = str(page.session.session_key)
        api = _api(watch, page)
        connected = connect_all(api, sandbox_values)
        for number, made in enumerate(connected["pipelines"]):
            watch.secrets[f"webhook {number}"] = made["webhookSecret"].removeprefix("whsec_")
            _report_with_the_bare_secret(watch, made)
        release = create_release(api, connected)
        api.post(f"/api/v1/releases/{release['id']}/builds", {})
        _run_due_jobs()
        _fail_with_secrets_in_the_log(watch, sandbox)
        _rotate(watch, api, connected["pipelines"][0]["id"])
        _sign_in(watch, owner)
        _invite(watch, api)
        _call_echoing_providers(watch, api, sandbox, connected)
        look_everywhere(watch, api, page, root)
        yield watch


def _run_due_jobs(limit: int = 100) -> None:
    """All messages were lost, so the sweeper does what is due."""
    Effect.objects.update(enqueued_at=None)
    sweep_until_idle(limit)


def _api(watch: Watch, page: Client) -> APIClient:
    """A token created as a person does: on the page that shows it once."""
    key = page.get("/settings/tokens").context["form_key"]
    form = {"name": "ci", "role": "OWNER", "days": 30, "form_key": key}
    shown = page.post("/settings/tokens", form).context["text_of_token"]
    watch.secrets["token"] = shown.split("_", 2)[2]  # the secret may contain underscores
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {shown}")
    return client


def _report_with_the_bare_secret(watch: Watch, pipeline: dict[str, Any]) -> None:
    """A report with the secret instead of a signature, and one whose sender may send the secret."""
    where, secret = f"/api/v1/webhooks/jenkins/{pipeline['id']}", pipeline["webhookSecret"]
    basic = base64.b64encode(f"delivr:{secret}".encode()).decode()
    for headers in (
        {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": f"v1,{secret}"},
        {"Authorization": f"Basic {basic}"},
        {"Authorization": f"Bearer {secret}"},
    ):
        answer = Client().post(where, {"job": secret[:4]}, "application/json", headers=headers)
        assert answer.status_code in (202, 401), answer.content
        watch.see("answers", all_of(answer))


def _fail_with_secrets_in_the_log(watch: Watch, sandbox: SandboxServer) -> None:
    """A job prints secrets: the stored lines of its log are without them."""
    ours = ("github", "slack", "jenkins", "jira", "apple", "google", "webhook")
    printed = [secret for name, secret in watch.secrets.items() if name.startswith(ours)]
    ci = sandbox.state.jenkins
    Build.objects.moving().update(poll_at=timezone.now())
    _run_due_jobs()
    for build in [build for job in ci.jobs for build in ci.running(job)]:
        build.parameters["PRINTED"] = "".join(f"\nerror: {secret}" for secret in printed)
        ci.finish(build.job, build.number, "FAILURE")
    Build.objects.moving().update(poll_at=timezone.now())
    _run_due_jobs()
    assert Build.objects.filter(log_excerpt__contains=f"error: {MASK}").exists()


def _rotate(watch: Watch, api: APIClient, pipeline_id: str) -> None:
    path = f"/api/v1/integrations/pipelines/{pipeline_id}/rotate-webhook-secret"
    answer = api.post(path, headers={"idempotency-key": "kept-encrypted"})
    watch.secrets["rotated webhook"] = answer.json()["webhookSecret"].removeprefix("whsec_")


def _sign_in(watch: Watch, owner: User) -> None:
    watch.secrets["wrong password"] = "wrong-horse-wrong-battery"
    for password in ("wrong-horse-wrong-battery", factories.PASSWORD):
        form = {"login": owner.email, "password": password}
        watch.see("answers", all_of(Client().post("/accounts/login/", form)))
    Client().post("/accounts/password/reset/", {"email": owner.email})
    link = re.search(r"/accounts/password/reset/key/(\S+)", str(mail.outbox[-1].body))
    assert link is not None
    watch.secrets["reset link"] = link[1].strip("/").partition("-")[2]
    watch.secrets["TOTP"] = generate_totp_secret()
    TOTP.activate(owner, watch.secrets["TOTP"])
    codes = RecoveryCodes.activate(owner).instance
    watch.secrets["recovery codes"] = unseal(codes.data["seed"])


def _invite(watch: Watch, api: APIClient) -> None:
    """Send an invitation twice and open both links."""
    body = {"email": "invited@example.com", "role": "VIEWER"}
    made = api.post("/api/v1/invitations", body)
    assert made.status_code == 201, made.json()
    again = f"/api/v1/invitations/{made.json()['id']}/send"
    _run_due_jobs()
    watch.see("answers", all_of(made) + all_of(api.post(again)))
    _run_due_jobs()
    links = [_link(message.body) for message in mail.outbox if message.to == [body["email"]]]
    assert len(links) == 2
    watch.secrets["invitation's link"] = links[1]
    for secret in links:
        answer = (client := Client()).get(f"/accounts/invitations/{secret}")
        assert answer.headers["Location"] == "/accounts/invitation"
        watch.see("pages", all_of(answer) + all_of(client.get("/accounts/invitation")))


def _link(body: object) -> str:
    found = re.search(r"/accounts/invitations/(\S+)", str(body))
    assert found is not None
    return found[1]


def _call_echoing_providers(
    watch: Watch, api: APIClient, sandbox: SandboxServer, connected: dict[str, Any]
) -> None:
    """Providers that return the Authorization header in the body, at every status."""
    for status in (400, 401, 403, 404, 429, 500):
        sandbox.state.faults.clear()
        _verify_all(watch, api)
        release = api.post("/api/v1/releases", _release_body(connected, f"2.0.{status}"))
        assert release.status_code == 201, release.json()
        triggered = api.post(f"/api/v1/releases/{release.json()['id']}/builds", {})
        watch.see("answers", all_of(release) + all_of(triggered))
        for provider in PROVIDERS:
            sandbox.state.faults.add("echo", provider=provider, status=status)
        waiting = Effect.objects.filter(state="PENDING")
        waiting.update(attempts=7, next_at=timezone.now())  # the last attempt
        _run_due_jobs(limit=3)
        _verify_all(watch, api)
    sandbox.state.faults.clear()


def _verify_all(watch: Watch, api: APIClient) -> None:
    RateCounter.objects.all().delete()
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


@needs_database
@pytest.mark.on_postgresql
def test_no_secret_leaks(
    exercised: Watch, broker: str, sandbox: SandboxServer, caplog: Any
) -> None:
    see_stores(exercised, sandbox, caplog)
    looked = {"answers", "pages", "admin", "database", "sessions", "log", "mail", "slack", "jira"}
    assert set(exercised.seen) == looked | ({"redis"} if broker else set())
    assert Authenticator.objects.exists()
    failed = Effect.objects.exclude(last_error="").count()
    assert failed > 5, "the echoing providers were not met"
    assert exercised.leaks() == WANTED


# --- The search finds leaks -----------------------------------------------------------------------


def plant_in_session(secret: str) -> None:
    session = Client().session
    session["kept"] = secret
    session.save()


def plant_in_log(secret: str) -> None:
    logging.getLogger("delivr").debug("sent %s", quote(secret, safe=""))


def plant_in_mail(secret: str) -> None:
    mail.send_mail("Hello", f"Your token: {secret}", None, ["a@example.com"])


def plant_in_cache(secret: str) -> None:
    cache.set("kept", secret)  # pickled, in base64


def plant_in_queue(secret: str) -> None:
    queue.enqueue("effect", secret)  # JSON, in base64


PLANTS: list[tuple[str, Callable[[str], None]]] = [
    ("sessions", plant_in_session),
    ("log", plant_in_log),
    ("mail", plant_in_mail),
    ("database", plant_in_cache),
    ("redis", plant_in_queue),
]
SHOWN = ("answers", "pages", "admin", "database", "slack", "jira")  # where a branch is shown


@needs_database
def test_planted_leak_is_found_in_every_channel(
    watch: Watch,
    broker: str,
    tenant: Tenant,
    owner: User,
    root: Client,
    api_for: Callable[..., APIClient],
    sandbox: SandboxServer,
    caplog: Any,
) -> None:
    watch.secrets = {"branch": "planted-in-branch-0123456789"}
    wired = wired_to(tenant, sandbox)
    release = wired.release("ios", slack=True, jira=True, branch=watch.secrets["branch"])
    _run_due_jobs()
    watch.see("answers", all_of(api_for(tenant).get("/api/v1/releases")))
    see_all(watch, "pages", signed_in(owner), [f"/releases/{release.pk}"])
    see_all(watch, "admin", root, [detail(release)])
    expected = {(channel, "branch") for channel in SHOWN}
    with caplog.at_level(logging.DEBUG):
        for channel, plant in PLANTS if broker else PLANTS[:-1]:
            watch.secrets[plant.__name__] = secret = f"{plant.__name__}-0123456789"
            plant(secret)
            expected.add((channel, plant.__name__))
    see_stores(watch, sandbox, caplog)
    assert expected - watch.leaks() == set()


@pytest.mark.parametrize(
    "spell", [str, quote, html.escape, json.dumps, lambda s: f"a{s}b", lambda s: s.encode().hex()]
)
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_leak_is_found_in_every_encoding(spell: Any, before: str) -> None:
    secret = 'a-"secret"&<5>/+é-0123456789'
    watch = Watch({"s": secret})
    watch.see("answers", f"<p>{spell(secret)}</p>")
    watch.see("pages", base64.b64encode(f"{before}{secret}tail".encode()).decode())
    watch.see("admin", base64.urlsafe_b64encode(f"{before}{secret}tail".encode()).decode())
    assert watch.leaks() == {("answers", "s"), ("pages", "s"), ("admin", "s")}


# --- The debug page -------------------------------------------------------------------------------


def _breaks(request: Any) -> Any:
    access_token = request.POST["access_token"]
    raise RuntimeError(f"{len(access_token)} letters, {request.POST['planted']}")


urlpatterns = [path("breaks", _breaks)]


@needs_database
def test_debug_page_shows_no_secret(settings: Any) -> None:
    form = {
        "access_token": "ghp_posted-0123456789",
        "planted": "in-the-words-of-an-error-0123456789",
    }
    watch = Watch(
        {
            **form,
            "SECRET_KEY": settings.SECRET_KEY,
            "FERNET_KEYS": settings.FERNET_KEYS[0],
            "header": "dlv_aaaaaaaa_0123456789",
        }
    )
    with override_settings(DEBUG=True, ROOT_URLCONF=__name__):
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {watch.secrets['header']}"}
        answer = client.post("/breaks", form, headers=headers)
    assert answer.status_code == 500
    assert b"RuntimeError" in answer.content
    watch.see("debug page", all_of(answer))
    assert watch.leaks() == {("debug page", "planted")}  # the search finds leaks here, too
