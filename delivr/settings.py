"""Every setting, read once from the environment (see `.env.example`)."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")

DELIVR_DATA_DIR = Path(env.str("DELIVR_DATA_DIR", default=str(BASE_DIR / ".data"))).resolve()


def _key(name: str) -> str:
    """A key from the environment, or the one that `make run` generated into the data dir."""
    generated = DELIVR_DATA_DIR / "keys" / name.lower()
    value = env.str(name, default="") or (generated.read_text() if generated.exists() else "")
    if not value:
        raise ImproperlyConfigured(f"Set {name}, or start with `make run`, which generates one.")
    return value.strip()


# --- Core ----------------------------------------------------------------------------------------
SECRET_KEY = _key("SECRET_KEY")
FERNET_KEYS = [key.strip() for key in _key("FERNET_KEYS").split(",") if key.strip()]
DEBUG = env.bool("DEBUG", default=False)
DEFAULT_EXCEPTION_REPORTER_FILTER = "delivr.security.debugging.HidesValues"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "testserver"}
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
if DEBUG and set(ALLOWED_HOSTS) - LOCAL_HOSTS:
    raise ImproperlyConfigured("DEBUG is for local hosts only: unset it or ALLOWED_HOSTS.")
PORT = env.int("PORT", default=8000)
BASE_URL = env.str("BASE_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
IS_HTTPS = BASE_URL.startswith("https://")

INSTALLED_APPS = [
    "delivr.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
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
    "sandbox",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "delivr.security.headers.Headers",
    "delivr.security.limits.BodyLimit",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "delivr.tenants.middleware.TenantMiddleware",
    "delivr.pages.timezones.TimeZones",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "delivr.signin.middleware.SessionTracking",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
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
DATABASES = {
    "default": environ.Env.db_url_config(
        env.str("DATABASE_URL", default="") or f"sqlite:///{DELIVR_DATA_DIR / 'delivr.sqlite3'}"
    )
}
_database = DATABASES["default"]
IS_SQLITE = _database["ENGINE"].endswith("sqlite3")
if IS_SQLITE:
    # WAL and IMMEDIATE: the stock settings end one of five contended transactions in an error.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
    }
else:
    _database.setdefault("CONN_MAX_AGE", 600)
    _database["CONN_HEALTH_CHECKS"] = True
    _statement = env.int("DATABASE_STATEMENT_TIMEOUT", default=15000)
    _lock = env.int("DATABASE_LOCK_TIMEOUT", default=8000)
    _database["OPTIONS"] = {
        **_database.get("OPTIONS", {}),
        "options": f"-c statement_timeout={_statement} -c lock_timeout={_lock}"
        " -c idle_in_transaction_session_timeout=30000",
        "connect_timeout": 5,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Only sign-in asks it (how often something was tried, which codes are used up). It lies in the
# database, since it must be one for all processes, and sign-in must not need the broker.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache_entries",
        "OPTIONS": {"MAX_ENTRIES": 10_000},  # what is over goes; what ran out, hourly (tidy)
    }
}

# --- Work that leaves the house ------------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
CELERY_KEY_PREFIX = env.str("CELERY_KEY_PREFIX", default="")  # for two installations on one Redis
EFFECTS_PAUSED = env.bool("EFFECTS_PAUSED", default=False)
WEBHOOKS_PER_MINUTE = env.int("WEBHOOKS_PER_MINUTE", default=600)  # that one pipeline may send
OUTBOUND_ALLOW = env.list("OUTBOUND_ALLOW", default=[])
OUTBOUND_CA_BUNDLE = env.str("OUTBOUND_CA_BUNDLE", default="")  # PEM, beside the public ones
if OUTBOUND_CA_BUNDLE and not Path(OUTBOUND_CA_BUNDLE).is_file():
    raise ImproperlyConfigured(f"OUTBOUND_CA_BUNDLE: there is no file {OUTBOUND_CA_BUNDLE}.")
GITHUB_API_URL = env.str("GITHUB_API_URL", default="https://api.github.com")
SLACK_API_URL = env.str("SLACK_API_URL", default="https://slack.com/api/")
APP_STORE_CONNECT_URL = env.str(
    "APP_STORE_CONNECT_URL", default="https://api.appstoreconnect.apple.com"
)
GOOGLE_PLAY_URL = env.str("GOOGLE_PLAY_URL", default="https://androidpublisher.googleapis.com")
GOOGLE_TOKEN_URL = env.str("GOOGLE_TOKEN_URL", default="https://oauth2.googleapis.com/token")
SANDBOX_URL = env.str("SANDBOX_URL", default="")  # set by `make run`: shows the demo's helps

EFFECT_HANDLERS = {
    "mail.send": "delivr.tenants.mails.SendInvitation",
    "mail.refused": "integrations.mails.TellOfRefusal",
    "mail.expiring": "integrations.expiring.TellOfExpiry",
    "message.post": "releases.effects.PostMessage",
    "ticket.create_epic": "releases.effects.CreateEpic",
    "build.trigger": "builds.effects.TriggerBuild",
    "build.cancel": "builds.cancelling.CancelBuild",
    "build.stop_repeat": "builds.duplicates.StopDuplicate",
    "build.test": "builds.testbuilds.effects.StartTest",
    "build.test_stop": "builds.testbuilds.effects.StopTest",
}
# A job: what is done for one id, and which ids are due (asked at each tick of the sweeper).
JOBS: dict[str, dict[str, Any]] = {
    "effect": {
        "run": "delivr.effects.runner.run_effect",
        "due": "delivr.effects.sweeper.due_effects",
    },
    "delivery": {
        "run": "builds.webhooks.deliveries.apply_delivery",
        "due": "builds.webhooks.deliveries.due_deliveries",
    },
    "poll": {"run": "builds.polling.poller.poll_build", "due": "builds.polling.poller.due_builds"},
    "poll_test": {
        "run": "builds.polling.poller.poll_test",
        "due": "builds.polling.poller.due_tests",
    },
    "log": {"run": "builds.logs.reading.read_log", "due": "builds.logs.reading.due_logs"},
    "branch": {"run": "releases.branches.check_branch", "due": "releases.branches.due"},
    "verify": {
        "run": "integrations.verification.verify_by_id",
        "due": "integrations.verification.due_verifications",
        "every": 30,  # seconds between two askings; the others are asked at each tick
    },
    "expiry": {
        "run": "integrations.expiring.warn_by_id",
        "due": "integrations.expiring.due_warnings",
        "every": 3600,
    },
    "tidy": {
        "run": "builds.retention.delete_expired",
        "due": "builds.retention.due",
        "every": 3600,
    },
    "keys": {"run": "delivr.encryption.key_usage.run", "due": "delivr.encryption.key_usage.due"},
    "seal": {"run": "delivr.audit.sealing.seal", "due": "delivr.audit.sealing.due", "every": 5},
}
# Tables whose secrets are not in a SecretTextField: see `delivr.encryption.tables.SecretStore`.
SECRET_STORES = ["delivr.signin.sealing.SecondFactors"]
# Called with (tenant, integration_id, error) when a provider refuses a connection's credentials.
CREDENTIALS_REFUSED = "integrations.verification.credentials_refused"
# What the admin's start page tells an operator, by functions that give panels.
ADMIN_PANELS = ["builds.panels.panels", "delivr.effects.panels.panels"]
# Called with a connection; names the unfinished releases that use it.
CONNECTION_USERS = "releases.operations.unfinished_using"
# Called with a tenant; names its unfinished releases.
TENANT_USERS = "releases.operations.unfinished_of"
# Called with (tenant, actor) when a workspace is deleted, within that transaction.
TENANT_CLOSED = "integrations.operations.disconnect_all"

# --- Sign-in -------------------------------------------------------------------------------------
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses; it signs nobody in
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# How many proxies are in front, each adding to X-Forwarded-For: https needs one that ends TLS.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=int(IS_HTTPS))
EMAIL_URL = env.str("EMAIL_URL", default="")
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
ACCOUNT_ADAPTER = "delivr.signin.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Sign-up can only hide that an address is taken where it ends with a mail in every case.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_URL else "optional"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_CHANGE_EMAIL = True  # one address; the new one counts once it is confirmed
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_RATE_LIMITS = {
    "signup": "20/h/ip",
    "reset_password": "20/m/ip,3/300s/key",
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/900s/key",  # of codes; passwords are counted by axes
}
ACCOUNT_FORMS = {
    "add_email": "delivr.signin.forms.AddEmailForm",
    "signup": "delivr.signin.forms.SignupForm",
}
ACCOUNT_SIGNUP_FORM_CLASS = "delivr.tenants.forms.WorkspaceSignup"
ACCOUNT_LOGOUT_ON_GET = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

MFA_ADAPTER = "delivr.signin.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "delivr"
# Where mails are sent, nobody is signed in with an unconfirmed address anyway. A change of
# address has to stay possible for who has a second factor.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_HTTPS  # browsers offer it on http://localhost alone
# Who may open /admin/ must have a second factor, but in the demo, which is on this machine only.
SECOND_FACTOR_FOR_STAFF = not SANDBOX_URL

# A wrong password counts for its address and e-mail together: who only knows somebody's e-mail
# cannot lock them out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # the wait that is told stays true
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["csrfmiddlewaretoken", "login", "username", "ip_address"]
AXES_USERNAME_CALLABLE = "delivr.signin.lockout.name_of"
AXES_CLIENT_IP_CALLABLE = "delivr.signin.clients.address_of"
AXES_LOCKOUT_CALLABLE = "delivr.signin.lockout.locked_out"

# --- HTTP API ------------------------------------------------------------------------------------
API_PER_MINUTE = env.int("API_PER_MINUTE", default=1200)  # requests of one token, or one user
API_FAILURES_PER_MINUTE = env.int("API_FAILURES_PER_MINUTE", default=60)  # of one address
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "delivr.api.authentication.TokenAuthentication",
        "delivr.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["delivr.api.authentication.RolePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["delivr.api.throttles.PerCaller"],
    "DEFAULT_PARSER_CLASSES": ["delivr.api.parsing.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "delivr.api.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "delivr",
    "DESCRIPTION": "Take a mobile app from connected tools to builds that are ready to submit.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "delivr.api.openapi.add_problems",
    ],
    "ENUM_NAME_OVERRIDES": {"EffectStateEnum": "delivr.effects.models.EffectState"},
}

# --- Browser safety ------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = "delivr.signin.session_store"  # sealed rows
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
if IS_HTTPS:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds())
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
CSRF_TRUSTED_ORIGINS = [f"{urlsplit(BASE_URL).scheme}://{urlsplit(BASE_URL).netloc}"]
CSRF_FAILURE_VIEW = "delivr.views.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 1  # no page asks for any

# --- Files, mail, words --------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
vars().update(env.email_url_config(EMAIL_URL or "consolemail://"))
EMAIL_TIMEOUT = 5  # seconds for each step of some nine, within the lease of an effect (60 s)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="delivr <delivr@localhost>")
LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]  # of other languages; `make messages` writes there
TIME_ZONE = "UTC"  # of who chose none and whose browser told none, see delivr/pages/timezones.py
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"hide_links": {"()": "delivr.security.logs.HideLinks"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["hide_links"],
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    # At DEBUG these write whole bodies, secrets included.
    "loggers": {
        name: {"level": "WARNING"}
        for name in ("github", "jira", "slack_sdk", "urllib3", "google", "axes")
    },
}
