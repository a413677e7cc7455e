"""Django: its apps, database, cache, files, mail, words and log."""

import tomllib
from typing import Any

import environ

from delivr.settings.environment import (
    BASE_DIR,
    DATABASE,
    DATABASE_LOCK_TIMEOUT,
    DATABASE_POOLED,
    DATABASE_STATEMENT_TIMEOUT,
    EMAIL_URL,
    IS_SQLITE,
    LOG_FORMAT,
    SANDBOX_URL,
    TRACES,
)

VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# --- Apps and what each request passes -----------------------------------------------------------
INSTALLED_APPS = [
    "delivr.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "django_htmx",
    "csp",
    "delivr",
    "delivr.tenants",
    "delivr.effects",
    "delivr.audit",
    "integrations",
    "releases",
    "builds",
    "submissions",
    "sandbox",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "delivr.security.middleware.Headers",
    "delivr.security.middleware.BodyLimit",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "delivr.pages.live.Promised",
    "delivr.tenants.middleware.TenantMiddleware",
    "delivr.monitoring.logs.IdsOfRequests",
    "delivr.pages.timezones.TimeZones",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "delivr.signin.sessions.SessionTracking",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
if TRACES:
    after = MIDDLEWARE.index("delivr.monitoring.logs.IdsOfRequests") + 1
    MIDDLEWARE.insert(after, "delivr.monitoring.served.RouteOfRequests")
ROOT_URLCONF = "delivr.urls"
WSGI_APPLICATION = "delivr.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "delivr.tenants.context.workspace",
                "integrations.context.setup",
            ]
        },
    }
]

# --- Database ------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {"default": DATABASE}
if IS_SQLITE:
    # WAL and IMMEDIATE: the stock settings end one of five contended transactions in an error.
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASE.setdefault("CONN_MAX_AGE", 600)
    DATABASE["CONN_HEALTH_CHECKS"] = True
    DATABASE["OPTIONS"] = {**DATABASE.get("OPTIONS", {}), "connect_timeout": 5}
    if DATABASE_POOLED:  # the role has the limits, and nothing outlives a transaction
        DATABASE["DISABLE_SERVER_SIDE_CURSORS"] = True
    else:
        DATABASE["OPTIONS"]["options"] = (
            f"-c statement_timeout={DATABASE_STATEMENT_TIMEOUT}"
            f" -c lock_timeout={DATABASE_LOCK_TIMEOUT}"
            " -c idle_in_transaction_session_timeout=30000"
            # Of solid-state disks, on which the way through an index costs as little as a scan.
            " -c random_page_cost=1.1"
        )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Used by sign-in only (attempts, used codes). It is in the database because all processes share it
# and sign-in must not need the broker.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache_entries",
        "OPTIONS": {"MAX_ENTRIES": 10_000},  # expired entries are deleted hourly (builds.retention)
    }
}

# --- Files, mail, words --------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
vars().update(environ.Env.email_url_config(EMAIL_URL or "consolemail://"))
if SANDBOX_URL and not EMAIL_URL:  # the sandbox has a page that shows them
    EMAIL_BACKEND = "delivr.outbox.Outbox"
EMAIL_TIMEOUT = 5  # seconds for each step of some nine, within the lease of an effect (60 s)
LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]  # of other languages; `make messages` writes there
TIME_ZONE = "UTC"  # if neither the user nor the browser names one: delivr/pages/timezones.py
USE_TZ = True

# --- Logs and error reports ----------------------------------------------------------------------
DEFAULT_EXCEPTION_REPORTER_FILTER = "delivr.security.hiding.HidesValues"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "delivr.monitoring.logs.JsonLines"},
    },
    "filters": {
        "hide_links": {"()": "delivr.security.hiding.HideLinks"},
        "add_ids": {"()": "delivr.monitoring.logs.AddIds"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["hide_links", "add_ids"],
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    # At DEBUG level these log whole bodies with secrets.
    "loggers": {
        name: {"level": "WARNING"}
        for name in ("github", "jira", "slack_sdk", "urllib3", "google", "axes")
    },
}
if TRACES:
    LOGGING["filters"]["add_trace"] = {"()": "delivr.monitoring.traces.AddTrace"}
    LOGGING["handlers"]["console"]["filters"].append("add_trace")
