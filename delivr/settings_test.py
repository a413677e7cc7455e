"""The settings of the tests: the same module over a fixed environment."""

import os
import uuid

os.environ.setdefault("SECRET_KEY", "only-for-tests-0123456789-0123456789-0123456789-0123456789")
os.environ.setdefault("FERNET_KEYS", "only-for-tests-first-key,only-for-tests-second-key")
os.environ.setdefault("DATABASE_URL", "sqlite:///:memory:")
os.environ.setdefault("ALLOWED_HOSTS", "localhost,127.0.0.1,testserver")
os.environ.setdefault("OUTBOUND_ALLOW", "127.0.0.1,localhost")
# Nothing listens there: tests of GitHub, and the processes that they start, set their own.
os.environ.setdefault("GITHUB_API_URL", "http://127.0.0.1:1")
# For one run and the processes that it starts: other runs on the same Redis do not take its jobs,
# nor does another worker of pytest-xdist.
_part = f"-{os.environ.get('PYTEST_XDIST_WORKER', 'all')}:"
if _part not in os.environ.get("CELERY_KEY_PREFIX", ""):
    os.environ["CELERY_KEY_PREFIX"] = f"test-{uuid.uuid4().hex}{_part}"

from delivr.settings import *  # noqa: E402, F403 # the same settings, but for what follows

STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405 # from the star above
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # speed
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
WHITENOISE_AUTOREFRESH = True
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405 # live-server threads would keep theirs
if not IS_SQLITE:  # noqa: F405
    # Nothing of a test has to outlive a failure of the machine.
    DATABASES["default"]["OPTIONS"]["options"] += " -c synchronous_commit=off"  # noqa: F405
