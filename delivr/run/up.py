"""`make run`: everything that delivr needs, from one command, on one machine.

`python -m delivr.run.up` is plain Python: it creates the keys before Django's settings are loaded,
and needs little memory beside the processes that it starts.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import environ

from delivr.run import keys
from delivr.run.supervisor import Died, Stopped, Supervisor, describe_exit

BASE_DIR = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
SANDBOX_PORT = 8091
ADDRESSES = "addresses.json"  # in the data directory, while it runs
START_TIMEOUT = 60.0  # seconds until the processes must be ready


class Refused(Exception):
    """It cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """Paths, ports and options, read from the environment and `.env`."""

    data_dir: Path
    port: int
    base_url: str
    sandbox_port: int | None
    has_broker: bool

    @classmethod
    def read(cls, env: MutableMapping[str, str]) -> Plan:
        data_dir = Path(env.get("DELIVR_DATA_DIR") or BASE_DIR / ".data").resolve()
        port = _number(env, "PORT", 8000)
        with_sandbox = env.get("SANDBOX", "1") != "0"
        return cls(
            data_dir=data_dir,
            port=port,
            base_url=env.get("BASE_URL") or f"http://{HOST}:{port}",
            sandbox_port=_sandbox_port(env, data_dir) if with_sandbox else None,
            has_broker=bool(env.get("CELERY_BROKER_URL")),
        )

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self.sandbox_port}" if self.sandbox_port else ""

    @property
    def sandbox_port_file(self) -> Path:
        return self.data_dir / "sandbox" / "port"

    def environment(self, env: MutableMapping[str, str]) -> dict[str, str]:
        """The environment of all processes; values that the operator set are kept."""
        defaults = {
            "DJANGO_SETTINGS_MODULE": "delivr.settings",
            "PYTHONUNBUFFERED": "1",
            "DELIVR_DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
        }
        if self.sandbox_port:
            defaults |= sandbox_settings(self.sandbox_url)
            allowed = [env.get("OUTBOUND_ALLOW", ""), f"{HOST}:{self.sandbox_port}"]
            env = {**env, "OUTBOUND_ALLOW": ",".join(filter(None, allowed))}
        given = {name: value for name, value in env.items() if value}
        return defaults | given


def sandbox_settings(url: str) -> dict[str, str]:
    """The settings that point the real clients at the sandbox."""
    return {
        "SANDBOX_URL": url,
        "GITHUB_API_URL": f"{url}/github",
        "SLACK_API_URL": f"{url}/slack/api/",
        "APP_STORE_CONNECT_URL": f"{url}/appstore",
        "GOOGLE_PLAY_URL": f"{url}/play",
        "GOOGLE_PLAY_REPORTING_URL": f"{url}/playreporting",
        "GOOGLE_TOKEN_URL": f"{url}/google/token",
    }


def addresses(data_dir: Path) -> dict[str, str]:
    """The settings with which `make run` now runs from this directory, as far as they say where
    delivr and the sandbox are; empty if it does not run. After SIGKILL the file is still there."""
    path = data_dir / ADDRESSES
    if not path.exists():
        return {}
    with suppress(Refused), _lock_data_dir(data_dir):
        return {}
    return dict(json.loads(path.read_text()))


def begin_again(data_dir: Path) -> None:
    """Become this same command with those settings, since settings are read once. Returns only if
    there is no sandbox."""
    running = addresses(data_dir)
    if running.get("SANDBOX_URL"):
        command = [sys.executable, *sys.argv]
        os.execve(sys.executable, command, {**os.environ, **running})  # noqa: S606 # our own


def _tell_addresses(plan: Plan) -> None:
    """For `manage.py demo`, which talks to what runs here."""
    env = plan.environment(os.environ) | {"BASE_URL": plan.base_url}
    names = ["PORT", "BASE_URL", "OUTBOUND_ALLOW", *sandbox_settings("")]
    known = {name: env[name] for name in names if name in env}
    (plan.data_dir / ADDRESSES).write_text(json.dumps(known))


def main() -> int:
    """Run until Ctrl-C or SIGTERM: 0. A process died or the start failed: 1."""
    os.chdir(BASE_DIR)
    environ.Env.read_env(BASE_DIR / ".env") if (BASE_DIR / ".env").exists() else None
    try:
        plan = Plan.read(os.environ)
        with _lock_data_dir(plan.data_dir):
            keys.ensure(plan.data_dir)
            return _run(plan)
    except Refused as refusal:
        say(str(refusal))
        return 1


def _run(plan: Plan) -> int:
    if plan.sandbox_port:
        _reserve_port(plan.sandbox_port, "SANDBOX_PORT").close()
    with (
        _reserve_port(plan.port, "PORT") as web,
        Supervisor(plan.data_dir / "logs", plan.environment(os.environ)) as supervisor,
    ):
        try:
            logins = _prepare(plan, supervisor)
            _start(plan, supervisor, web.fileno())
            supervisor.wait_until(_is_ready(plan), seconds=START_TIMEOUT, what="The web server")
            say(block(plan, logins))
            supervisor.watch()
        except Stopped:
            say("Stopping …")
            return 0
        except (Died, TimeoutError) as trouble:
            say(f"{trouble}\nStopping the rest.")
        finally:
            (plan.data_dir / ADDRESSES).unlink(missing_ok=True)
    return 1


