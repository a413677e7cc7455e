"""For callers: a requests session that applies the rules of this package to each call."""

from __future__ import annotations

import http.cookiejar
from collections.abc import Iterator
from typing import Any, cast

import certifi
import requests
import requests.adapters
import urllib3
from django.conf import settings

from delivr.monitoring import traces
from delivr.outbound.failures import explain, not_http
from delivr.outbound.sockets import Call, HTTPPool, HTTPSPool, tls_context
from delivr.outbound.urls import (
    OutboundError,
    Target,
    bad_url,
    check_target,
    host_name,
    refused,
    split,
)

DEADLINE = 20.0  # seconds
MAX_BODY = 1024 * 1024  # bytes, after decompression
_USER_AGENT = "delivr"


NOT_MODIFIED = 304  # the answer to a conditional request: it leads nowhere


class Adapter(requests.adapters.HTTPAdapter):
    """A requests adapter that applies all rules of this package.

    Raises only OutboundError, for every response that is not complete. `deadline` is in seconds; a
    smaller `timeout` of a single request shortens it. `host`: refuse all other hosts.
    `keep_redirects`: return a 3xx response instead of raising. `only_public`: refuse also those
    private addresses that the operator allows.
    """

    def __init__(
        self,
        *,
        deadline: float = DEADLINE,
        host: str | None = None,
        keep_redirects: bool = False,
        only_public: bool = False,
    ) -> None:
        super().__init__(max_retries=0)
        self.deadline = deadline
        self.only_host = host and host_name(host)
        self.keep_redirects = keep_redirects
        self.only_public = only_public

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        target = split(request.url or "")
        if self.only_host and target.host != self.only_host:
            raise refused(target.host)
        check_target(target)
        seconds = min(self.deadline, timeout) if isinstance(timeout, int | float) else self.deadline
        call = Call(seconds, target.netloc, only_public=self.only_public)
        with traces.call(request.method, target.host, target.port, request.headers):
            try:
                return self._send(request, target, call, verify)
            except OutboundError:
                raise
            except Exception as error:  # whatever a library lets through; see `explain`
                failure = explain(error, call)
            raise failure  # raised here, without a cause that may contain headers

    def _send(
        self, request: requests.PreparedRequest, target: Target, call: Call, verify: bool | str
    ) -> requests.Response:
        pool = pool_for(target, call, verify)
        try:
            raw = self._urlopen(pool, request)
            with raw:
                response = self.build_response(request, cast(Any, raw))
                self._check_status(response, call)
                response._content = b"".join(_body(raw, call))
                response._content_consumed = True  # type: ignore[attr-defined]
        finally:
            pool.close()
            call.close()
        return response

    def _urlopen(
        self, pool: urllib3.HTTPConnectionPool, request: requests.PreparedRequest
    ) -> urllib3.BaseHTTPResponse:
        return pool.urlopen(
            request.method or "GET",
            self.request_url(request, None),
            body=request.body,
            headers=request.headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            chunked=request.body is not None and "Content-Length" not in request.headers,
        )

    def _check_status(self, response: requests.Response, call: Call) -> None:
        if response.status_code < 200:
            raise not_http(call)
        traces.answered(response.status_code)
        is_redirect = 300 <= response.status_code < 400 and response.status_code != NOT_MODIFIED
        if is_redirect and not self.keep_redirects:
            raise call.error(
                "redirect",
                f"{call.where} redirects to another address.",
                "Enter the final URL, the one that your browser shows after opening it.",
            )


def pool_for(target: Target, call: Call, verify: bool | str) -> urllib3.HTTPConnectionPool:
    """A pool for one call: connections are not kept, so each one is checked."""
    if target.scheme == "http":
        return HTTPPool(target.host, target.port, maxsize=1, call=call)
    # verify=False does not switch the check off.
    authorities = [verify if isinstance(verify, str) else certifi.where()]
    if settings.OUTBOUND_CA_BUNDLE:
        authorities.append(settings.OUTBOUND_CA_BUNDLE)
    return HTTPSPool(
        target.host, target.port, maxsize=1, ssl_context=tls_context(*authorities), call=call
    )


def connect(url: str, *, deadline: float = DEADLINE) -> None:
    """Connect as a request to `url` would, with TLS, and send nothing. Raises OutboundError."""
    target = split(url)
    check_target(target)
    call = Call(deadline, target.netloc)
    pool = pool_for(target, call, True)
    try:
        pool._new_conn().connect()
        return
    except OutboundError:
        raise
    except Exception as error:
        failure = explain(error, call)
    finally:
        pool.close()
        call.close()
    raise failure


def _body(raw: urllib3.BaseHTTPResponse, call: Call) -> Iterator[bytes]:
    size = 0
    for part in raw.stream(65536, decode_content=True):
        size += len(part)
        if size > MAX_BODY:
            raise call.error(
                "too_large",
                f"The response from {call.where} is larger than 1 MB.",
                "Check that this is the address of the API.",
            )
        yield part


class Session(requests.Session):
    """A requests session with our adapter: no cookies, no environment, no redirects."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = _USER_AGENT
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self.adapters.clear()
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None

    def request(
        self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any
    ) -> requests.Response:
        try:
            return super().request(method, url, *args, **kwargs)
        except (requests.RequestException, UnicodeError):  # not ours: nothing was sent
            pass
        raise bad_url("The address or a header for it is invalid.")


def session(
    *, deadline: float = DEADLINE, host: str | None = None, keep_redirects: bool = False
) -> Session:
    """A session with the adapter mounted for http and https; see `Adapter` for the arguments."""
    return Session(Adapter(deadline=deadline, host=host, keep_redirects=keep_redirects))
