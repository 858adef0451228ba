"""Settings → the real objects, put together. The one place that knows them all."""

from __future__ import annotations

import logging
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from controller.adapters.clock import SystemClock
from controller.adapters.docker_connection import Address, Connection
from controller.adapters.docker_events import EventStream
from controller.adapters.engine import DockerEngine
from controller.adapters.ledger import Ledger
from controller.adapters.own_container import own_container_id
from controller.adapters.policy_folder import PolicyFolder
from controller.adapters.systemd import ServiceManager
from controller.adapters.which_node import which_node
from controller.daemon.bell import Bell
from controller.daemon.http_app import HttpApp, Vitals
from controller.daemon.http_server import HttpServer
from controller.daemon.journal import headline, lines_for
from controller.daemon.loop import Loop
from controller.daemon.metrics import Metrics
from controller.daemon.ports import Ports
from controller.daemon.reconcile import Manner, Reconciler
from controller.daemon.status import Status
from controller.daemon.terms import conditions_of
from controller.settings import Settings, environment

_STREAM_GETS_SECONDS = 5.0
_log = logging.getLogger("controller")


def address_of(settings: Settings) -> Address:
    """Where the engine is."""
    return Address(settings.docker_host, settings.docker_certificates)


@dataclass(frozen=True, slots=True)
class Controller:
    """A controller, ready to run."""

    loop: Loop
    stopping: threading.Event
    bell: Bell
    http: HttpServer | None
    ledger: Ledger
    service_manager: ServiceManager


@contextmanager
def controller(settings: Settings) -> Iterator[Controller]:
    """Everything a controller is made of, for as long as it runs.

    Raises InvalidSettings, LedgerHeld, LedgerUnavailable.
    """
    conditions = conditions_of(settings)
    with ExitStack() as stack:
        clock, bell, stopping = SystemClock(), Bell(), threading.Event()
        ledger = Ledger(settings.ledger)
        stack.callback(ledger.close)
        metrics = Metrics(_disk_usage)
        address = address_of(settings)
        events = EventStream(Connection(address, metrics.request_answered), bell.ring, ledger.load().event_cursor)
        stack.callback(events.stop)
        folder = PolicyFolder(settings.policies, bell.ring)
        stack.callback(folder.stop)
        vitals = Vitals(clock, lambda: events.is_alive)
        signs = _SignsOfLife(vitals, ServiceManager(environment()), metrics)
        signs.beat()
        engine = DockerEngine(Connection(address, signs.request_answered))
        http = None
        if not settings.once:
            http = HttpServer(HttpApp(vitals, metrics), *settings.listen)
            stack.callback(http.stop)
        node = which_node(settings.node, settings.agent_url)
        ports = Ports(clock, folder, node, engine, events, ledger, random.random, own_container_id())
        manner = Manner(conditions, settings.dry_run, settings.parallel_removals)
        reconciler = Reconciler(ports, manner, stopping, signs.beat)
        publish = _Publisher(vitals, metrics, signs.service_manager)
        events.start(_STREAM_GETS_SECONDS)
        loop = Loop(reconciler.reconcile, publish, signs.beat, bell, clock, stopping, settings.resync)
        yield Controller(loop, stopping, bell, http, ledger, signs.service_manager)


@dataclass(frozen=True, slots=True)
class _SignsOfLife:
    """The loop is heard of wherever somebody watches over it; an answer of the engine is a sign as well, since a first
    pass may ask for thousands.
    """

    vitals: Vitals
    service_manager: ServiceManager
    metrics: Metrics

    def beat(self) -> None:
        self.vitals.beat()
        self.service_manager.alive()

    def request_answered(self, operation: str, code: str, seconds: float) -> None:
        self.metrics.request_answered(operation, code, seconds)
        self.beat()


class _Publisher:
    """Tells everybody who reads it of a new status."""

    def __init__(self, vitals: Vitals, metrics: Metrics, service_manager: ServiceManager) -> None:
        self._vitals = vitals
        self._metrics = metrics
        self._service_manager = service_manager

    def __call__(self, status: Status) -> None:
        for line in lines_for(self._vitals.status, status):
            _log.log(line.level, line.message, extra=dict(line.fields))
        self._metrics.publish(status)
        self._vitals.status = status
        self._service_manager.ready(headline(status))


def _disk_usage(path: str) -> tuple[int, int] | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return usage.total, usage.free
