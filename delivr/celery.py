"""Celery only carries job names and row ids: all state is in the database row."""

import os

from celery import Celery
from django.conf import settings
from kombu import Queue  # type: ignore[attr-defined]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "delivr.settings")

# A frozen or refused broker costs a request half a second at most: only the two socket time-outs
# bound that, and only together with no retries.
_TRANSPORT = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    "max_retries": 0,
    "global_keyprefix": settings.CELERY_KEY_PREFIX,
}

# Workers take from both in turn: what a person waits for does not queue behind everything else.
ORDINARY, AWAITED = "delivr", "delivr.awaited"

app = Celery("delivr")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL or "memory://",
    broker_transport_options=_TRANSPORT if settings.CELERY_BROKER_URL else {},
    broker_connection_retry_on_startup=True,
    task_publish_retry=False,
    task_acks_late=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    result_backend=None,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue=ORDINARY,
    task_queues=[Queue(name) for name in (ORDINARY, AWAITED)],  # type: ignore[no-untyped-call]
)
app.autodiscover_tasks(["delivr.effects"], related_name="queue")
