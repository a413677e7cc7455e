"""App Store Connect: what delivr reads and does there, with a token whose ES256 signature is
checked.

`access` checks the token, `parameters` the query and `bodies` the body; `answers` writes JSON:API.
"""

from sandbox.providers.app_store import reads, writes  # noqa: F401 -- their routes
from sandbox.providers.app_store.access import blueprint

__all__ = ["blueprint"]
