"""Writes an email and hands it to the installation's mail server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from delivr import mail, unsubscribe

from .markup import as_html, as_text


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of an email; its title and lines are in the markup of `markup.py`."""

    title: str
    lines: list[str]


@dataclass(frozen=True, kw_only=True)
class Letter:
    """An email to one recipient. `reason` says why it comes; `end` is the link that ends it.

    `unique` makes its `Message-ID`, and `references` are the ids of the thread that it belongs to.
    `list_label` names the list of mails for filters (RFC 2919).
    """

    to: str
    subject: str
    sections: list[Section]
    reason: str
    end: str
    unique: str
    list_label: str
    references: str = ""

    @property
    def headers(self) -> dict[str, str]:
        found = {
            "Message-ID": mail.message_id(self.unique),
            "List-Id": f"<{self.list_label}.{mail.sender_domain()}>",
            **unsubscribe.headers(self.end),
        }
        if self.references:
            found |= {"In-Reply-To": self.references, "References": self.references}
        return found


def send(letter: Letter) -> str:
    """Returns its `Message-ID`. Raises ProviderError as `delivr.mail.send` does."""
    mail.send(
        to=letter.to,
        subject=letter.subject,
        body=render_to_string("mails/letter.txt", _context(letter, as_text)),
        html=render_to_string("mails/letter.html", _context(letter, as_html)),
        headers=letter.headers,
    )
    return letter.headers["Message-ID"]


def _context(letter: Letter, form: Any) -> dict[str, Any]:
    """Its sections in this form; the markup was escaped where foreign words came in."""
    return {
        "subject": mail.one_line(letter.subject),
        "sections": [
            {
                "title": mark_safe(form(section.title)),  # noqa: S308 # escaped by `markup.escape`
                "lines": [mark_safe(form(line)) for line in section.lines],  # noqa: S308
            }
            for section in letter.sections
        ],
        "reason": letter.reason,
        "end": letter.end,
    }
