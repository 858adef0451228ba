"""A process that watches and reads one folder, in namespaces of its own.

`python -m tests.delivery.apart FOLDER` takes one order a line and answers with one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Apart:
    """The interface of a test to such a process."""

    process: subprocess.Popen[str]

    def ask(self, order: str) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the process has ended with {self.process.wait()}"
        return json.loads(line)

    def read(self) -> dict[str, Any]:
        """Read the folder."""
        answer = self.ask("read")
        assert isinstance(answer, dict)
        return answer

    def notices_change(self) -> bool:
        """Wait for a change since the last reading or the last call."""
        return bool(self.ask("wait"))

    def logs(self, text: str) -> bool:
        """Wait until it has logged a line with this text."""
        return bool(self.ask(f"log {text}"))

    def run(self, command: str) -> int:
        """Run a shell command in its namespaces."""
        return int(self.ask(f"run {command}"))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It does not run, as under a debugger or in a frozen control group."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def apart(folder: Path, first: str = ":") -> Iterator[Apart]:
    """The process with mounts and limits of its own; `first` is a shell command in it. It needs no root."""
    python = f"exec {shlex.quote(sys.executable)} -m tests.delivery.apart {shlex.quote(str(folder))}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", f"{first}\n{python}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_PROJECT) as process:
        try:
            yield Apart(process)
        finally:
            process.kill()


class _Log(logging.Handler):
    """Keeps log records, and can wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[str] = []
        self._news = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._news:
            self._messages.append(record.getMessage())
            self._news.notify_all()

    def says(self, text: str) -> bool:
        with self._news:
            return self._news.wait_for(lambda: any(text in each for each in self._messages), _PATIENCE_SECONDS)


def _serve(path: Path) -> None:
    from controller.adapters.folder.folder import PolicyFolder

    log = _Log()
    logging.getLogger().addHandler(log)
    woken = threading.Event()
    folder = PolicyFolder(path, woken.set)

    def read() -> dict[str, Any]:
        reading = folder.read()
        return {
            "minutes": {
                document.name: document.policy.removal[0].delete_after_minutes
                for document in reading.documents
                if document.policy and document.policy.removal
            },
            "lost": reading.lost,
            "problems": [str(problem) for problem in reading.problems],
            "revision": reading.revision,
            "is_watched": folder.is_watched,
        }

    def wait() -> bool:
        was_woken = woken.wait(_PATIENCE_SECONDS)
        woken.clear()
        return was_woken

    def run(command: str) -> int:
        return subprocess.run(["sh", "-ec", command], check=False).returncode

    for line in sys.stdin:
        order, _, words = line.strip().partition(" ")
        answers: dict[str, Callable[[], object]] = {
            "read": read,
            "wait": wait,
            "run": partial(run, words),
            "log": partial(log.says, words),
        }
        print(json.dumps(answers[order]()), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
