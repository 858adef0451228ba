"""Identifies the engine that answers, and keeps the records of an engine that is away.

A ledger is bound to its engine (design, section 5). For a moment another one may answer: a data disk that is not
mounted, an engine whose ID changes with each boot, a Podman host that is renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.image.reference import ImageId
from controller.plan.memory.event import EventCursor
from controller.plan.memory.memory import IN_USE, AwayEngine, Evidence, Memory, Pulls, Record
from controller.plan.memory.observation import Engine, Observation
from controller.quantity import seconds_in_words

AN_AWAY_ENGINE_IS_KEPT_SECONDS = 30 * 86_400.0
"""On the ledger clock."""
_AWAY_ENGINES_KEPT = 3


def is_same_engine(known: Observation | None, seen: Observation) -> bool:
    """True if the known observation is of the same engine, or if there is none.

    Without an equal identity it is the same on the same machine with the same data root, store and driver, if at least
    one known image is there.
    """
    if known is None or known.engine.identity == seen.engine.identity:
        return True
    is_in_place = seen.engine.machine != "" and _place(known.engine) == _place(seen.engine)
    return is_in_place and not known.images.keys().isdisjoint(seen.images)


def _place(engine: Engine) -> tuple[str, ...]:
    return engine.machine, engine.data_root, engine.store, engine.driver


def memory_of_engine(memory: Memory, seen: Observation, now: float) -> Memory:
    """The memory of the engine that answers now; that of another engine is kept until its return."""
    if is_same_engine(memory.seen, seen):
        return replace(memory, away=away) if (away := _kept(memory.away, now)) != memory.away else memory
    assert memory.seen is not None
    away = {**memory.away, memory.seen.engine.identity: _leaving(memory, memory.seen)}
    name = next((name for name, each in away.items() if is_same_engine(each.seen, seen)), None)
    back = away.pop(name) if name is not None else None
    known = replace(memory, away=_kept(away, now), attempts={})
    return _without_engine(known) if back is None else _returned(known, back, now)


def event_cursors(memory: Memory) -> dict[str, EventCursor]:
    """The event cursor of each known engine, by identity."""
    cursors = {name: EventCursor(each.event_cursor, each.event_run) for name, each in memory.away.items()}
    if memory.seen is not None:
        cursors[memory.seen.engine.identity] = EventCursor(memory.event_cursor, memory.event_run)
    return cursors


def _kept(away: Mapping[str, AwayEngine], now: float) -> Mapping[str, AwayEngine]:
    recent = [name for name, each in away.items() if now - each.since < AN_AWAY_ENGINE_IS_KEPT_SECONDS]
    latest = sorted(recent, key=lambda name: away[name].since)[-_AWAY_ENGINES_KEPT:]
    return {name: away[name] for name in latest}


def _leaving(memory: Memory, seen: Observation) -> AwayEngine:
    return AwayEngine(
        since=memory.clock.seconds,
        seen=seen,
        records=memory.records,
        lost_names=memory.lost_names,
        layers=memory.layers,
        evidence=memory.evidence,
        mounted=memory.mounted,
        arriving=memory.arriving,
        swarm=memory.swarm,
        pulls=memory.pulls,
        event_cursor=memory.event_cursor,
        event_run=memory.event_run,
    )


def _without_engine(memory: Memory) -> Memory:
    return replace(
        memory,
        seen=None,
        records={},
        lost_names={},
        layers={},
        evidence={},
        mounted={},
        arriving={},
        swarm={},
        pulls=None,
        event_cursor=0,
        event_run="",
    )


def _returned(memory: Memory, back: AwayEngine, now: float) -> Memory:
    """The memory with all times of the engine that returns moved by the time that it was away."""
    away = now - back.since
    return replace(
        memory,
        gap=f"this engine was away for {seconds_in_words(away)}, in which another one answered",
        seen=back.seen,
        records={image: _later(record, away) for image, record in back.records.items()},
        lost_names=back.lost_names,
        layers=back.layers,
        evidence=_evidence_later(back.evidence, away),
        mounted=back.mounted,
        arriving={image: replace(each, since=each.since + away) for image, each in back.arriving.items()},
        swarm={image: at if at == IN_USE else at + away for image, at in back.swarm.items()},
        pulls=Pulls(back.pulls.first + away, back.pulls.last + away) if back.pulls else None,
        event_cursor=back.event_cursor,
        event_run=back.event_run,
    )


def _evidence_later(evidence: Mapping[ImageId, Evidence], seconds: float) -> dict[ImageId, Evidence]:
    return {image: replace(each, since=each.since + seconds) for image, each in evidence.items()}


def _later(record: Record, seconds: float) -> Record:
    return replace(
        record,
        first_seen=record.first_seen + seconds,
        last_used=_moved(record.last_used, seconds),
        last_used_by_agent=_moved(record.last_used_by_agent, seconds),
        last_touched=_moved(record.last_touched, seconds),
    )


def _moved(at: float | None, seconds: float) -> float | None:
    return at if at is None or at == IN_USE else at + seconds


def change_of_engine(before: Memory, after: Memory) -> str:
    """What to report if another engine was observed than before; empty if not."""
    if before.seen is None or after.seen is None or is_same_engine(before.seen, after.seen):
        return ""
    was, now = before.seen.engine, after.seen.engine
    if before.away.keys() - after.away.keys() and after.watch.since == after.clock.seconds and after.watch.gap:
        effect = f"{after.watch.gap}; what was known of its images holds"
    else:
        effect = "its images count as first seen now; what was known of the other engine is kept for 30 days"
    return f"another engine answers: {_in_words(now)} instead of {_in_words(was)}; {effect}"


def _in_words(engine: Engine) -> str:
    root = f" at {engine.data_root}" if engine.data_root else ""
    return f"{engine.product} {engine.version}{root} ({engine.identity.partition(' ')[0]})"
