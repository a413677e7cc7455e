"""What a sender of webhooks declares: how they are authenticated and parsed."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from .ci import Parser


class Scheme(enum.StrEnum):
    """How the sender of a webhook authenticates itself with the secret."""

    STANDARD = "STANDARD"  # Standard Webhooks: signs id, time and body
    BASIC = "BASIC"  # the password of user `delivr`
    HEX_MAC = "HEX_MAC"  # the hex HMAC-SHA256 of the body, in a header behind a prefix
    HEADER = "HEADER"  # the secret itself, in a header


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to authenticate a webhook, used if its `header` is present.

    Only STANDARD is trusted. Anything else can be sent again under another id, so it only causes a
    poll.
    """

    scheme: Scheme
    header: str
    prefix: str = ""
    id_header: str = ""  # identifies a repeated delivery; without it the body does


STANDARD_WEBHOOKS = Way(scheme=Scheme.STANDARD, header="webhook-signature", id_header="webhook-id")


BASIC = Way(scheme=Scheme.BASIC, header="authorization")


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """The webhooks of one sender: the ways to authenticate them, in order of preference, and the
    parser of their bodies.

    `parse` takes the body and the event type from `event_header`. It raises ValueError with a
    message for people if the body cannot be parsed.

    `is_never_refused`: the sender switches a webhook off whose events are refused. One that is
    authentic but too large, or one too many, is accepted and dropped: polling finds what it said.
    """

    ways: Sequence[Way]
    parse: Parser
    event_header: str = ""
    is_never_refused: bool = False
