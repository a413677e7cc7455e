"""Google's token endpoint and the Play Developer API: what delivr reads, changes and uploads there.

https://developers.google.com/android-publisher/api-ref/rest
"""

from sandbox.providers.google_play import edits, reads, tokens, uploads  # noqa: F401 -- routes
from sandbox.providers.google_play.access import blueprint

__all__ = ["blueprint"]
