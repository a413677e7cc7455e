"""Turns whatever the libraries raise into the meaning of a failed call."""

from __future__ import annotations

import http.client
import ssl
import time

import urllib3.exceptions

from delivr.outbound.sockets import Call
from delivr.outbound.urls import OutboundError


def _root(error: BaseException) -> BaseException:
    """The cause that urllib3 wrapped and passes on in the arguments of its errors."""
    while isinstance(error, urllib3.exceptions.HTTPError):
        inner = next((arg for arg in reversed(error.args) if isinstance(arg, Exception)), None)
        if inner is None or isinstance(error, urllib3.exceptions.InvalidChunkLength):
            return error
        error = inner
    return error


_TIMEOUTS = (TimeoutError, urllib3.exceptions.TimeoutError)
_RESETS = (http.client.RemoteDisconnected, http.client.IncompleteRead, OSError)


def explain(error: Exception, call: Call) -> OutboundError:
    """The OutboundError for any failure of a call, without its cause, which may contain secrets."""
    cause = _root(error)
    where = call.where
    if isinstance(cause, _TIMEOUTS) or time.monotonic() >= call.until:
        return call.error(
            "timeout",
            f"{where} did not respond within {call.seconds:g} seconds.",
            "Check that it is running and reachable from this server.",
        )
    if isinstance(cause, ssl.SSLError | ssl.CertificateError) and not call.sent:
        return _explain_tls(cause, call)
    if isinstance(cause, urllib3.exceptions.InvalidChunkLength | http.client.LineTooLong):
        return not_http(call)
    if isinstance(cause, _RESETS):
        return call.error(
            "reset",
            f"{where} closed the connection before it responded.",
            "Check that it is running, and whether a proxy or firewall is in between.",
        )
    return not_http(call)


def not_http(call: Call) -> OutboundError:
    return call.error(
        "garbage",
        f"The response from {call.where} is not HTTP.",
        "Check that the address and port are right.",
    )


def _explain_tls(cause: ssl.SSLError, call: Call) -> OutboundError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return call.error(
            "tls",
            f"The certificate of {call.where} is not trusted: {cause.verify_message}.",
            "Install a certificate from a public authority for exactly this host name. For your "
            "own authority, ask the operator of this server to set OUTBOUND_CA_BUNDLE.",
        )
    return call.error(
        "tls",
        f"The TLS connection to {call.where} failed.",
        "If it uses plain HTTP, begin the address with http://.",
    )
