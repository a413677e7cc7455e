"""The sandbox's inbox: the emails that delivr would have sent, with both parts and all headers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, render_template

from sandbox.context import state
from sandbox.control import guard
from sandbox.outbox import mail_of, mails_in
from sandbox.page import headers

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-popups"
    " allow-popups-to-escape-sandbox"
)
blueprint = Blueprint("mail_page", __name__)
blueprint.before_request(guard)
blueprint.after_request(headers)


@blueprint.get("/mails")
def mails() -> str:
    found = mails_in(state().state_dir)
    return render_template("sandbox/mails.html", mails=[_timed(mail) for mail in found])


@blueprint.get("/mails/<int:mail_id>")
def mail(mail_id: int) -> str:
    return render_template("sandbox/mail.html", mail=_timed(_mail(mail_id)))


@blueprint.get("/mails/<int:mail_id>/html")
def mail_html(mail_id: int) -> Response:
    """The HTML part as a mail program shows it: with its own styles, and nothing from outside."""
    response = Response(_mail(mail_id)["html"], mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _mail(mail_id: int) -> dict[str, Any]:
    return mail_of(state().state_dir, mail_id) or abort(404)


def _timed(mail: dict[str, Any]) -> dict[str, Any]:
    return {**mail, "time": datetime.fromtimestamp(mail["at"]).strftime("%H:%M:%S")}
