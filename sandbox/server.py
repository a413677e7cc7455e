"""The sandbox as a Flask application, and as a threaded server for tests and the command."""

from __future__ import annotations

import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox import accounts as sandbox_accounts
from sandbox import (
    app_pages,
    control,
    control_actions,
    control_pipelines,
    control_receivers,
    control_slack,
    control_stores,
    mail_pages,
    page,
    page_actions,
    page_health,
    page_listeners,
    page_pipelines,
    page_receivers,
    page_stores,
    presses,
    project_pages,
    repository_pages,
)
from sandbox.accounts import Accounts
from sandbox.context import KEY
from sandbox.gate import Gate, is_cut
from sandbox.providers import (
    any_ci,
    app_store,
    github,
    github_actions,
    github_apps,  # noqa: F401 -- its routes
    github_files,
    github_graphql,
    github_releases,  # noqa: F401 -- its routes
    gitlab,
    gitlab_pipelines,  # noqa: F401 -- its routes
    gitlab_releases,  # noqa: F401 -- its routes and those of gitlab_repository
    google_play,
    jenkins,
    jira,
    listeners,
    play_reporting,
    sentry,
    slack,
    slack_people,  # noqa: F401 -- its methods
)
from sandbox.sockets import SocketGate
from sandbox.state import SandboxState

HOST = "127.0.0.1"
github_actions.add_to(github.blueprint)
TICK = 0.1  # seconds between two checks of the clock


def create_app(state: SandboxState, accounts: Accounts) -> Flask:
    """The stand-ins, the control API and the pages, without the gate."""
    app = Flask("sandbox", static_folder="static", static_url_path="/sandbox/static")
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.converters["enc"] = gitlab.Encoded
    app.wsgi_app = gitlab.KeepsSlashes(app.wsgi_app)  # type: ignore[method-assign]
    app.extensions[KEY] = {"state": state, "accounts": accounts}
    app.register_blueprint(github_files.storage)
    for part in (
        github,
        gitlab,
        jenkins,
        slack,
        jira,
        app_store,
        google_play,
        play_reporting,
        sentry,
        any_ci,
        control,
        control_actions,
        control_pipelines,
        page,
        page_actions,
        page_health,
        control_receivers,
        control_slack,
        control_stores,
        page_pipelines,
        page_receivers,
        page_stores,
        presses,
        page_listeners,
    ):
        app.register_blueprint(part.blueprint)
    app.register_blueprint(listeners.endpoint)
    app.register_blueprint(listeners.teams)
    app.register_blueprint(github.blueprint, name="github_enterprise", url_prefix="/api/v3")
    app.register_blueprint(github_graphql.enterprise)
    for pages in (repository_pages, project_pages):
        app.register_blueprint(pages.control)
        app.register_blueprint(pages.blueprint)
    app.register_blueprint(app_pages.blueprint)
    app.register_blueprint(mail_pages.blueprint)
    app.register_blueprint(jira.blueprint, name=jira.GATEWAY, url_prefix=jira.GATEWAY_PREFIX)
    app.register_blueprint(
        jira.blueprint, name=jira.DATA_CENTER, url_prefix=jira.DATA_CENTER_PREFIX
    )
    return app


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def connection_dropped(
        self, error: BaseException, environ: dict[str, object] | None = None
    ) -> None:
        self.close_connection = True  # a cut connection must not wait for the next request

    def log(self, type: str, message: str, *args: object) -> None:
        logging.getLogger("sandbox.access").debug(message, *args)


class _Server(ThreadedWSGIServer):
    request_queue_size = 128

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close the connection cleanly, unless a fault requires a reset."""
        if isinstance(request, socket.socket) and request.fileno() != -1 and is_cut(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)


class SandboxServer:
    """A running sandbox on loopback: `with SandboxServer(state_dir=tmp_path) as s: s.url`.

    `auto_finish`: seconds after which builds end by themselves; None: `state.jenkins.finish(...)`.
    `clock`: seconds since the epoch; signatures and tokens are always checked against real time.
    """

    def __init__(
        self,
        *,
        state_dir: Path | None = None,
        port: int = 0,
        auto_finish: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if state_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sandbox-")
            state_dir = Path(self._temporary.name)
        self.state_dir = Path(state_dir)
        self.accounts = sandbox_accounts.load(self.state_dir)
        self.state = SandboxState(self.state_dir, clock=clock, auto_finish=auto_finish)
        self._stopping = threading.Event()
        gate = Gate(create_app(self.state, self.accounts).wsgi_app, self.state, self._stopping)
        app = SocketGate(gate, self.state.sockets)
        self._server = _Server(HOST, port, app, handler=_Handler)
        self.port = self._server.port
        self.url = f"http://{HOST}:{self.port}"
        self.state.base_url = self.url
        self._threads = [
            threading.Thread(
                target=self._server.serve_forever,
                kwargs={"poll_interval": TICK},
                name="sandbox-http",
                daemon=True,
            ),
            threading.Thread(target=self._tick, name="sandbox-clock", daemon=True),
        ]

    def start(self) -> Self:
        self.state.sender.start()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Stop the server, send the remaining webhooks and write a last snapshot."""
        self._stopping.set()
        self.state.sockets.close()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()
        self.state.sender.stop()
        self.state.save()
        if self._temporary:
            self._temporary.cleanup()

    def _tick(self) -> None:
        while not self._stopping.wait(TICK):
            self.state.settle()
            self.state.save_if_due()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
