"""What the operator chooses, read once from the environment: each with its type, unit and default.

`.env.example` has the same list for operators. `make run` reads a few of these before there are
keys, and two that it alone needs: `delivr/run/up.py`.
"""

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[2]  # the checkout
env = environ.Env()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")

# --- Where delivr runs ---------------------------------------------------------------------------
# The directory of the SQLite file, the generated keys, and the logs of `make run`.
DELIVR_DATA_DIR = Path(env.str("DELIVR_DATA_DIR", default=str(BASE_DIR / ".data"))).resolve()
# The port on 127.0.0.1 that the web server listens on.
PORT: int = env.int("PORT", default=8000)
# Where people and CI servers reach delivr, without a slash at the end.
BASE_URL: str = env.str("BASE_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
IS_HTTPS = BASE_URL.startswith("https://")
# The hosts that delivr answers as.
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "testserver"}
# Django's debug pages.
DEBUG: bool = env.bool("DEBUG", default=False)
if DEBUG and set(ALLOWED_HOSTS) - LOCAL_HOSTS:
    raise ImproperlyConfigured("DEBUG is for local hosts only: unset it or ALLOWED_HOSTS.")
# The number of proxies in front that add to X-Forwarded-For; https needs one that ends TLS.
TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", default=int(IS_HTTPS))


# --- Keys ----------------------------------------------------------------------------------------
def _key(name: str) -> str:
    """A key from the environment, or the one that `make run` generated into the data dir."""
    generated = DELIVR_DATA_DIR / "keys" / name.lower()
    value = env.str(name, default="") or (generated.read_text() if generated.exists() else "")
    if not value:
        raise ImproperlyConfigured(f"Set {name}, or start with `make run`, which generates one.")
    return str(value).strip()


# Signs sessions and links.
SECRET_KEY = _key("SECRET_KEY")
# Encrypt the secrets in the database: the first key encrypts, all decrypt.
FERNET_KEYS = [key.strip() for key in _key("FERNET_KEYS").split(",") if key.strip()]

# --- Database and broker -------------------------------------------------------------------------
# DATABASE_URL as Django wants it; default: SQLite in the data dir.
DATABASE: dict[str, Any] = environ.Env.db_url_config(
    env.str("DATABASE_URL", default="") or f"sqlite:///{DELIVR_DATA_DIR / 'delivr.sqlite3'}"
)
IS_SQLITE: bool = DATABASE["ENGINE"].endswith("sqlite3")
# PostgreSQL's time limits for a statement and for waiting for a lock, in ms; 0: none.
DATABASE_STATEMENT_TIMEOUT: int = env.int("DATABASE_STATEMENT_TIMEOUT", default=15000)
DATABASE_LOCK_TIMEOUT: int = env.int("DATABASE_LOCK_TIMEOUT", default=8000)
# DATABASE_URL leads through a pool that gives out a connection for each transaction (PgBouncer).
DATABASE_POOLED: bool = env.bool("DATABASE_POOLED", default=False)
# Redis for Celery's messages; empty: no broker, the sweeper runs all jobs.
CELERY_BROKER_URL: str = env.str("CELERY_BROKER_URL", default="")
# Prefix of all keys in Redis, for several installations on one server.
CELERY_KEY_PREFIX: str = env.str("CELERY_KEY_PREFIX", default="")

# --- Web processes -------------------------------------------------------------------------------
# How many there are, and the threads of each. With SQLite one process is enough and saves memory.
WEB_CONCURRENCY = int(env.str("WEB_CONCURRENCY", default="") or (1 if IS_SQLITE else 2))
WEB_THREADS = int(env.str("WEB_THREADS", default="") or (8 if IS_SQLITE else 4))

# Where `manage.py live` listens, and whether the proxy passes pages' `…/events` on to it.
LIVE_BIND: str = env.str("LIVE_BIND", default="127.0.0.1:8001")
LIVE_EVENTS: bool = env.bool("LIVE_EVENTS", default=False)

# --- Mail ----------------------------------------------------------------------------------------
# The mail server; empty: mails go into the log, and addresses need no confirmation.
EMAIL_URL: str = env.str("EMAIL_URL", default="")
# The sender of mails.
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="delivr <delivr@localhost>")

# --- Monitoring ----------------------------------------------------------------------------------
# The bearer token with which Prometheus reads /metrics; empty: there is no such page.
METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="")
# How the log is written: `text` for people, or `json`, one object on each line.
LOG_FORMAT: str = env.str("LOG_FORMAT", default="") or "text"
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured("LOG_FORMAT is text or json.")
# Whether traces are sent to the collector that OpenTelemetry's own settings name. Its SDK reads
# these and the others itself: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
TRACES: bool = (
    bool(
        env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
        or env.str("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default="")
    )
    and not env.bool("OTEL_SDK_DISABLED", default=False)
    and env.str("OTEL_TRACES_EXPORTER", default="otlp") != "none"
)
# Providers that are sent the `traceparent` of a call, too: host or host:port.
TRACEPARENT_TO: list[str] = env.list("TRACEPARENT_TO", default=[])

# --- Limits --------------------------------------------------------------------------------------
# Requests a minute that one token, or one user, may send to the HTTP API.
API_PER_MINUTE: int = env.int("API_PER_MINUTE", default=1200)
# Requests a minute with wrong tokens from one address.
API_FAILURES_PER_MINUTE: int = env.int("API_FAILURES_PER_MINUTE", default=60)
# Webhooks a minute that one pipeline may send; polling finds what is refused beyond that.
WEBHOOKS_PER_MINUTE: int = env.int("WEBHOOKS_PER_MINUTE", default=600)

# --- Calls to other systems ----------------------------------------------------------------------
# Send nothing, for the time after a restore.
EFFECTS_PAUSED: bool = env.bool("EFFECTS_PAUSED", default=False)
# Private or loopback addresses that may be connected to: host, host:port or CIDR.
OUTBOUND_ALLOW: list[str] = env.list("OUTBOUND_ALLOW", default=[])
# A PEM file of certificate authorities to trust besides the public ones.
OUTBOUND_CA_BUNDLE: str = env.str("OUTBOUND_CA_BUNDLE", default="")
if OUTBOUND_CA_BUNDLE and not Path(OUTBOUND_CA_BUNDLE).is_file():
    raise ImproperlyConfigured(f"OUTBOUND_CA_BUNDLE: the file {OUTBOUND_CA_BUNDLE} does not exist.")

# --- Providers and sandbox -----------------------------------------------------------------------
# Where the providers' APIs are; `make run` and tests point them at the sandbox.
GITHUB_API_URL: str = env.str("GITHUB_API_URL", default="https://api.github.com")
SLACK_API_URL: str = env.str("SLACK_API_URL", default="https://slack.com/api/")
APP_STORE_CONNECT_URL: str = env.str(
    "APP_STORE_CONNECT_URL", default="https://api.appstoreconnect.apple.com"
)
GOOGLE_PLAY_URL: str = env.str("GOOGLE_PLAY_URL", default="https://androidpublisher.googleapis.com")
GOOGLE_PLAY_REPORTING_URL: str = env.str(
    "GOOGLE_PLAY_REPORTING_URL", default="https://playdeveloperreporting.googleapis.com"
)
GOOGLE_TOKEN_URL: str = env.str("GOOGLE_TOKEN_URL", default="https://oauth2.googleapis.com/token")
# Where the sandbox is, set by `make run`: the wizard offers to fill in its values.
SANDBOX_URL: str = env.str("SANDBOX_URL", default="")
