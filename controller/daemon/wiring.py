"""Builds the controller's objects from the settings; the only module that imports all of them."""

from __future__ import annotations

import ipaddress
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.adapters.engine.choice import EngineChoice, chosen_engine
from controller.adapters.engine.connection import STALE_SOCKET, Connection
from controller.adapters.engine.engine import DockerEngine
from controller.adapters.engine.events import EventStream
from controller.adapters.engine.own_container import own_container_id
from controller.adapters.folder.folder import named_folder
from controller.adapters.host.clock import SystemClock
from controller.adapters.host.disk import image_root_disk
from controller.adapters.host.facts import read_machine
from controller.adapters.host.password_file import read_passwords
from controller.adapters.host.systemd import ServiceManager
from controller.adapters.host.textfile import write_textfile
from controller.adapters.ledger.history import HistoryReader
from controller.adapters.ledger.ledger import Ledger
from controller.adapters.ledger.save_mark import SaveMark, run_folder
from controller.adapters.node.node_file import node_source
from controller.daemon.conditions import conditions_of, deciding_settings
from controller.daemon.http.access import Access
from controller.daemon.journal import Journal, headline
from controller.daemon.loop import Loop, WakeUp
from controller.daemon.overview import History, Overview, Readers
from controller.daemon.ports import DiskPort, Ports, ProgressPort
from controller.daemon.reconcile import PassOptions, Reconciler
from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.daemon.vitals import Liveness
from controller.errors import InvalidSettings, LedgerUnavailable, TextfileUnavailable
from controller.log_events import LogEvent
from controller.plan.memory.engines import event_cursors
from controller.plan.verdict.judge import Terms
from controller.settings import Settings, environment
from controller.value import dataclass

if TYPE_CHECKING:  # A pass without server, metrics and agent does not wait for their imports.
    from controller.adapters.node.patient_agent import PatientAgent
    from controller.daemon.http.server import HttpServer
    from controller.daemon.metrics.collector import Metrics

_STREAM_GETS_SECONDS = 5.0
_log = logging.getLogger("controller")


@dataclass(frozen=True, slots=True)
class Controller:
    """A controller, ready to run."""

    loop: Loop
    stopping: threading.Event
    wake_up: WakeUp
    http: HttpServer | None
    ledger: Ledger
    service_manager: ServiceManager
    engine: EngineChoice
    events: EventStream

    def listen(self) -> None:
        """Start to read the engine's events; to be called once signals are handled."""
        self.events.start(_STREAM_GETS_SECONDS, self.stopping.is_set)


@contextmanager
def controller(settings: Settings, progress: ProgressPort | None = None) -> Iterator[Controller]:
    """A controller with all its objects, which are closed at the end.

    Raises InvalidSettings, LedgerHeld, LedgerUnavailable.
    """
    conditions = conditions_of(settings)
    with ExitStack() as stack:
        clock, wake_up, stopping = SystemClock(), WakeUp(), threading.Event()
        mark = SaveMark(run_folder(environment()), settings.ledger)
        ledger = Ledger(settings.ledger, settings.resync, mark)
        stack.callback(ledger.close)
        memory = ledger.load()
        choice = chosen_engine(settings, memory)
        settings = replace(settings, docker_host=choice.address.url)
        own_container = own_container_id()
        disk = image_root_disk(settings.docker_host, own_container, settings.disk)
        metrics = _metrics_of(settings, disk)
        address = choice.address
        connection = Connection(address, metrics.request_answered) if metrics else Connection(address)
        agent = _agent_of(settings, wake_up)
        cursor = (memory.event_cursor, memory.event_run, event_cursors(memory))
        events = EventStream(connection, _waker(wake_up, agent), *cursor)
        stack.callback(events.stop)
        folder = named_folder(settings.policies, wake_up.wake)
        stack.callback(folder.stop)
        connection = Connection(address, lambda *answer: heartbeat.request_answered(*answer))
        vitals = Liveness(
            *(clock, lambda: events.is_alive),
            engine_waits_seconds=lambda: connection.waiting_seconds,
            needs_restart=lambda: f"engine: {STALE_SOCKET}" if connection.has_stale_socket else "",
            engine=choice.text,
        )
        heartbeat = _Heartbeat(vitals, ServiceManager(environment()), metrics)
        heartbeat.beat()
        engine = DockerEngine(connection, own_container, read_machine())
        overview = Overview(vitals, _readers(settings, disk), settings.resync)
        http = None
        if metrics and not settings.once:
            http = _served(settings, vitals, metrics, overview)
            stack.callback(http.stop)
        node = node_source(settings.node, agent)
        ports = Ports(clock, folder, node, engine, events, ledger, random.random, own_container, progress, disk)
        options = PassOptions(conditions, settings.dry_run, settings.parallel_removals)
        reconciler = Reconciler(ports, options, stopping, heartbeat.beat)
        publish = _Publisher(heartbeat, conditions.terms, ledger, overview, settings)
        loop = Loop(
            reconciler.reconcile,
            publish,
            heartbeat.beat,
            wake_up,
            clock,
            stopping,
            settings.resync,
            reconciler.notices_disk_pressure,
        )
        yield Controller(loop, stopping, wake_up, http, ledger, heartbeat.service_manager, choice, events)


