"""Abuse of the HTTP server, with a health check after each: `python -m tests.campaigns.http [COUNT] [SEED]`."""

from __future__ import annotations

import http.client
import random
import socket
import sys
from collections import Counter
from contextlib import suppress

from controller.daemon.http.server import HttpServer
from tests.page.site import Site

_REQUEST = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PIECES = (b"\r\n", b"\0", b"\xff\xfe", b"GET / HTTP/1.1\r\n", b"Host: ", b"Content-Length: 99999\r\n", b"x" * 20_000)
_PIECES_OF_BODIES = (b"Transfer-Encoding: chunked\r\n\r\n", b"ffffffffffff\r\n", b"-1\r\n", b"\r\n\r\n" * 100)


def abuse(port: int, chance: random.Random, kept: list[socket.socket]) -> str:
    """One client; returns what it did."""
    action = chance.choice(("half open", "random bytes", "mutated request", "no reading", "reset"))
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    with suppress(OSError):
        if action == "half open":
            client.sendall(_REQUEST[: chance.randrange(len(_REQUEST) - 1)])
            kept.append(client)
            return action
        if action == "random bytes":
            client.sendall(chance.randbytes(chance.choice((1, 100, 10_000))))
        elif action == "mutated request":
            at = chance.randrange(len(_REQUEST))
            client.sendall(_REQUEST[:at] + chance.choice((*_PIECES, *_PIECES_OF_BODIES)) + _REQUEST[at:])
        elif action == "no reading":
            client.settimeout(0.1)
            client.sendall(_REQUEST * 200)
            kept.append(client)
            return action
        else:
            client.sendall(_REQUEST)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    return action


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def run(count: int, seed: int) -> Counter[str]:
    """Counts by action, and of health checks without an answer."""
    chance, counts, kept = random.Random(seed), Counter[str](), list[socket.socket]()
    server = HttpServer(Site().app, ("127.0.0.1", 0))
    try:
        for _ in range(count):
            counts[abuse(server.port, chance, kept)] += 1
            counts["unanswered"] += not is_healthy(server.port)
            while len(kept) > 400:
                kept.pop(0).close()
    finally:
        for client in kept:
            client.close()
        server.stop()
    return counts


def main() -> int:
    """Run, and print one closing line; returns an exit code."""
    count, seed = (int(text) for text in (*sys.argv[1:], *("20000", "1")[len(sys.argv) - 1 :]))
    counts = run(count, seed)
    actions = ", ".join(f"{number} {action}" for action, number in sorted(counts.items()) if action != "unanswered")
    print(f"http: {count} clients (seed {seed}: {actions}), {counts['unanswered']} health checks without an answer")
    return int(counts["unanswered"] > 0)


if __name__ == "__main__":
    sys.exit(main())
