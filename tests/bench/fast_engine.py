"""An engine with any number of images that answers at once: `python -m tests.bench.fast_engine SOCKET IMAGES`.

Its answers are bytes that were made before the first request, so that the time of a run is that of the controller. Each
image has one name, two layers that a hundred others share, and one of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_STREAM = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_HISTORY = [{"Size": 300}, {"Size": 200}, {"Size": 100}]
_SHARE_A_BASE = 100
_PATIENCE_SECONDS = 60.0


@contextmanager
def running(folder: Path, images: int) -> Iterator[str]:
    """The address of one that runs in its own process, with its socket in this folder."""
    socket = folder / "s"
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.fast_engine", str(socket), str(images)])
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not socket.exists():
            assert time.monotonic() < until, "the engine does not start"
            time.sleep(0.05)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


def _digest(word: str) -> str:
    return f"sha256:{sha256(word.encode()).hexdigest()}"


def _answer(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return _HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Answers:
    """The answer to each path, without its version."""

    def __init__(self, images: int) -> None:
        self._number_of = {_digest(f"image {number}"): number for number in range(images)}
        rows = [
            {"Id": key, "RepoTags": [f"many.local/app-{number % 500}:{number}"], "Size": 600, "Labels": None}
            for key, number in self._number_of.items()
        ]
        self._history = _answer(_HISTORY)
        self._fixed = {
            "/version": _answer({"Version": "26.1.5", "ApiVersion": "1.45"}),
            "/info": _answer({"ID": "fast", "Driver": "overlay2", "DockerRootDir": "/nowhere", "DriverStatus": []}),
            "/images/json": _answer(rows),
            "/containers/json": _answer([]),
            "/system/df": _answer({}),
        }

    def to(self, path: str) -> bytes:
        """The whole answer to a GET request for this path."""
        path = path.partition("?")[0]
        path = path if path == "/version" else "/" + path.removeprefix("/v").partition("/")[2]
        if fixed := self._fixed.get(path):
            return fixed
        if path.endswith("/history"):
            return self._history
        number = self._number_of[path.split("/")[2]]
        base = number // _SHARE_A_BASE
        layers = [_digest(f"base {base}"), _digest(f"middle {base}"), _digest(f"top {number}")]
        return _answer({"Id": path.split("/")[2], "RootFS": {"Layers": layers}})


async def serve(socket: str, images: int) -> None:
    """Serve until the process ends."""
    answers = Answers(images)

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _head_of(reader):
            path = request.split(b" ", 2)[1].decode()
            writer.write(_STREAM if "/events" in path else answers.to(path))
            await writer.drain()

    async with await asyncio.start_unix_server(respond, socket) as server:
        await server.serve_forever()


async def _head_of(reader: asyncio.StreamReader) -> bytes:
    """One request, all of which have no body; empty at the end."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
