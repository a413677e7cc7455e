"""One-click links that end emails: https://datatracker.ietf.org/doc/html/rfc8058

The link works without signing in, as long as the installation's SECRET_KEY (or one of
SECRET_KEY_FALLBACKS) signed it. It names rows by their ids, and an address by its hash only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

_SALT = "delivr.unsubscribe."


def url(view: str, *parts: str) -> str:
    """The link for what `parts` name, which the view of this name serves."""
    token = signing.dumps(parts, salt=_SALT + view)
    return f"{settings.BASE_URL}{reverse(view, args=[token])}"


def parts_of(view: str, token: str) -> list[str]:
    """What the link names. Raises Http404 if it is not ours."""
    try:
        found: list[str] = signing.loads(token, salt=_SALT + view)
    except signing.BadSignature:
        raise Http404 from None
    return found


def headers(link: str) -> dict[str, str]:
    """The headers of an email that the link ends. A mail program may follow it by itself only over
    HTTPS (RFC 8058, section 3.1)."""
    found = {"List-Unsubscribe": f"<{link}>"}
    if link.startswith("https://"):
        found["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return found


def hash_of(address: str) -> str:
    """Stands for an address in a link."""
    return hashlib.sha256(address.lower().encode()).hexdigest()[:32]


def answer(
    request: HttpRequest,
    *,
    what: str,
    end: Callable[[], None],
    begin_again: Callable[[], None] | None = None,
) -> HttpResponse:
    """Ask on GET, because scanners of mails open every link, and `end` the emails on POST, or
    `begin_again` if asked to. `what` says which emails."""
    done = ""
    if request.method == "POST" and begin_again is not None and "again" in request.POST:
        begin_again()
        done = "begun"
    elif request.method == "POST":
        end()
        done = "ended"
    context = {"what": what, "done": done, "may_begin_again": begin_again is not None}
    return render(request, "mails/unsubscribe.html", context)
