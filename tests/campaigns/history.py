"""An agent with a long history: `python -m tests.campaigns.history [MB of /service] [MB of /agreement]`.

Prints the CPU time and the memory that one question needs above what it needs without history.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

from controller.adapters.node.agent import Agent
from tests.openhorizon import agent_answers

SERVICE_MB, AGREEMENT_MB = 100, 60
MOST_MIB, MOST_SECONDS = 20.0, 5.0
_CHUNK = 2**12


def main() -> int:
    """Ask an agent without and with history; 1 if the question fails or costs too much."""
    megabytes = [int(argument) for argument in sys.argv[1:]] or [SERVICE_MB, AGREEMENT_MB]
    recorded = agent_answers("policy-node-with-agreements")
    with_history = {path: list(_with_archived(path, recorded[path], size)) for path, size in _sizes(megabytes)}
    _ask(recorded, {})
    usual = _memory_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts again.
    seconds, is_good = _ask(recorded, with_history)
    mib = _memory_mib("VmHWM") - usual
    is_good = is_good and mib <= MOST_MIB and seconds <= MOST_SECONDS
    sizes = " and ".join(f"{size} MB at {path}" for path, size in _sizes(megabytes))
    verdict = "good" if is_good else "FAILED"
    print(f"history: {sizes}: {seconds:.1f} s of CPU, {mib:.1f} MiB above the usual: {verdict}")
    return 0 if is_good else 1


def _sizes(megabytes: list[int]) -> list[tuple[str, int]]:
    return list(zip(("/service", "/agreement"), megabytes, strict=False))


def _with_archived(path: str, answer: dict[str, Any], megabytes: int) -> Iterator[tuple[bytes, int]]:
    """The parts of an answer, each with its repetitions."""
    lists = ("instances", "definitions") if path == "/service" else ("agreements",)
    wanted = megabytes * 2**20 // len(lists)
    before = json.dumps({"config": []})[:-1]
    for name in lists:
        records = ", ".join(json.dumps({**record, "archived": True}) for record in answer[name]["active"])
        active = json.dumps(answer[name]["active"])
        yield f'{before}, "{name}": {{"active": {active}, "archived": [{records}'.encode(), 1
        yield f", {records}".encode(), wanted // len(records)
        before = "]}"
    yield b"]}}", 1


def _ask(recorded: dict[str, Any], long: dict[str, list[tuple[bytes, int]]]) -> tuple[float, bool]:
    """Seconds of CPU of one question, and whether the answer is complete and right."""
    ports: Queue[int] = Queue()
    server = Process(target=_serve, args=(recorded, long, ports), daemon=True)
    server.start()
    agent = Agent(f"http://127.0.0.1:{ports.get()}")
    before = time.process_time()
    answer = agent.ask()
    seconds = time.process_time() - before
    server.terminate()
    server.join()
    said = answer.agent
    return seconds, not answer.is_silence and not said.is_cut_short and len(said.agreements) > 1 and len(
        said.needed
    ) > 2


def _serve(recorded: dict[str, Any], long: dict[str, list[tuple[bytes, int]]], ports: Queue[int]) -> None:
    class Recorded(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            parts = long.get(self.path) or [(json.dumps(recorded[self.path]).encode(), 1)]
            for text, count in parts:
                for _ in range(count):
                    for at in range(0, len(text), _CHUNK):
                        chunk = text[at : at + _CHUNK]
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Recorded)
    ports.put(server.server_port)
    server.serve_forever()


def _memory_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    sys.exit(main())
