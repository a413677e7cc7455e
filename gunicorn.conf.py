"""How gunicorn serves delivr; `GUNICORN_CMD_ARGS` or the command line override it.

https://docs.gunicorn.org/en/stable/settings.html
"""

import logging
import os
from pathlib import Path

from django.conf import settings

from delivr.monitoring.logs import write_json
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
LOGS = ("gunicorn.access", "gunicorn.error")


def on_starting(server: object) -> None:
    """The master's log; workers take its handlers over."""
    if settings.LOG_FORMAT == "json":
        for name in LOGS:
            write_json(logging.getLogger(name))


def post_worker_init(worker: object) -> None:
    """No log shows a link that gives access: neither an access log (`--access-logfile`) nor the
    error log, which names the address of a failed request."""
    for name in LOGS:
        logging.getLogger(name).addFilter(HideLinks())
