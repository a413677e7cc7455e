"""Sends one email through the operator's server."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Mapping
from email.errors import MessageError
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.utils.translation import gettext as _

from delivr.failures import Outcome, ProviderError

RECIPIENT_REFUSED = "mail_refused"  # the code if the server will never take this address
LOGIN_REFUSED = "mail_login"  # the operator's user name or password is wrong
RECIPIENT_LATER = "mail_later"  # and if it does not take it right now
# No program answers automatically: https://datatracker.ietf.org/doc/html/rfc3834
ALL = {"Auto-Submitted": "auto-generated"}
# https://datatracker.ietf.org/doc/html/rfc5322#section-2.1.1 : a line has at most 998 characters;
# programs show far less of a subject.
LONGEST_SUBJECT = 250


def is_set_up() -> bool:
    """True if mails reach somebody: a mail server, or the page of the sandbox."""
    return bool(settings.EMAIL_URL or settings.SANDBOX_URL)


def sender_domain() -> str:
    """The domain of our own address, to which SPF and DKIM have to belong, for ids of mails."""
    _name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return address.rpartition("@")[2] or "localhost"


def message_id(unique: str) -> str:
    """The `Message-ID` of the mail with this id: the same whenever it is sent again."""
    return f"<{unique}@{sender_domain()}>"


def send(
    *, to: str, subject: str, body: str, html: str = "", headers: Mapping[str, str] | None = None
) -> None:
    """Hand the mail to the server. Raises ProviderError: NOT_SENT if the server certainly does not
    have it, REFUSED if the server will never take it, UNCERTAIN if its response was lost."""
    connection = _open()
    try:
        mail = EmailMultiAlternatives(
            one_line(subject), body, to=[to], headers={**ALL, **(headers or {})}
        )
        if html:
            mail.attach_alternative(html, "text/html")
        connection.send_messages([mail])
    except (smtplib.SMTPException, OSError, MessageError, ValueError) as error:
        raise _verdict(error) from None
    finally:
        _close(connection)


def try_server() -> None:
    """Greet the mail server and sign in, without sending anything. Raises ProviderError."""
    connection = _open()
    server = getattr(connection, "connection", None)  # the sandbox's page has none
    try:
        if server is not None:
            server.ehlo_or_helo_if_needed()
    except (smtplib.SMTPException, OSError):
        raise _unreachable() from None
    finally:
        _close(connection)


def one_line(subject: str) -> str:
    """A subject without line breaks, which would begin another header, and of bearable length."""
    text = " ".join("".join(c if c.isprintable() else " " for c in subject).split())
    return text if len(text) <= LONGEST_SUBJECT else f"{text[: LONGEST_SUBJECT - 1]}…"


def _open() -> Any:
    connection = get_connection()
    try:
        connection.open()
    except (smtplib.SMTPException, OSError) as error:
        _close(connection)
        raise _login_refused(error) or _unreachable() from None
    return connection


def _close(connection: Any) -> None:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        connection.close()


def _login_refused(error: Exception) -> ProviderError | None:
    if not isinstance(error, smtplib.SMTPAuthenticationError):
        return None
    words = _("The mail server refused delivr's user name or password (%d).") % error.smtp_code
    return _not_sent(words, code=LOGIN_REFUSED)


def _unreachable() -> ProviderError:
    return _not_sent(_("The mail server could not be reached."))


def _not_sent(words: str, *, code: str = "mail_server") -> ProviderError:
    return ProviderError(
        code,
        words,
        _("delivr retries it. The operator sets the server in EMAIL_URL."),
        outcome=Outcome.NOT_SENT,
    )


def _verdict(error: Exception) -> ProviderError:
    """https://datatracker.ietf.org/doc/html/rfc5321#section-4.2.1: 4yz is temporary, 5yz is not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _of_recipient(max(code for code, _text in error.recipients.values()))
    if isinstance(error, smtplib.SMTPResponseException):
        return _of_mail(error.smtp_code)
    if isinstance(error, MessageError | ValueError):
        return _of_mail(550)
    return ProviderError(
        "mail_uncertain",
        _("The mail server did not confirm that it accepted the email."),
        "",
        outcome=Outcome.UNCERTAIN,
    )


def _of_recipient(code: int) -> ProviderError:
    if 400 <= code < 500:
        return _later(code)
    return ProviderError.refused(
        RECIPIENT_REFUSED,
        _("The mail server refused this address (%d).") % code,
        _("Check the address; revoke the invitation if it is wrong."),
    )


def _of_mail(code: int) -> ProviderError:
    """The server objects to the sender or the content, not to the address."""
    if 400 <= code < 500:
        return _later(code)
    return ProviderError.refused(
        "mail_rejected",
        _("The mail server refused the email (%d).") % code,
        _("The operator finds the reason in the mail server's log."),
    )


def _later(code: int) -> ProviderError:
    return ProviderError(
        RECIPIENT_LATER,
        _("The mail server is not accepting the email right now (%d).") % code,
        _("delivr retries it."),
        outcome=Outcome.NOT_SENT,
    )
