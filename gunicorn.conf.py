"""How gunicorn serves delivr; `GUNICORN_CMD_ARGS` or the command line override it.

https://docs.gunicorn.org/en/stable/settings.html
"""

import logging
import os
from pathlib import Path

from django.conf import settings

from delivr.security.hiding import HideLinks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "delivr.settings")

wsgi_app = "delivr.wsgi:application"
bind = f"127.0.0.1:{settings.PORT}"
worker_class = "gthread"
workers = settings.WEB_CONCURRENCY
threads = settings.WEB_THREADS
control_socket_disable = True  # it would lie in the home directory, shared by all instances
graceful_timeout = 25  # seconds; a verification asks a provider for up to 20
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 # the heartbeat


def post_worker_init(worker: object) -> None:
    """No log shows a link that gives access: neither an access log (`--access-logfile`) nor the
    error log, which names the address of a failed request."""
    for name in ("gunicorn.access", "gunicorn.error"):
        logging.getLogger(name).addFilter(HideLinks())