@dataclass(frozen=True, slots=True)
class _Heartbeat:
    """Reports that the loop is alive. Each answer of the engine counts too: a first pass may need thousands."""

    vitals: Liveness
    service_manager: ServiceManager
    metrics: Metrics | None

    def beat(self) -> None:
        self.vitals.beat()
        self.service_manager.alive()

    def request_answered(self, operation: str, code: str, seconds: float) -> None:
        if self.metrics:
            self.metrics.request_answered(operation, code, seconds)
        self.beat()


class _Publisher:
    """Passes a new status to log, metrics, page, ledger and service manager."""

    def __init__(
        self, heartbeat: _Heartbeat, terms: Terms, ledger: Ledger, overview: Overview, settings: Settings
    ) -> None:
        self._heartbeat = heartbeat
        self._terms = terms
        self._ledger = ledger
        self._overview = overview
        self._written: StatusReport | None = None
        self._journal = Journal(terms.settle_seconds)
        self._textfile = settings.textfile
        self._settings = deciding_settings(settings)
        self._textfile_trouble = ""

    def __call__(self, status: Status) -> None:
        vitals = self._heartbeat.vitals
        for line in self._journal.lines(status):
            _log.log(line.level, line.message, extra={"event": line.event, **line.fields})
        if metrics := self._heartbeat.metrics:
            metrics.publish(status)
            self._write_textfile(metrics)
        vitals.status = status
        report = StatusReport(status, self._terms, self._settings)
        self._overview.publish(report)
        with suppress(LedgerUnavailable):  # The next pass reports it, because it cannot save.
            self._write(report)
        self._heartbeat.service_manager.ready(headline(status))

    def _write_textfile(self, metrics: Metrics) -> None:
        """All metrics for node_exporter. A failure is one log line; the pass itself is not affected."""
        if self._textfile is None:
            return
        try:
            write_textfile(self._textfile, metrics.textfile())
            self._textfile_trouble = ""
        except TextfileUnavailable as error:
            if str(error) != self._textfile_trouble:
                _log.warning("%s", error, extra={"event": LogEvent.TEXTFILE_UNAVAILABLE})
            self._textfile_trouble = str(error)

    def _write(self, report: StatusReport) -> None:
        """Store the report for commands; rows are written only if something has changed."""
        if report.differs_from(self._written):
            self._ledger.report(report.summary, report.rows)
            self._written = report
        else:
            self._ledger.report(report.summary)


def _agent_of(settings: Settings, wake_up: WakeUp) -> PatientAgent | None:
    """The agent; `--once` has only one pass, which waits for the answer. Raises InvalidSettings."""
    if not settings.agent_url:
        return None
    from controller.adapters.node.agent import Agent
    from controller.adapters.node.patient_agent import PASS_WAITS_SECONDS, REMOVAL_WAITS_SECONDS, PatientAgent

    waits = REMOVAL_WAITS_SECONDS if settings.once else PASS_WAITS_SECONDS
    return PatientAgent(Agent(settings.agent_url), wake_up.wake, pass_waits_seconds=waits)


