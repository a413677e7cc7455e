"""Emails as a real mail server takes them, and refuses them."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.chat import Message
from integrations.providers.email.fields import MAX_RECIPIENTS, clean_recipients
from integrations.providers.email.provider import LATER, Email
from integrations.providers.email.tests.post_office import PostOffice, authenticate, post_office

pytestmark = pytest.mark.on_sqlite

ADA = "ada@example.com"
END = "https://delivr.example/unsubscribe/x"


def email_to(*recipients: str, **changes: Any) -> Email:
    given: dict[str, Any] = {
        "list_label": "comm_email_1",
        "end_of": lambda _address: END,
        "reason": "You get this because you wanted it.",
    }
    return Email(recipients=recipients, **{**given, **changes})


def post(to: str = ADA, **message: Any) -> str:
    content = {
        "text": "❌ iOS build #245 failed",
        "subject": "[App] 1.5.0: iOS build #245 failed",
        "detail": f"Branch `x` · {Email.escape('<b>`A & B`</b>')} · "
        + Email.link("https://ci.example/?a=1&b=2", "Build"),
    }
    posted = email_to(to).post(
        channel=to, message=Message(**{**content, **message}), correlation="eff_1"
    )
    return posted.id


def test_an_email_has_both_parts_and_the_headers_of_a_list(office: PostOffice) -> None:
    assert post(thread="<eff_0@delivr.example>") == "<eff_1@delivr.example>"
    [mail] = office.taken
    assert office.envelopes == [[ADA]]
    assert {
        name: mail[name]
        for name in ("To", "Subject", "Message-ID", "References", "In-Reply-To", "Auto-Submitted")
    } == {
        "To": ADA,
        "Subject": "[App] 1.5.0: iOS build #245 failed",
        "Message-ID": "<eff_1@delivr.example>",
        "References": "<eff_0@delivr.example>",
        "In-Reply-To": "<eff_0@delivr.example>",
        "Auto-Submitted": "auto-generated",
    }
    assert mail["List-Id"] == "<comm_email_1.delivr.example>"
    assert mail["List-Unsubscribe"].strip() == f"<{END}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Bcc"] is mail["Cc"] is None
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    text = plain.get_content()
    for line in ("❌ iOS build #245 failed", "Branch x", "<b>`A & B`</b>", "wanted it", END):
        assert line in text
    assert "Build: https://ci.example/?a=1&b=2" in text
    shown = html.get_content()
    assert "&lt;b&gt;&#96;A &amp; B&#96;&lt;/b&gt;" in shown
    assert "Branch <code>x</code>" in shown
    assert 'href="https://ci.example/?a=1&amp;b=2"' in shown
    assert "src=" not in shown, "nothing is loaded from outside"


def test_one_click_is_only_announced_over_https(office: PostOffice) -> None:
    email_to(end_of=lambda _a: "http://127.0.0.1/x").post(
        channel=ADA, message=Message(text="x"), correlation="eff_1"
    )
    [mail] = office.taken
    assert mail["List-Unsubscribe"] == "<http://127.0.0.1/x>"
    assert mail["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("a\r\nBcc: eve@example.com\r\n\r\nx", "a Bcc: eve@example.com x"),
        ("a\x00\x0b\u2028b", "a b"),
        ("Größe 🚀", "Größe 🚀"),
        ("x" * 5000, "x" * 249 + "…"),
    ],
)
def test_a_subject_is_one_header(office: PostOffice, subject: str, shown: str) -> None:
    post(subject=subject)
    [mail] = office.taken
    assert mail["Subject"].strip() == shown  # folded, a long word begins a line
    assert mail["Bcc"] is None
    assert office.envelopes == [[ADA]]


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("ada+releases@example.com", "ada+releases@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("o'neil@example.com", "o'neil@example.com"),
    ],
)
def test_unusual_addresses_are_reached(office: PostOffice, address: str, sent: str) -> None:
    assert clean_recipients([address]) == [address]
    post(to=address)
    assert office.envelopes == [[sent]]


@pytest.mark.parametrize(
    "entered",
    [
        [],
        [" "],
        ["x"],
        ["a@b"],
        ["a b@example.com"],
        ["a@example.com\r\nBcc: eve@example.com"],
        ["Ada <ada@example.com>"],
        ["a@example.com, b@example.com"],
        [f"{'x' * 310}@example.com"],
        [f"a{n}@example.com" for n in range(MAX_RECIPIENTS + 1)],
    ],
)
def test_a_wrong_address_is_refused_with_words(entered: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        clean_recipients(entered)


def test_an_address_is_listed_once() -> None:
    found = clean_recipients([" Ada@Example.com", "ada@example.com", "b@example.com"])
    assert found == ["Ada@Example.com", "b@example.com"]


@pytest.mark.parametrize(
    ("answer", "code", "outcome"),
    [
        ("450 4.2.0 greylisted", "mail_later", Outcome.NOT_YET),
        ("421 4.7.0 come again", "mail_later", Outcome.NOT_YET),
        ("550 5.1.1 no such box", "mail_refused", Outcome.REFUSED),
        ("554 5.7.1 not for you", "mail_refused", Outcome.REFUSED),
    ],
)
def test_a_refusal_is_about_the_recipient(
    office: PostOffice, answer: str, code: str, outcome: Outcome
) -> None:
    office.refusals[ADA] = answer
    with pytest.raises(ProviderError) as refused:
        post()
    assert (refused.value.code, refused.value.outcome) == (code, outcome)
    assert refused.value.hint
    assert refused.value.retry_after == (LATER if outcome is Outcome.NOT_YET else None)
    assert not office.taken
    post(to="b@example.com")
    assert office.envelopes == [["b@example.com"]]


def test_a_lost_answer_leaves_doubt(office: PostOffice) -> None:
    office.drops.append(ADA)
    with pytest.raises(ProviderError) as lost:
        post()
    assert lost.value.outcome is Outcome.UNCERTAIN
    assert len(office.taken) == 1


def test_verification_signs_in_and_sends_nothing(office: PostOffice) -> None:
    checks = email_to(ADA, "b@example.com", silent={"b@example.com"}).verify()
    assert [(c.name, c.ok, c.level) for c in checks] == [
        ("address", True, "ERROR"),
        ("credentials", True, "ERROR"),
        (f"recipient:{ADA}", True, "ERROR"),
        ("recipient:b@example.com", False, "WARNING"),
    ]
    assert office.greetings >= 1
    assert not office.taken
    assert email_to("x").verify()[-1].code == "bad_recipients"


@pytest.mark.parametrize(
    ("password", "code", "words"),
    [("right", "ok", ""), ("wrong", "mail_login", "refused delivr's user name or password (535)")],
)
def test_verification_needs_the_password(
    settings: Any, password: str, code: str, words: str
) -> None:
    options = {"authenticator": authenticate, "auth_require_tls": False}
    with post_office(settings, **options):
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "delivr", password
        reached, accepted, *_others = email_to(ADA).verify()
    assert reached.ok
    assert accepted.code == code
    assert words in accepted.message


def test_verification_fails_without_a_server(settings: Any) -> None:
    settings.EMAIL_URL = settings.SANDBOX_URL = ""
    assert email_to(ADA).verify()[0].code == "no_mail_server"
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    check = email_to(ADA).verify()[0]
    assert (check.code, check.is_temporary) == ("mail_server", True)
