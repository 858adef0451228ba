"""Memory ↔ rows: the table of each part of the memory, and how each value is written.

Executes no SQL and opens no file; `ledger` does that with these tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from controller.constraint.property import Property
from controller.image.image import Container, Image
from controller.image.layers import ChainId, Layer
from controller.image.reference import ImageId, reference_from_engine
from controller.instant import Instant
from controller.plan.memory.event import EventKind
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import (
    Attempt,
    Evidence,
    ExpectedDownload,
    Memory,
    Pulls,
    Record,
    Setback,
    Spending,
    TextRecord,
    Watch,
)
from controller.plan.memory.observation import Engine, Observation, Store
from controller.plan.node.agent import AgentAnswer, Agreement, Beginning, KeptAnswer, NodeAnswer, NodeSource
from controller.plan.node.node import Node

K = TypeVar("K")
V = TypeVar("V")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table(Generic[K, V]):
    """One mapping of the memory, stored as one table; the first `keys` columns identify a row."""

    name: str
    columns: tuple[str, ...]
    keys: int
    part_of: Callable[[Memory], Mapping[K, V]]
    to_row: Callable[[K, V], Row]
    from_row: Callable[..., tuple[K, V]]

    def to_key(self, key: K) -> Row:
        """The identifying columns of one row."""
        return key if isinstance(key, tuple) else (key,)


def _images(memory: Memory) -> Mapping[ImageId, Image]:
    return memory.seen.images if memory.seen else {}


def _image_row(key: ImageId, image: Image) -> Row:
    return key, _names(image.tags), _names(image.digests), image.parent, image.size_bytes, image.keep


def _image(key: str, tags: str, digests: str, parent: str | None, size: int, keep: int) -> tuple[ImageId, Image]:
    image = ImageId(key)
    names = [tuple(map(reference_from_engine, json.loads(text))) for text in (tags, digests)]
    return image, Image(image, names[0], names[1], ImageId(parent) if parent else None, size, bool(keep))


def _names(references: Iterable[Any]) -> str:
    return json.dumps([reference.text for reference in references])


def _record_row(key: ImageId, record: Record) -> Row:
    return (
        key,
        record.first_seen,
        record.last_used,
        record.last_used_by_agent,
        record.last_touched,
        record.touch,
        record.origin,
        json.dumps(record.names),
        record.tip,
    )


def _record(
    key: str,
    first_seen: float,
    last_used: float | None,
    by_agent: float | None,
    touched: float | None,
    touch: str | None,
    origin: str | None,
    names: str,
    tip: str | None,
) -> tuple[ImageId, Record]:
    return ImageId(key), Record(
        first_seen,
        last_used,
        by_agent,
        touched,
        EventKind(touch) if touch else None,
        EventKind(origin) if origin else None,
        tuple(json.loads(names)),
        None if tip is None else ChainId(tip),
    )


TABLES: tuple[Table[Any, Any], ...] = (
    Table("images", ("image", "tags", "digests", "parent", "size_bytes", "keep"), 1, _images, _image_row, _image),
    Table(
        "records",
        ("image", "first_seen", "last_used", "last_used_by_agent", "last_touched", "touch", "origin", "names", "tip"),
        1,
        lambda memory: memory.records,
        _record_row,
        _record,
    ),
    Table(
        "layers",
        ("chain", "parent", "size_bytes"),
        1,
        lambda memory: memory.layers,
        lambda chain, layer: (chain, layer.parent, layer.size_bytes),
        lambda chain, parent, size: (ChainId(chain), Layer(ChainId(chain), ChainId(parent) if parent else None, size)),
    ),
    Table(
        "evidence",
        ("image", "source", "detail", "since"),
        1,
        lambda memory: memory.evidence,
        lambda image, item: (image, item.source, item.detail, item.since),
        lambda image, source, detail, since: (ImageId(image), Evidence(NodeSource(source), detail, since)),
    ),
    Table(
        "attempts",
        ("image", "reference", "setback", "message", "failures", "retry_at", "situation"),
        2,
        lambda memory: memory.attempts,
        lambda key, item: (*key, item.setback, item.message, item.failures, item.retry_at, item.situation),
        lambda image, reference, setback, *rest: ((ImageId(image), reference), Attempt(Setback(setback), *rest)),
    ),
    Table(
        "texts",
        ("document", "text_hash", "first_seen", "last_present", "started_at", "text"),
        2,
        lambda memory: memory.texts,
        lambda key, item: (*key, item.first_seen, item.last_present, item.started_at, item.text),
        lambda document, text_hash, *rest: ((document, text_hash), TextRecord(*rest)),
    ),
    Table(
        "agreements",
        ("agreement", "began_after", "first_seen"),
        1,
        lambda memory: memory.agreements,
        lambda agreement, beginning: (agreement, beginning.after, beginning.first_seen),
        lambda agreement, after, first_seen: (agreement, Beginning(after, first_seen)),
    ),
    Table(
        "expected_downloads",
        ("name", "since"),
        1,
        lambda memory: {expected.name: expected for expected in memory.expected},
        lambda name, expected: (name, expected.since),
        lambda name, since: (name, ExpectedDownload(name, since)),
    ),
)


def facts_of(memory: Memory) -> dict[str, Any]:
    """The single values of a memory, each stored as one line of JSON; the clock has its own, because it alone changes
    with every pass.
    """
    seen = memory.seen
    return {
        "clock": asdict(memory.clock),
        "engine": asdict(seen.engine) if seen else None,
        "containers": [asdict(container) for container in seen.containers] if seen else [],
        "around": {"services": sorted(seen.service_images), "own_container": seen.own_container} if seen else None,
        "node": asdict(memory.node) if memory.node else None,
        "watch": asdict(memory.watch),
        "lost_names": {image: list(names) for image, names in memory.lost_names.items()},
        "mounted": {container: list(images) for container, images in memory.mounted.items()},
        "pulls": asdict(memory.pulls) if memory.pulls else None,
        "spent": [asdict(each) for each in memory.spent],
        "event_cursor": memory.event_cursor,
    }


def memory_from(parts: Mapping[str, Mapping[Any, Any]], facts: Mapping[str, Any]) -> Memory:
    """The saved memory. Raises KeyError, TypeError or ValueError if the rows cannot be read."""
    facts = {**facts_of(Memory()), **facts}
    last = facts["clock"]["last"]
    clock = LedgerClock(**{**facts["clock"], "last": Instant(**last) if last else None})
    return Memory(
        clock=clock,
        seen=_seen(parts["images"], facts, clock),
        records=parts["records"],
        layers=parts["layers"],
        evidence=parts["evidence"],
        expected=tuple(parts["expected_downloads"].values()),
        attempts=parts["attempts"],
        texts=parts["texts"],
        node=_kept_answer(facts["node"]) if facts["node"] else None,
        agreements=parts["agreements"],
        watch=Watch(**facts["watch"]),
        lost_names={ImageId(image): tuple(names) for image, names in facts["lost_names"].items()},
        mounted={container: tuple(map(ImageId, images)) for container, images in facts["mounted"].items()},
        pulls=Pulls(**facts["pulls"]) if facts["pulls"] else None,
        spent=tuple(Spending(**each) for each in facts["spent"]),
        event_cursor=facts["event_cursor"],
    )


def _seen(images: Mapping[ImageId, Image], facts: Mapping[str, Any], clock: LedgerClock) -> Observation | None:
    if facts["engine"] is None or clock.last is None:
        return None
    engine = Engine(**{**facts["engine"], "store": Store(facts["engine"]["store"])})
    containers = tuple(_container(fields) for fields in facts["containers"])
    around = facts["around"]
    return Observation(engine, images, containers, clock.last, frozenset(around["services"]), around["own_container"])


def _container(fields: dict[str, Any]) -> Container:
    return Container(**{**fields, "mounted_images": tuple(fields["mounted_images"])})


def _kept_answer(fields: dict[str, Any]) -> KeptAnswer:
    answer = fields["answer"]
    node, agent = _node(answer["node"]), _agent(answer["agent"])
    return KeptAnswer(NodeAnswer(**{**answer, "node": node, "agent": agent}), fields["at"])


def _node(fields: dict[str, Any] | None) -> Node | None:
    if fields is None:
        return None
    properties = tuple(Property(**each) for each in fields["properties"])
    return Node(**{**fields, "properties": properties, "constraints": tuple(fields["constraints"])})


def _agent(fields: dict[str, Any]) -> AgentAnswer:
    agreements = tuple(Agreement(each["id"], tuple(each["images"])) for each in fields["agreements"])
    return AgentAnswer(
        agreements,
        {name: NodeSource(source) for name, source in fields["named"].items()},
        tuple(fields.get("needed", ())),
    )
