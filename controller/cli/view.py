"""What a controller would decide now, for commands that only look: the same reading, remembering and judging,
no acting.

The ledger is read, never written; the engine is asked only where a command wants it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from controller.adapters.clock import SystemClock
from controller.adapters.ledger import LedgerReader
from controller.adapters.policy_folder import PolicyFolder
from controller.daemon.terms import conditions_of
from controller.instant import Instant
from controller.plan.agent import NodeAnswer
from controller.plan.decision import Conditions, Decision, Wishes, decide, decide_again
from controller.plan.memory import Memory
from controller.plan.remember import News
from controller.policy.reading import Reading
from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class View:
    """A decision, and how fresh it is."""

    decision: Decision
    reading: Reading
    now: Instant
    is_live: bool
    """The engine was asked just now; else this rests on what the controller's last pass saw."""

    @property
    def age_seconds(self) -> float | None:
        """Time since that pass; None if it was in another boot, or never."""
        last = self.decision.memory.clock.last
        if self.is_live or last is None or last.boot != self.now.boot:
            return None
        return self.now.uptime_seconds - last.uptime_seconds


def live_view(settings: Settings) -> View:
    """Look at the engine. Raises EngineUnavailable, LedgerUnavailable, InvalidSettings."""
    memory, wishes = _remembered(settings), _wishes(settings)
    decision = _looked_at(settings, memory, wishes)
    return View(decision, wishes.reading, SystemClock().now(), is_live=True)


def last_view(settings: Settings) -> View:
    """What the last pass of a controller saw, judged by the documents of this moment.

    Raises LedgerUnavailable, InvalidSettings.
    """
    memory, wishes = _remembered(settings), _wishes(settings)
    node = memory.node.answer if memory.node else wishes.node
    decision = decide_again(Decision(memory=memory, node=node), wishes.reading, _conditions(settings))
    return View(decision, wishes.reading, SystemClock().now(), is_live=False)


def fitting_view(settings: Settings, live: bool) -> View:
    """The last pass's view; a live one if that is wanted, or if no controller has ever looked."""
    seen = None if live else last_view(settings)
    return seen if seen and seen.decision.memory.seen else live_view(settings)


def _remembered(settings: Settings) -> Memory:
    """What the ledger knows; nothing, if no controller has ever run."""
    if not settings.ledger.exists():
        return Memory()
    reader = LedgerReader(settings.ledger)
    try:
        return reader.load()
    finally:
        reader.close()


def _wishes(settings: Settings) -> Wishes:
    return Wishes(PolicyFolder(settings.policies).read(), NodeAnswer())


def _conditions(settings: Settings) -> Conditions:
    return replace(conditions_of(settings), believe_new_texts=True)


def _looked_at(settings: Settings, memory: Memory, wishes: Wishes) -> Decision:
    from controller.adapters.docker_connection import Connection
    from controller.adapters.engine import DockerEngine
    from controller.adapters.own_container import own_container_id
    from controller.daemon.observe import Observer
    from controller.daemon.wiring import address_of

    engine = DockerEngine(Connection(address_of(settings)))
    observer = Observer(engine, SystemClock(), threading.Event(), own_container_id())
    seen = observer.look(streams_generation=0)
    news = News(layers=observer.new_layers(seen, memory))
    return decide(Decision(memory=memory), wishes, seen, news, _conditions(settings))