def _waker(wake_up: WakeUp, agent: PatientAgent | None) -> Callable[[], None]:
    """Called at engine events, after which the agent may need other images."""

    def wake() -> None:
        if agent:
            agent.expect_change()
        wake_up.wake()

    return wake


def _metrics_of(settings: Settings, disk: DiskPort) -> Metrics | None:
    """None for one pass without a textfile: nothing would read them. Raises LedgerUnavailable."""
    if settings.once and not settings.textfile:
        return None
    from controller.daemon.metrics.collector import Metrics

    metrics = Metrics(disk)
    if settings.textfile:
        _continue(metrics, settings.ledger)
    return metrics


def _continue(metrics: Metrics, ledger: Path) -> None:
    """Start the counters of removals at the totals of the ledger. Raises LedgerUnavailable."""
    reader = HistoryReader(ledger)
    try:
        for total in reader.totals():
            metrics.continue_from(total.document, total.outcome, total.removals, total.freed_bytes, total.unknown)
    finally:
        reader.close()


def _served(settings: Settings, vitals: Liveness, metrics: Metrics, overview: Overview) -> HttpServer:
    """Start the HTTP server. Raises InvalidSettings."""
    from controller.daemon.http.app import HttpApp, Sources
    from controller.daemon.http.certificate import Certificate
    from controller.daemon.http.server import HttpServer

    host, port = settings.listen
    if settings.tls_key and not settings.tls_certificate:
        raise InvalidSettings("--tls-key also needs --tls-certificate")
    tls = Certificate(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
    if settings.basic_auth:
        read_passwords(settings.basic_auth)
    if not (tls or settings.basic_auth or _is_loopback(host)):
        _log.warning(
            "anyone who can connect to %s:%d can read which images this node has: listen on 127.0.0.1, or set"
            " --tls-certificate or --basic-auth",
            host or "*",
            port,
            extra={"event": LogEvent.HTTP_OPEN_TO_NETWORK},
        )
    return HttpServer(HttpApp(Sources(vitals, metrics, overview), _AccessRules(settings)), settings.listen, tls)


class _AccessRules:
    """Current access rules. Passwords are read again for each request; with an unreadable file all are refused."""

    def __init__(self, settings: Settings) -> None:
        own = os.uname().nodename.lower()
        self._names = (own, f"{own}.local", settings.listen[0].lower(), *(name.lower() for name in settings.allow_host))
        self._settings = settings
        self._trouble = ""

    def __call__(self) -> Access:
        if self._settings.basic_auth is None:
            return Access(self._names, any_name=self._settings.tls_certificate is not None)
        try:
            passwords, trouble = read_passwords(self._settings.basic_auth), ""
        except InvalidSettings as error:
            passwords, trouble = {}, str(error)
        if trouble and trouble != self._trouble:  # Once per change, not once per request.
            _log.error("all requests are refused: %s", trouble, extra={"event": LogEvent.PASSWORDS_UNREADABLE})
        self._trouble = trouble
        return Access(self._names, any_name=True, passwords=passwords)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _readers(settings: Settings, disk: DiskPort) -> Readers:
    def history(since_wall_seconds: float) -> History:
        try:
            return _history(settings.ledger, since_wall_seconds)
        except LedgerUnavailable:
            return History()  # The status reports it; the rest of the page works.

    return Readers(disk, history, lambda wall_seconds: time.localtime(wall_seconds).tm_gmtoff, os.uname().nodename)


def _history(ledger: Path, since_wall_seconds: float) -> History:
    reader = HistoryReader(ledger)
    try:
        totals = reader.totals()
        return History(
            reader.removals(since_wall_seconds),
            reader.batches(),
            sum(total.freed_bytes for total in totals),
            sum(total.unknown for total in totals),
        )
    finally:
        reader.close()
