"""Sends one email through the operator's server."""

from __future__ import annotations

import contextlib
import smtplib
from email.errors import MessageError

from django.core.mail import EmailMessage, get_connection
from django.utils.translation import gettext as _

from delivr.failures import Outcome, ProviderError


def send(*, to: str, subject: str, body: str) -> None:
    """Hand the mail to the server. Raises ProviderError: NOT_SENT if the server certainly does not
    have it, REFUSED if the server will never take it, UNCERTAIN if its response was lost."""
    connection = get_connection()
    try:
        connection.open()
    except (smtplib.SMTPException, OSError) as error:
        raise _not_sent(error) from None
    try:
        connection.send_messages([EmailMessage(" ".join(subject.split()), body, to=[to])])
    except (smtplib.SMTPException, OSError, MessageError, ValueError) as error:
        raise _verdict(error) from None
    finally:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.close()


def _not_sent(error: Exception) -> ProviderError:
    return ProviderError(
        "mail_server",
        _("The mail server could not be reached."),
        _("delivr retries it. The operator sets the server in EMAIL_URL."),
        outcome=Outcome.NOT_SENT,
    )


def _verdict(error: Exception) -> ProviderError:
    """https://datatracker.ietf.org/doc/html/rfc5321#section-4.2.1: 4yz is temporary, 5yz is not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _answered(max(code for code, _text in error.recipients.values()))
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code)
    if isinstance(error, MessageError | ValueError):
        return _answered(550)
    return ProviderError(
        "mail_uncertain",
        _("The mail server did not confirm that it accepted the email."),
        "",
        outcome=Outcome.UNCERTAIN,
    )


def _answered(code: int) -> ProviderError:
    if 400 <= code < 500:
        return ProviderError(
            "mail_later",
            _("The mail server is not accepting the email right now (%d).") % code,
            _("delivr retries it."),
            outcome=Outcome.NOT_SENT,
        )
    return ProviderError.refused(
        "mail_refused",
        _("The mail server refused this address (%d).") % code,
        _("Check the address; revoke the invitation if it is wrong."),
    )
