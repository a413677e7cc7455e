"""The whole product as processes that can be stopped, frozen and killed: its own PostgreSQL cluster
and Redis, the sandbox, gunicorn, two Celery workers and a sweeper.

`Stack` needs `redis-server` and PostgreSQL's programs (PG_BIN); `Product` uses an existing database
and broker. This module does not use Django.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import redis

from delivr.tests.product import free_port

ROOT = Path(__file__).resolve().parent.parent
PG_BIN = Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin"))
PYTHON = sys.executable
OLD, NEW = "only-for-faults-0123456789", "the-new-key-0123456789"  # of FERNET_KEYS
AUTO_FINISH = 4.0  # seconds that a build takes in the sandbox


def until(condition: Callable[[], Any], *, seconds: float, what: str, pause: float = 0.2) -> Any:
    """Wait until `condition()` is true; its value. Raises TimeoutError with `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(pause)
    raise TimeoutError(f"not within {seconds:.0f} s: {what}")


class Process:
    """One child process that can be killed and started again."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], logs: Path) -> None:
        self.name, self.command, self.env = name, command, env
        self.log = logs / f"{name}.log"
        self.child: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL the process and its children at once, so that nothing is cleaned up."""
        self.kills += 1
        self.signal(signal.SIGKILL)
        if self.child is not None:
            self.child.wait()

    def signal(self, number: int) -> None:
        if self.child is not None and self.child.poll() is None:
            os.killpg(self.child.pid, number)

    def stop(self) -> None:
        """TERM, then KILL after 15 s."""
        if self.child is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.child.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.child.wait()


class Postgres:
    """A separate cluster. `initdb` refuses to run as root, so root becomes the user postgres."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "pg", free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        is_root = os.geteuid() == 0
        self._as_user = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if is_root else []
        )
        self.folder.mkdir(mode=0o700)
        if is_root:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-D", str(self.folder), "-U", "postgres", "-A", "trust", "-E", "UTF8")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as_user, str(PG_BIN / program), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _control(self, *arguments: str) -> None:
        self._run(
            "pg_ctl", "-D", str(self.folder), "-w", "-l", str(self.folder / "log"), *arguments
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._control("-o", options, "start")

    def dump(self, name: str) -> None:
        """Dump what is committed now."""
        url = self.url.rpartition("/")[0] + f"/{name}"
        self._run("pg_dump", "-Fc", "-f", str(self.folder / "dump"), "-d", url)

    def restore(self, name: str) -> str:
        """Restore the dump into a new database; its URL."""
        url = self.url.rpartition("/")[0] + f"/{name}"
        self._run("createdb", "--maintenance-db", self.url, name)
        self._run("pg_restore", "-d", url, str(self.folder / "dump"))
        return url

    def stop(self, mode: str = "fast") -> None:
        """`immediate` simulates a power cut."""
        self._control("-m", mode, "stop")


class Sandbox:
    """A client of the sandbox's control API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/sandbox/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"ledger?kind={kind}")["ledger"]
        return found

    def requests(self, provider: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"requests?provider={provider}")["requests"]
        return found

    def fault(self, kind: str, **settings: Any) -> None:
        self.ask("POST", "faults", {"kind": kind, **settings})

    def no_faults(self) -> None:
        self.ask("DELETE", "faults")

    def copy_job(self, like: str, name: str) -> None:
        self.ask("PUT", f"jenkins/jobs/{name}", {"copyOf": like})

    def finish(
        self, job: str, number: int, result: str = "SUCCESS", *, server: str = "jenkins"
    ) -> None:
        self.ask("POST", f"{server}/jobs/{job}/builds/{number}/finish", {"result": result})

    def builds(self) -> dict[tuple[str, int], str]:
        """The result of each build by job and number; "" while it runs. A project on GitLab and a
        receiver have no jobs."""
        jobs = [
            ("" if server in ("gitlab_ci", "webhook") else job["name"], job)
            for server in ("jenkins", "github_actions", "gitlab_ci", "webhook")
            for job in self.ask("GET", f"{server}/jobs")["jobs"]
        ]
        return {(name, b["number"]): _result(b) for name, job in jobs for b in job["builds"]}

    def is_up(self) -> bool:
        try:
            return bool(self.ask("GET", "clock"))
        except OSError:
            return False


def _result(build: dict[str, Any]) -> str:
    """In delivr's words."""
    result = (build["result"] or "").upper()
    return {"CANCELLED": "ABORTED", "CANCELED": "ABORTED", "FAILED": "FAILURE"}.get(result, result)


class Product:
    """delivr's processes and the sandbox, with the database and the broker that `env` names. A
    context manager that starts and stops them."""

    def __init__(self, folder: Path, env: Mapping[str, str], *, workers: int = 2) -> None:
        self.folder = folder
        self.web_port, sandbox_port = free_port(), free_port()
        self.sandbox = Sandbox(sandbox_port)
        self.env = {**os.environ, **env, **self._environment()}
        plan = self._plan(sandbox_port, workers)
        self.processes = {name: self._process(name, argv) for name, argv in plan.items()}

    def _process(self, name: str, command: list[str]) -> Process:
        return Process(name, command, dict(self.env), self.folder)

    def _environment(self) -> dict[str, str]:
        url = self.sandbox.url
        return {
            "DELIVR_DATA_DIR": str(self.folder / "data"),
            "ALLOWED_HOSTS": "127.0.0.1",
            "OUTBOUND_ALLOW": "127.0.0.1",
            "PORT": str(self.web_port),
            "WEB_CONCURRENCY": "2",
            "GITHUB_API_URL": f"{url}/github",
            "SLACK_API_URL": f"{url}/slack/api/",
            "APP_STORE_CONNECT_URL": f"{url}/appstore",
            "GOOGLE_PLAY_URL": f"{url}/play",
            "GOOGLE_PLAY_REPORTING_URL": f"{url}/playreporting",
            "GOOGLE_TOKEN_URL": f"{url}/google/token",
            "PYTHONUNBUFFERED": "1",
        }

    def _plan(self, sandbox_port: int, workers: int) -> dict[str, list[str]]:
        celery = [PYTHON, "-m", "celery", "-A", "delivr", "worker", "-P", "threads", "-c", "8"]
        names = [f"worker{n}" for n in range(1, workers + 1)]
        return {
            "sandbox": [
                *(PYTHON, "manage.py", "sandbox", "--port", str(sandbox_port)),
                *("--state-dir", str(self.folder / "sandbox"), "--auto-finish", str(AUTO_FINISH)),
            ],
            "web": [PYTHON, "-m", "gunicorn", "-c", "gunicorn.conf.py"],
            **{name: [*celery, "-n", f"{name}@%h"] for name in names},
            "sweeper": [PYTHON, "manage.py", "sweep"],
        }

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    def __enter__(self) -> Self:
        for process in self.processes.values():
            process.start()
        until(self.sandbox.is_up, seconds=30, what="the sandbox answers")
        until(self.is_ready, seconds=60, what="delivr is ready")
        for job in ("ios-prod", "android-prod"):
            self.sandbox.ask("PATCH", f"jenkins/jobs/{job}", {"executors": 10_000})
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes.values()):
            process.stop()

    def restart(self, *names: str, **env: str) -> None:
        """Restart these in order, with `env` on top of the stack's own."""
        for name in names:
            process = self[name]
            process.stop()
            process.env = {**self.env, **env}
            process.start()

    def stop_all(self, *names: str) -> None:
        for name in names:
            self[name].stop()

    def spare(self, name: str) -> Process:
        """Another worker, not started."""
        like = self["worker1"]
        command = [name + "@%h" if part == "worker1@%h" else part for part in like.command]
        self.processes[name] = self._process(name, command)
        return self.processes[name]

    def manage(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with the stack's environment and `env`, capturing its output."""
        command = [PYTHON, "manage.py", *arguments]
        whole = {**self.env, **env}
        return subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True)

    def is_ready(self) -> bool:
        return self._answers("readyz")

    def is_alive(self) -> bool:
        return self._answers("livez")

    def _answers(self, path: str) -> bool:
        try:
            url = f"http://127.0.0.1:{self.web_port}/{path}"
            with urllib.request.urlopen(url, timeout=2) as answer:  # loopback
                return bool(answer.status == 200)
        except OSError:
            return False

    def has_idle_worker(self) -> bool:
        """True if a worker waits at the broker."""
        client: Any = redis.Redis.from_url(self.env["CELERY_BROKER_URL"])
        database = str(client.get_connection_kwargs()["db"])
        with client:
            lines = client.client_list()
        return any((line["cmd"], line["db"]) == ("brpop", database) for line in lines)


class Stack(Product):
    """A product with its own PostgreSQL cluster and Redis, which are removed at the end."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="delivr-faults-"))
        folder.chmod(0o755)  # the user postgres has to enter it
        self.postgres, self.redis_port = Postgres(folder), free_port()
        env = {
            "DJANGO_SETTINGS_MODULE": "delivr.settings",
            "DATABASE_URL": self.postgres.url,
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "SECRET_KEY": "only-for-faults-0123456789-0123456789-0123456789-0123456789",
            "FERNET_KEYS": OLD,
        }
        super().__init__(folder, env)
        server = ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1"]
        server += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.processes = {"redis": self._process("redis", server), **self.processes}

    def __enter__(self) -> Self:
        self.postgres.start()
        migrate = [PYTHON, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, check=True, cwd=ROOT, env=self.env)
        return super().__enter__()

    def copy_logs(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for process in self.processes.values():
            if process.log.exists():
                shutil.copy(process.log, folder)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.postgres.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
