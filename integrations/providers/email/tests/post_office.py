"""A real mail server (aiosmtpd) on loopback, which refuses what a test wants refused."""

from __future__ import annotations

import contextlib
import email
import email.message
import email.policy
import socket
from collections.abc import Iterator
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


class PostOffice:
    """`refusals`: by recipient the answer to RCPT; `drops`: recipients of whose next email the
    answer to DATA is lost, though the email is taken."""

    def __init__(self) -> None:
        self.taken: list[email.message.EmailMessage] = []
        self.envelopes: list[list[str]] = []
        self.refusals: dict[str, str] = {}
        self.drops: list[str] = []
        self.greetings = 0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        self.greetings += 1
        session.host_name = hostname
        return answers

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.refusals.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content: Any = envelope.original_content
        self.taken.append(email.message_from_bytes(content, policy=email.policy.default))
        self.envelopes.append(list(envelope.rcpt_tos))
        if self.drops and self.drops[0] in envelope.rcpt_tos:
            self.drops.pop(0)
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]
        return "250 taken"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.password == b"right", handled=False)


@contextlib.contextmanager
def post_office(settings: Any, **options: Any) -> Iterator[PostOffice]:
    """The server runs, and the settings point to it; `options` are those of aiosmtpd's SMTP."""
    office = PostOffice()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(office, hostname="127.0.0.1", port=port, **options)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    try:
        yield office
    finally:
        controller.stop()
