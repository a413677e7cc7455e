"""A rehearsal of more than one machine: three web servers behind nginx, three workers, two
sweepers, and PgBouncer in transaction mode. Under a load of clicks and webhooks every process is
restarted in turn, as in an upgrade. Nobody may see an error, and nothing may be lost or doubled.

`python faults/rehearsal.py [--seconds 20]`: of load before and after the restarts. It needs
PostgreSQL, redis-server, nginx and pgbouncer (Debian: apt-get install nginx-light pgbouncer).
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from delivr.tests.product import free_port
from faults.stack import Stack, until

if TYPE_CHECKING:
    from faults.clients import Client
    from faults.outcome import Outcome
    from faults.workspaces import Workspace

WEBS, WORKERS, SWEEPERS = 3, 3, 2
POOL = 12  # connections to PostgreSQL for all processes
PGBOUNCER = """
[databases]
* = host=127.0.0.1 port={postgres} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 500
"""
NGINX = """
daemon off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    upstream delivr {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://delivr;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


class Cluster(Stack):
    """The processes of several machines, on this one."""

    def __init__(self) -> None:
        super().__init__()
        self.pool_port = free_port()
        self.ports = {f"web{n}": free_port() for n in range(1, WEBS + 1)}
        self.env["BASE_URL"] = f"http://127.0.0.1:{self.web_port}"
        self.env["WEBHOOKS_PER_MINUTE"] = "100000"
        pooled = {
            "DATABASE_URL": f"postgres://postgres@127.0.0.1:{self.pool_port}/postgres",
            "DATABASE_POOLED": "1",
        }
        first = self.processes
        kept = {name: first[name] for name in ("redis", "sandbox")}
        kept["pgbouncer"] = self._process("pgbouncer", self._pgbouncer())
        kept["nginx"] = self._process("nginx", self._nginx())
        commands: dict[str, list[str]] = dict.fromkeys(self.ports, first["web"].command)
        worker = first["worker1"].command
        for number in range(1, WORKERS + 1):
            name = f"worker{number}"
            commands[name] = [f"{name}@%h" if part == "worker1@%h" else part for part in worker]
        for number in range(1, SWEEPERS + 1):
            commands[f"sweeper{number}"] = first["sweeper"].command
        for name, command in commands.items():
            kept[name] = self._process(name, command)
            port = {"PORT": str(self.ports[name])} if name in self.ports else {}
            kept[name].env |= pooled | port
        self.processes = kept

    def _pgbouncer(self) -> list[str]:
        """It refuses to run as root."""
        path = self.folder / "pgbouncer.ini"
        ports = {"postgres": self.postgres.port, "port": self.pool_port}
        path.write_text(PGBOUNCER.format(pool=POOL, **ports))
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        return [*self.postgres._as_user, program, str(path)]

    def _nginx(self) -> list[str]:
        folder = self.folder / "nginx"
        folder.mkdir(mode=0o755)
        self.route()
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]

    def route(self, *, without: str = "") -> None:
        """Have nginx pass requests to all web servers but one."""
        servers = " ".join(
            f"server 127.0.0.1:{port};" for name, port in self.ports.items() if name != without
        )
        text = NGINX.format(servers=servers, port=self.web_port)
        (self.folder / "nginx" / "nginx.conf").write_text(text)

    def replace_web(self, name: str) -> None:
        """As a rolling upgrade does: no new requests, then stop, start, and requests again once it
        is ready."""
        self.route(without=name)
        self._reload()
        self.restart_one(name)
        until(lambda: _is_ready(self.ports[name]), seconds=60, what=f"{name} is ready")
        self.route()
        self._reload()

    def _reload(self) -> None:
        """Requests on their way are finished by the old processes of nginx."""
        nginx = self["nginx"].child
        assert nginx is not None  # noqa: S101 # it was started
        nginx.send_signal(signal.SIGHUP)
        time.sleep(1)

    def restart_one(self, name: str) -> None:
        self[name].stop()
        self[name].start()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--keep-logs", type=Path, help="a folder for the processes' logs")
    arguments = parser.parse_args()
    with Cluster() as cluster:
        os.environ.update(cluster.env)
        from faults.run import setup, show

        setup()
        started = time.monotonic()
        outcome = rehearse(cluster, arguments.seconds)
        show(outcome.figures, outcome.broken, time.monotonic() - started)
        if arguments.keep_logs:
            cluster.copy_logs(arguments.keep_logs)
    return int(bool(outcome.broken))


def rehearse(cluster: Cluster, seconds: float) -> Outcome:
    from builds.models import WebhookDelivery
    from faults.clients import Client, percentile
    from faults.outcome import SETTLE, judge
    from faults.workspaces import open_work, set_auto_finish, workspaces

    set_auto_finish(cluster, 4.0)
    spaces, client = workspaces(cluster, 4), Client(cluster.web_port)
    spare = workspaces(cluster, 1)[0]  # its reports are about builds that are not ours
    with _load(client, spaces, spare) as accepted:
        time.sleep(seconds)
        began = time.monotonic()
        migrated = cluster.manage("migrate", DATABASE_LOCK_TIMEOUT="2000")
        for name in cluster.ports:
            cluster.replace_web(name)
        for name in cluster.processes:
            if name.startswith(("worker", "sweeper")):
                cluster.restart_one(name)
        spent = time.monotonic() - began
        time.sleep(seconds)
    reports = WebhookDelivery.objects.filter(pipeline__tenant=spare.wired.tenant)
    stored = list(reports.values_list("dedupe_key", flat=True))
    reports.delete()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(cluster, client)
    outcome.expect(migrated.returncode == 0, migrated.stderr[-500:])
    outcome.expect(len(stored) == len(set(stored)), "a report is stored twice")
    outcome.expect(len(stored) == len(accepted), f"{len(accepted)} accepted, {len(stored)} stored")
    times = [answer.seconds for answer in client.answers]
    outcome.figures |= {
        "requests": len(times),
        "reports accepted": len(accepted),
        "reports stored": len(stored),
        "restarts took s": round(spent),
        "p99 s": round(percentile(times, 0.99), 2),
        "longest s": round(max(times), 2),
        "processes": len(cluster.processes),
        "connections to PostgreSQL at most": POOL,
    }
    return outcome


@contextmanager
def _load(client: Client, spaces: list[Workspace], spare: Workspace) -> Iterator[list[str]]:
    """People create releases and trigger builds, and a CI server reports; the names of the reports
    that were accepted."""
    from faults.outages import work

    accepted: list[str] = []
    ending = threading.Event()
    pipeline: Any = spare.wired.pipelines["ios"]
    secret = pipeline.webhook_secret.reveal()

    def report() -> None:
        for number in itertools.count(1_000_000):
            if ending.wait(0.1):
                return
            name = f"report-{number}"
            body = {"buildNumber": number, "status": "SUCCESS"}
            if client.report(pipeline.pk, secret, name, body).status == 202:
                accepted.append(name)

    threads = [threading.Thread(target=work, args=(client, spaces, ending))]
    threads += [threading.Thread(target=report)]
    for thread in threads:
        thread.start()
    try:
        yield accepted
    finally:
        ending.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
