"""Short-lived download links to the files of builds: requested from the CI server when a person
wants the file, and never stored."""

from __future__ import annotations

from django.utils.translation import gettext as _

from builds.effects import ci_of
from builds.models import Build
from delivr.failures import Conflict, ProviderError


def find_artifact(build: Build, key: str) -> dict[str, str] | None:
    """The stored artifact with this key."""
    found = (one for one in build.artifacts if one.get("key") == key)
    return next(found, None)


def link_to(build: Build, key: str) -> str:
    """An address from which the file can be downloaded now (network). Raises Conflict with the CI
    server's reason if there is none, or no longer one."""
    try:
        address: str = ci_of(build).artifact_address(key)
    except ProviderError as error:
        words = " ".join(filter(None, [error.message, error.hint]))
    except NotImplementedError:
        words = _("The CI server does not offer such links.")
    else:
        return address
    raise Conflict("artifact_gone", words)
