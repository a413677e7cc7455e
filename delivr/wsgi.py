"""The WSGI entry point for gunicorn."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "delivr.settings")
application = get_wsgi_application()
if settings.WSGI_AROUND:
    application = import_string(settings.WSGI_AROUND)(application)
if settings.TRACES:
    application = import_string("delivr.monitoring.served.Served")(application)
