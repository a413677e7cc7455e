"""A provider for measuring: answers each request after a while, and remembers when it began to
arrive. `python bench/provider.py PORT MILLISECONDS`.

GET gives any branch of any repository, POST takes everything. `GET /seen` tells the arrival of each
POST by its `webhook-id`, in seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

BRANCH = {"commit": {"sha": "a" * 40, "commit": {"message": "Faster."}}}
seen: dict[str, float] = {}


def main() -> None:
    port, milliseconds = map(int, sys.argv[1:])
    asyncio.run(serve(port, milliseconds / 1000))


async def serve(port: int, pause: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            arrived = time.monotonic()
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = [line.partition(": ") for line in head.lower().split("\r\n")]
            headers = {name: value for name, _, value in lines}
            await reader.readexactly(int(headers.get("content-length", 0)))
            body = seen if head.startswith("GET /seen ") else BRANCH
            if head.startswith("POST"):
                body = {}
                # Ids are case-sensitive.
                at = head.lower().index("webhook-id: ") + len("webhook-id: ")
                seen.setdefault(head[at:].partition("\r\n")[0], arrived)
                await asyncio.sleep(pause)
            writer.write(response(json.dumps(body).encode()))
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # only connected
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=1000) as server:
        await server.serve_forever()


def response(body: bytes) -> bytes:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    main()
