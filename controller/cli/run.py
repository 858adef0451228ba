"""`imagectl run`: the controller, until a signal ends it; or one pass."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import click

from controller import __version__
from controller.adapters.host import heap, logs
from controller.cli.options import settings_from, with_settings
from controller.cli.output.progress import ProgressLine
from controller.log_events import LogEvent
from controller.settings import DECLARED, Settings

if TYPE_CHECKING:
    from controller.daemon.wiring import Controller

_EXIT_WITHIN_SECONDS = 9.5
"""After SIGTERM, even if the engine does not answer."""

_log = logging.getLogger("controller")


@click.command()
@with_settings(*DECLARED)
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Watch the policy folder and the engine, and remove the images that are due.

    SIGTERM and SIGINT end it within ten seconds; SIGHUP starts a pass at once. With --once the exit code is 0 if all is
    well (an empty folder too), 1 if a removal was refused or failed, 3 if it could not work: the engine, its events,
    the ledger, the policy folder or the node file was not available. On a terminal one line shows the progress.

    \b
    Examples:
      imagectl run --policies /etc/image-controller/policies
      imagectl run --dry-run --log-level debug
      imagectl run --once --resync 1h          # from an hourly timer
    """
    settings = settings_from(given)
    from controller.daemon.wiring import controller  # Imports the whole daemon, which --help does not need.

    heap.keep_little(ends_soon=settings.once)
    logs.set_up(settings.log_format, settings.log_level)
    progress = ProgressLine(sys.stderr) if settings.once and sys.stderr and sys.stderr.isatty() else None
    with controller(settings, progress) as ready:
        _obey_signals(ready)
        ready.listen()
        _log.info(_introduction(settings, ready), extra={"event": LogEvent.CONTROLLER_STARTED})
        if ready.engine.warning:
            _log.warning("%s", ready.engine.warning, extra={"event": LogEvent.ENGINE_CHOSEN})
        context.exit(_run(ready, settings.once))


def _run(ready: Controller, once: bool) -> int:
    if once:
        return ready.loop.run_once().exit_code
    ready.loop.run()
    _log.info("stopped", extra={"event": LogEvent.CONTROLLER_STOPPED})
    return 0


def _introduction(settings: Settings, ready: Controller) -> str:
    host = settings.listen[0] or "0.0.0.0"  # noqa: S104
    scheme = "https" if settings.tls_certificate else "http"
    served = f", metrics at {scheme}://{host}:{ready.http.port}/metrics" if ready.http else ""
    dry = ", dry run: removes nothing" if settings.dry_run else ""
    return f"imagectl {__version__}: policies from {settings.policies}, engine {ready.engine.text}{served}{dry}"


def _obey_signals(ready: Controller) -> None:
    """Handle signals in a thread. The handler only queues the number (`SimpleQueue.put` is reentrant).

    It may interrupt the loop anywhere, even while that holds the lock of the wake-up.
    """
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: signals.put(number))
    threading.Thread(target=_handle_signals, args=(ready, signals), name="signals", daemon=True).start()


def _handle_signals(ready: Controller, signals: SimpleQueue[int]) -> None:
    while signals.get() == signal.SIGHUP:
        ready.service_manager.reloading()
        ready.wake_up.wake()
    ready.stopping.set()
    ready.service_manager.stopping()
    ready.wake_up.wake()
    time.sleep(_EXIT_WITHIN_SECONDS)
    os._exit(0)
