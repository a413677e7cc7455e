"""The settings of the tests: the same module over a fixed environment."""

import os
import uuid

os.environ.setdefault("SECRET_KEY", "only-for-tests-0123456789-0123456789-0123456789-0123456789")
os.environ.setdefault("FERNET_KEYS", "only-for-tests-first-key,only-for-tests-second-key")
os.environ.setdefault("DATABASE_URL", "sqlite:///:memory:")
os.environ.setdefault("ALLOWED_HOSTS", "localhost,127.0.0.1,testserver")
os.environ.setdefault("OUTBOUND_ALLOW", "127.0.0.1,localhost")
# For one run and the processes that it starts: other runs on the same Redis do not take its jobs.
os.environ.setdefault("CELERY_KEY_PREFIX", f"test-{uuid.uuid4().hex}:")

from delivr.settings import *  # noqa: F403 # the same settings, but for what follows

GITHUB_API_URL = "http://127.0.0.1:1"  # nothing listens there: tests of GitHub set their own
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405 # from the star above
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # speed
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
WHITENOISE_AUTOREFRESH = True
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405 # live-server threads would keep theirs
if not IS_SQLITE:  # noqa: F405
    # Tables are emptied between two tests; nothing else passes the guard of the audit log.
    DATABASES["default"]["OPTIONS"]["options"] += " -c delivr.audit_purge=truncate"  # noqa: F405