def _prepare(plan: Plan, supervisor: Supervisor) -> dict[str, Any]:
    """Migrate, collect the static files, create the demo workspace; returns the demo's logins."""
    output = plan.data_dir / "logs" / "prepare.json"
    arguments = ["manage.py", "prepare", "--json", str(output)]
    child = supervisor.start("prepare", [*arguments, *(["--demo"] if plan.sandbox_port else [])])
    supervisor.children.remove(child)  # it ends by itself
    say("Preparing the database and the static files …")
    try:
        while child.is_alive:
            supervisor.look()
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(0.1)
    finally:
        if child.is_alive:
            child.process.terminate()
            child.process.wait()
    if child.process.returncode:
        print(child.tail.path.read_text()[-1500:])  # noqa: T201
        raise Died(f"Preparing {describe_exit(child.process.returncode)}: {child.tail.path}")
    answer: dict[str, Any] = json.loads(output.read_text())
    output.unlink()  # it contains the demo's passwords
    return answer


def _start(plan: Plan, supervisor: Supervisor, web_socket: int) -> None:
    _tell_addresses(plan)
    if plan.sandbox_port:
        state = plan.sandbox_port_file.parent
        state.mkdir(exist_ok=True)
        plan.sandbox_port_file.write_text(str(plan.sandbox_port))
        arguments = ["--port", str(plan.sandbox_port), "--state-dir", str(state)]
        supervisor.start("sandbox", ["manage.py", "sandbox", *arguments])
    supervisor.start("sweeper", ["manage.py", "sweep"])
    supervisor.start("listener", ["manage.py", "listen"])
    if plan.has_broker:
        worker = ["worker", "--pool", "threads", "--concurrency", "16", "--loglevel", "INFO"]
        supervisor.start("worker", ["-m", "celery", "--app", "delivr.celery", *worker])
    web = ["-m", "gunicorn", "--bind", f"fd://{web_socket}"]
    supervisor.start("web", web, pass_fds=[web_socket])


def _is_ready(plan: Plan) -> Callable[[], bool]:
    host = urlsplit(plan.base_url).netloc

    def ready() -> bool:
        has_sandbox = not plan.sandbox_port or _answers(plan.sandbox_port, "/")
        return has_sandbox and _answers(plan.port, "/readyz", Host=host)

    return ready


def _answers(port: int, path: str, **headers: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def block(plan: Plan, logins: dict[str, Any]) -> str:
    """What to show in the terminal once everything runs."""
    rows = [("delivr is ready", plan.base_url)]
    for label, login in logins.items():
        rows.append((label, f"{login['email']}   {login['password'] or '(as you changed it)'}"))
    if plan.sandbox_port:
        rows.append(("Provider sandbox", f"{plan.sandbox_url}   Slack, Jira, CI servers"))
    rows += [("Logs and emails", f"{plan.data_dir / 'logs'}"), ("Stop", "Ctrl-C")]
    width = max(len(label) for label, _ in rows)
    return "\n".join(["", *(f"  {label:<{width}}   {text}" for label, text in rows), ""])


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


# --- Ports and the data directory ----------------------------------------------------------------


def _number(env: MutableMapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise Refused(f"{name} must be a port between 1 and 65535, not {text!r}.")
    return int(text)


def _sandbox_port(env: MutableMapping[str, str], data_dir: Path) -> int:
    """The given port, or the last one (the demo's connections point to it), or a free one."""
    known = data_dir / "sandbox" / "port"
    if env.get("SANDBOX_PORT"):
        return _number(env, "SANDBOX_PORT", SANDBOX_PORT)
    if known.exists():
        return int(known.read_text())
    wanted = range(SANDBOX_PORT, SANDBOX_PORT + 100)
    return next((port for port in wanted if is_free(port)), SANDBOX_PORT)


def is_free(port: int) -> bool:
    try:
        _reserve_port(port, "PORT").close()
    except Refused:
        return False
    return True


def _reserve_port(port: int, name: str) -> socket.socket:
    """Reserve a port before anything else is done. Raises Refused."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((HOST, port))
        taken.listen()  # other processes could also bind a port that is only bound
    except OSError as error:
        taken.close()
        raise Refused(
            f"Port {port} is not available ({error.strerror}). Choose another: {name}={port + 1} "
            "make run"
        ) from None
    return taken


def _lock_data_dir(data_dir: Path) -> IO[str]:
    """An open lock file: two sweepers would be harmless, two sandboxes not."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (data_dir / "run.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Refused(
            f"delivr already runs from {data_dir}. Stop it first, or use another directory: "
            "DELIVR_DATA_DIR=… make run"
        ) from None
    return lock


if __name__ == "__main__":
    sys.exit(main())
