"""Email as a place where releases and builds are announced."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from django.utils.translation import gettext as _

from delivr import mail, unsubscribe

from ..base import Check, Outcome, ProviderError
from ..chat import ChatProvider, Message, PostedMessage
from ..verifying import try_in_order
from . import markup
from .client import Letter, Section, send
from .fields import clean_recipients

# https://datatracker.ietf.org/doc/html/rfc6647 (greylisting): some minutes.
LATER = 300.0  # seconds until an address that is not taken now is tried again
UNSUBSCRIBE = "mail_unsubscribe"  # the view


class Email(ChatProvider):
    """One email per recipient, through the mail server of the installation. Emails are one thread
    for programs that follow `References`, yet each is noticed: only milestones are sent."""

    label = "Email"
    unreachable_code = mail.RECIPIENT_REFUSED

    def __init__(
        self,
        *,
        recipients: Sequence[str] = (),
        silent: Collection[str] = (),
        list_label: str,
        end_of: Callable[[str], str],
        reason: str,
    ) -> None:
        """`end_of` is the link that ends emails to an address, `silent` those who get none, and
        `reason` why they come, for the end of each email."""
        self._recipients = recipients
        self._silent = silent
        self._list_label = list_label
        self._end_of = end_of
        self._reason = reason

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        def end_of(address: str) -> str:
            hashed = unsubscribe.hash_of(address)
            return unsubscribe.url(UNSUBSCRIBE, connection.tenant_id, connection.pk, hashed)

        return cls(
            recipients=connection.recipients,
            silent=connection.silent,
            list_label=connection.pk,
            end_of=end_of,
            reason=_("You get this because %(workspace)s sends messages about releases to you.")
            % {"workspace": connection.tenant.name},
        )

    @staticmethod
    def escape(text: str) -> str:
        return markup.escape(text)

    @staticmethod
    def link(url: str, label: str) -> str:
        return markup.link(url, label)

    def checks(self) -> Iterator[Check]:
        yield from try_in_order(
            self.label,
            [("address", self._server), ("recipients", self._addresses)],
        )

    def _server(self) -> list[Check]:
        if not mail.is_set_up():
            words = _("This installation has no mail server.")
            hint = _("The operator sets one in EMAIL_URL.")
            return [Check.failed("address", "no_mail_server", words, hint)]
        reached, accepted = Check(name="address", ok=True), Check(name="credentials", ok=True)
        try:
            mail.try_server()
        except ProviderError as error:
            if error.code == mail.LOGIN_REFUSED:
                return [reached, Check.from_error("credentials", error)]
            return [Check.from_error("address", error)]
        return [reached, accepted]

    def _addresses(self) -> Iterator[Check]:
        try:
            clean_recipients(list(self._recipients))
        except ValueError as error:
            yield Check.failed("recipients", "bad_recipients", str(error))
            return
        for address in self._recipients:
            yield self._address(address)

    def _address(self, address: str) -> Check:
        name = f"recipient:{address}"
        if address not in self._silent:
            return Check(name=name, ok=True, subject=address)
        words = _("Nothing is sent to %(address)s any more.") % {"address": address}
        hint = _("The connection's page says why.")
        return replace(Check.warning(name, "silent_recipient", words, hint), subject=address)

    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        """Send it to one recipient. A mail server does not tell what it accepted: after a lost
        response the same email, with the same `Message-ID`, is sent once more."""
        section = Section(title=message.text, lines=markup.lines(message.detail))
        letter = Letter(
            to=channel,
            subject=message.subject or markup.as_text(message.text),
            sections=[section],
            reason=self._reason,
            end=self._end_of(channel),
            unique=correlation,
            list_label=self._list_label,
            references=message.thread,
        )
        return PostedMessage(channel=channel, id=deliver(letter))


def deliver(letter: Letter) -> str:
    """Send it and return its `Message-ID`. Raises ProviderError: NOT_YET for an address that the
    server does not take now, which says nothing about the server."""
    try:
        return send(letter)
    except ProviderError as error:
        if error.code == mail.RECIPIENT_LATER:
            raise ProviderError(
                error.code,
                error.message,
                error.hint,
                outcome=Outcome.NOT_YET,
                retry_after=LATER,
            ) from None
        if error.code == mail.RECIPIENT_REFUSED:
            hint = _("Correct or remove the address, or try it again on the connection's page.")
            raise ProviderError.refused(error.code, error.message, hint) from None
        raise
