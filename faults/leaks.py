"""Where no secret may appear: the database's dump, Redis and the logs of all processes (I12)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis

from faults.stack import PG_BIN, Stack
from integrations.models import PipelineIntegration
from sandbox import accounts


def wired_secrets() -> set[str]:
    """The credentials that the workspaces use, and the webhook secrets that this process can
    decrypt."""
    known = {
        accounts.GITHUB_PUSH_TOKEN,
        accounts.JENKINS_API_TOKEN,
        accounts.SLACK_BOT_TOKEN,
        accounts.JIRA_API_TOKEN,
    }
    rows = PipelineIntegration.objects.filter(webhook_secret__isnull=False)
    return known | {row.webhook_secret.reveal() for row in rows}


def places(stack: Stack) -> dict[str, bytes]:
    """All stored data and logs, as bytes by place."""
    logs = {f"the log of {name}": p.log for name, p in stack.processes.items() if name != "sandbox"}
    texts = {name: path.read_bytes() for name, path in logs.items() if path.exists()}
    return {**texts, "the database": _dump(), "Redis": b"\n".join(_redis(stack))}


def _dump() -> bytes:
    from django.db import connection

    db = connection.settings_dict
    url = f"postgres://{db['USER']}@{db['HOST']}:{db['PORT']}/{db['NAME']}"
    command = [str(PG_BIN / "pg_dump"), "--data-only", "--inserts", "-d", url]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _redis(stack: Stack) -> Iterator[bytes]:
    client: Any = redis.Redis(port=stack.redis_port)  # its type stubs lack bytes
    read: dict[bytes, Callable[[bytes], Iterable[bytes]]] = {
        b"string": lambda key: [client.get(key)],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    for key in client.scan_iter():
        yield key
        yield from read[client.type(key)](key)
    client.close()
