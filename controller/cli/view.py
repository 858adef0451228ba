"""The decision that a controller would make now, for commands that only read: the code of a pass without removals.

The ledger is read, never written; only `live_view` reads the engine.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import click

from controller.adapters.folder.folder import named_folder
from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.file import require_ours
from controller.adapters.ledger.ledger import LedgerReader
from controller.daemon.conditions import conditions_of
from controller.plan.memory.disk import ImageDisk, PressureMarks
from controller.plan.memory.idleness import with_every_record
from controller.plan.memory.memory import Memory
from controller.plan.memory.remember import News
from controller.plan.node.agent import NodeAnswer
from controller.plan.report.report import without_events
from controller.plan.report.words import STOPPED
from controller.plan.verdict.decision import Conditions, Decision, DesiredState, decide, decide_again
from controller.plan.verdict.foresight import foreseen
from controller.policy.document.parse import FolderReading
from controller.printable import printable
from controller.settings import Settings
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """A decision, and the folder reading it is based on."""

    decision: Decision
    reading: FolderReading
    docker_host: str = ""
    """The engine that was asked; empty if none was."""
    disk: ImageDisk = ImageDisk()
    marks: PressureMarks | None = None

    @property
    def notes(self) -> list[str]:
        """The lines below what is shown of it."""
        return [*([STOPPED] if self.reading.is_stopped else []), "as the engine answers now"]

    @property
    def cannot_work(self) -> bool:
        """True if a controller could not work now: no events, no policy folder or no node (design §11)."""
        node, reading = self.decision.node, self.reading
        is_lost = bool(reading.lost) and not reading.is_empty
        return is_lost or (node.is_silence and node.node is None) or bool(without_events(self.decision))


def live_view(settings: Settings) -> View:
    """The decision on a new observation. Raises EngineUnavailable, LedgerUnavailable, InvalidSettings."""
    memory, recorded = _remembered(settings)
    desired = DesiredState(named_folder(settings.policies).read(), _asked_node(settings))
    return _decided_on(settings, memory, recorded, desired)


def last_view(settings: Settings) -> View:
    """The decision now, from the last observation of a controller.

    Raises LedgerUnavailable, InvalidSettings.
    """
    (memory, _), reading = _remembered(settings), named_folder(settings.policies).read()
    memory = with_every_record(memory)
    decision = decide_again(Decision(memory=memory, node=_last_node(settings, memory)), reading, _conditions(settings))
    return View(decision, reading)


def later_view(settings: Settings, seen: View, seconds: float) -> View:
    """The decision after that time if nothing happens until then."""
    return replace(seen, decision=foreseen(seen.decision, seen.reading, _conditions(settings), seconds))


def _remembered(settings: Settings) -> tuple[Memory, tuple[str, ...]]:
    """The memory of the ledger, and the names that `record-download` gave for the next pass; empty without a ledger."""
    require_ours(settings.ledger)
    if not settings.ledger.exists():
        return Memory(), ()
    reader = LedgerReader(settings.ledger)
    try:
        recorded = reader.inbox()  # Before the memory: a pass meanwhile moves the names from here to there.
        return reader.load(), recorded
    finally:
        reader.close()


def _last_node(settings: Settings, memory: Memory) -> NodeAnswer:
    """The node of the controller's last pass, unless the settings name another source."""
    named = {str(settings.node or ""), settings.agent_url} - {""}
    if memory.node and (not named or memory.node.answer.source in named):
        return memory.node.answer
    return _asked_node(settings)


def _asked_node(settings: Settings) -> NodeAnswer:
    from controller.adapters.node.node_file import which_node

    return which_node(settings.node, settings.agent_url).ask()


def _conditions(settings: Settings) -> Conditions:
    return replace(conditions_of(settings), trust_new_texts=True)


def _decided_on(settings: Settings, memory: Memory, recorded: tuple[str, ...], desired: DesiredState) -> View:
    from controller.adapters.engine.choice import chosen_engine
    from controller.adapters.engine.connection import Connection
    from controller.adapters.engine.engine import DockerEngine
    from controller.adapters.engine.events import events_since
    from controller.adapters.engine.own_container import own_container_id
    from controller.adapters.engine.replay import KnownCursors
    from controller.adapters.host.disk import image_root_disk
    from controller.adapters.host.facts import read_machine
    from controller.daemon.observe import Observer
    from controller.plan.memory.engines import event_cursors
    from controller.plan.memory.event import EventCursor

    choice, own_container = chosen_engine(settings, memory), own_container_id()
    if choice.warning:
        click.echo(f"imagectl: warning: {printable(choice.warning)}", err=True)
    connection = Connection(choice.address)
    engine = DockerEngine(connection, own_container, read_machine())
    observer = Observer(engine, SystemClock(), threading.Event(), own_container)
    try:
        known = KnownCursors(EventCursor(memory.event_cursor, memory.event_run), "", event_cursors(memory))
        received = events_since(connection, known)
        seen = observer.observe(stream_generation=0)
        disk = image_root_disk(choice.address.url, own_container, settings.disk).measure(seen.engine)
        news = News(received, observer.new_layers(seen, memory), recorded, disk)
    finally:
        connection.drop()
    conditions = _conditions(settings)
    decision = decide(Decision(memory=memory), desired, seen, news, conditions)
    return View(decision, desired.reading, choice.address.url, disk, conditions.terms.pressure)
