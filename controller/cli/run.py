"""`imagectl run`: the controller, until a signal ends it; or one pass."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any

import click

from controller import __version__
from controller.adapters.host import heap, logs
from controller.cli.options import settings_from, with_settings
from controller.cli.output.progress import ProgressLine
from controller.daemon.status import PassResult
from controller.daemon.wiring import Controller, controller
from controller.log_events import LogEvent
from controller.settings import DECLARED, Settings

_EXIT_CODES = {PassResult.FAILED: 3, PassResult.PARTIAL: 1}
_EXIT_WITHIN_SECONDS = 9.5
"""After SIGTERM, even if the engine does not answer."""

_log = logging.getLogger("controller")


@click.command()
@with_settings(*DECLARED)
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Watch the policy folder and the engine, and remove the images that are due.

    SIGTERM and SIGINT end it within ten seconds; SIGHUP starts a pass at once. With --once the exit code is 0 if all is
    well, 1 if a removal was refused or failed, 3 if the engine, its events or the ledger were not available; on a
    terminal one line shows the progress.

    \b
    Examples:
      imagectl run --policies /etc/image-controller/policies
      imagectl run --dry-run --log-level debug
      imagectl run --once --resync 1h          # from an hourly timer
    """
    settings = settings_from(given)
    heap.keep_little()
    logs.set_up(settings.log_format, settings.log_level)
    progress = ProgressLine(sys.stderr) if settings.once and sys.stderr and sys.stderr.isatty() else None
    with controller(settings, progress) as ready:
        _obey_signals(ready)
        _log.info(_introduction(settings, ready), extra={"event": LogEvent.CONTROLLER_STARTED})
        context.exit(_run(ready, settings.once))


def _run(ready: Controller, once: bool) -> int:
    if once:
        status = ready.loop.run_once()
        return 3 if status.without_events else _EXIT_CODES.get(status.result, 0)
    ready.loop.run()
    _log.info("stopped", extra={"event": LogEvent.CONTROLLER_STOPPED})
    return 0


def _introduction(settings: Settings, ready: Controller) -> str:
    host = settings.listen[0] or "0.0.0.0"  # noqa: S104
    scheme = "https" if settings.tls_certificate else "http"
    served = f", metrics at {scheme}://{host}:{ready.http.port}/metrics" if ready.http else ""
    dry = ", dry run: removes nothing" if settings.dry_run else ""
    return f"imagectl {__version__}: policies from {settings.policies}, engine {settings.docker_host}{served}{dry}"


def _obey_signals(ready: Controller) -> None:
    """Handle signals in a thread. The handler only queues the number (`SimpleQueue.put` is reentrant).

    It may interrupt the loop anywhere, even while that holds the lock of the wake-up.
    """
    heard: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: heard.put(number))
    threading.Thread(target=_obey, args=(ready, heard), name="signals", daemon=True).start()


def _obey(ready: Controller, heard: SimpleQueue[int]) -> None:
    while heard.get() == signal.SIGHUP:
        ready.service_manager.reloading()
        ready.bell.ring()
    ready.stopping.set()
    ready.service_manager.stopping()
    ready.bell.ring()
    time.sleep(_EXIT_WITHIN_SECONDS)
    os._exit(0)
