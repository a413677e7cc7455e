"""delivr's settings, with the app whose migration F14 applies."""

from delivr.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "faults.expanded"]  # noqa: F405
