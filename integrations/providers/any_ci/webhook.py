"""Reports of builds, from whatever built them: the same body for every kind of pipeline."""

from __future__ import annotations

from ..ci import BuildReport
from ..incoming import json_object
from ..reports import OURS, named, parse_report
from ..webhooks import BASIC, STANDARD_WEBHOOKS, Webhooks


def parse(body: bytes, event: str = "") -> BuildReport:
    """What the body claims; `status` is None for a body that is no report.

    Raises ValueError with a message for the user if it cannot be parsed.
    """
    document = json_object(body)
    if OURS & document.keys():
        return named(parse_report(document))
    return BuildReport(status=None, note="It is no report of a build: it names none.")


WEBHOOKS = Webhooks(ways=(STANDARD_WEBHOOKS, BASIC), parse=parse)
