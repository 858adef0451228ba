"""Read the agent's JSON: which node this is, and which images its agreements and services name.

Only the needed fields are kept, because agreements contain the environment of containers and so secrets. An unexpected
shape raises AgentUnavailable.
Upstream: anax api/path_node.go, path_node_policy.go, path_agreement.go, path_service.go, persistence/persistence.go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from controller.adapters.node.record_stream import End, Item
from controller.errors import AgentUnavailable
from controller.json_text import decoded
from controller.plan.node.agent import AgentAnswer, Agreement, NodeSource
from controller.plan.node.node import Node, full_pattern, management_view
from controller.printable import printable
from controller.quantity import in_utc
from controller.value import dataclass

_CONFIGURED = "configured"
_CLUSTER = "cluster"
_SECTIONS = ("deployment", "management")
_LISTS = ("properties", "constraints")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Registration:
    """The agent's answer at `/node`."""

    org: str
    id: str
    pattern: str
    refusal: str = ""
    """Why no document can apply to the node, or empty; follows the agent's name."""


def read_registration(answer: object) -> Registration:
    """The answer of `GET /node`."""
    node = _mapping(answer, "/node")
    state = _text(_mapping(node.get("configstate"), "/node: configstate").get("state"), "/node: state")
    if state != _CONFIGURED:
        return Registration("", "", "", f"has no configured node: its state is {printable(state[:40])}")
    if node.get("nodeType") == _CLUSTER:
        return Registration("", "", "", "is a cluster agent; a cluster manages its images itself")
    return Registration(
        org=_text(node.get("organization"), "/node: organization"),
        id=_text(node.get("id"), "/node: id"),
        pattern=_text_or_null(node.get("pattern", _MISSING), "/node: pattern"),
    )


def read_node(registration: Registration, answer: object) -> Node:
    """The node with its policy, the answer of `GET /node/policy`, in which the built-in properties are already.

    Agents of before October 2021 leave out an empty list. An answer with neither is not of an agent.
    """
    policy = _mapping(answer, "/node/policy")
    if policy.keys().isdisjoint(_LISTS):
        raise AgentUnavailable("gave no node policy at /node/policy: no properties and no constraints")
    for where, section in (("", policy), *((f"{name}.", _section(policy, name)) for name in _SECTIONS)):
        for prop in _list(section.get("properties"), f"/node/policy: {where}properties"):
            _text(_mapping(prop, f"/node/policy: {where}properties").get("name"), f"/node/policy: {where}properties")
        for constraint in _list(section.get("constraints"), f"/node/policy: {where}constraints"):
            _text(constraint, f"/node/policy: {where}constraints", may_be_empty=True)
    pattern = full_pattern(registration.pattern, registration.org)
    return Node(registration.org, registration.id, pattern, *management_view(policy))


class RecordReader(ABC):
    """Takes the items of one long answer. Active records must be complete; archived ones are only evidence."""

    path: str
    """Where the answer is from, for messages."""
    lists: tuple[str, ...]
    """The keys of the object with the lists `active` and `archived`."""

    def __init__(self) -> None:
        self.is_cut_short = False
        self._ended: set[str] = set()
        self.named: dict[str, str] = {}
        """Image names, and the record that names each: an active one, else the latest."""

    def take(self, item: Item) -> None:
        """Keep what is needed of one item. Raises AgentUnavailable if its form is not the agent's."""
        if item.path[: len(self.lists)] != self.lists:
            if item.path == self.lists[: len(item.path)]:
                raise _misshapen(item.value, self.path, "an object")
            return
        where = f"{self.path}: {'.'.join(item.path)}"
        state = item.path[-1] if len(item.path) > len(self.lists) else ""
        if item.is_record and state:
            self._record(state, _mapping(item.value, where))
        elif state in ("active", "archived"):
            if item.value not in (None, End.OF_LIST):  # Go writes an empty list as `null`.
                raise _misshapen(item.value, where, "a list")
            self._ended.add(state)
        elif not state:
            raise _misshapen(item.value, where, "an object")

    def end(self) -> None:
        """The answer is complete. Raises AgentUnavailable if a list was missing."""
        for state in ("active", "archived"):
            if state not in self._ended:
                raise AgentUnavailable(f'gave an incomplete answer: {self.path}: {self.lists[0]} has no "{state}"')

    def cut_short(self) -> bool:
        """The rest of the answer cannot be read. True if the answer is good enough without it."""
        self.is_cut_short = "active" in self._ended
        return self.is_cut_short

    @abstractmethod
    def _record(self, state: str, record: Json) -> None:
        """Keep what is needed of one record of the list `state`. Raises AgentUnavailable."""

    def _name(self, images: Iterable[str], record: str, *, is_active: bool) -> None:
        for image in images:
            if is_active:
                self.named.setdefault(image, record)
            elif self.named.get(image, _ARCHIVED).startswith(_ARCHIVED):
                self.named[image] = record


class AgreementReader(RecordReader):
    """The answer of `GET /agreement`."""

    path = "/agreement"
    lists = ("agreements",)

    def __init__(self) -> None:
        super().__init__()
        self.active: list[Agreement] = []

    def _record(self, state: str, record: Json) -> None:
        images = _images_of(record, state, _images)
        identity, made = record.get("current_agreement_id"), _day_of(record.get("agreement_creation_time"))
        if state == "active":
            self.active.append(Agreement(_text(identity, "/agreement: an active one"), images))
        shown = printable(identity[:12]) if isinstance(identity, str) else "?"
        self._name(images, _record_in_words(state, f"agreement {shown}", made), is_active=state == "active")


class ServiceReader(RecordReader):
    """The answer of `GET /service`."""

    path = "/service"
    lists = ("definitions",)

    def __init__(self) -> None:
        super().__init__()
        self.needed: dict[str, None] = {}

    def _record(self, state: str, record: Json) -> None:
        is_active = state == "active"
        images = _images_of(record, state, _images_of_definition)
        if is_active:
            self.needed |= dict.fromkeys(images)
        words = " ".join(str(record[key])[:100] for key in ("specRef", "version") if record.get(key))
        published = str(record.get("lastUpdated") or "")[:10]
        of = _record_in_words(state, f"service {printable(words) or '?'}", printable(published))
        self._name(images, of, is_active=is_active)


_ARCHIVED = "archived "


def _record_in_words(state: str, what: str, day: str) -> str:
    return f"{_ARCHIVED if state == 'archived' else ''}{what}{f' of {day}' if day else ''}"


def _day_of(seconds: object) -> str:
    """The day (UTC) of a time of the agent; empty if it is none."""
    if not isinstance(seconds, int) or not 0 < seconds < 1 << 36:
        return ""
    return in_utc(seconds).date().isoformat()


def agent_answer(agreements: AgreementReader, services: ServiceReader) -> AgentAnswer:
    """Both answers as one value."""
    named = dict.fromkeys(services.named, NodeSource.SERVICE) | dict.fromkeys(agreements.named, NodeSource.AGREEMENT)
    return AgentAnswer(
        tuple(agreements.active),
        named,
        tuple(services.needed),
        records={**services.named, **agreements.named},
        is_cut_short=agreements.is_cut_short or services.is_cut_short,
    )


def _images_of(record: Json, state: str, read: Callable[[Json], Iterable[str]]) -> tuple[str, ...]:
    """The images that a record names. An archived one is only evidence: if it is not valid, it names none."""
    try:
        return tuple(dict.fromkeys(read(record)))
    except AgentUnavailable:
        if state == "active":
            raise
        return ()


def _images(agreement: Json) -> Iterator[str]:
    """The images of an agreement's deployment; none before its containers are created."""
    where = "/agreement: current_deployment"
    for service in _mapping_or_null(agreement.get("current_deployment"), where).values():
        config = _mapping_or_null(_mapping(service, where).get("config"), where)
        if image := _text_or_null(config.get("Image"), where):
            yield image


def _images_of_definition(definition: Json) -> tuple[str, ...]:
    """The images in the deployment (a JSON text) of a service. Raises AgentUnavailable if it is not valid.

    An unknown image cannot be kept. An empty deployment, as of a cluster service, names no image.
    """
    text = _text_or_null(definition.get("deployment"), _OF_DEFINITION)
    return _images_in_short(text) if len(text) <= _SHORT_CHARACTERS else _images_in(text)


_OF_DEFINITION = "/service: the deployment of an active definition"
_SHORT_CHARACTERS = 4_096
"""Longer texts are not cached, so that the cache holds at most 256 texts of 16 KiB."""


@lru_cache(maxsize=256)
def _images_in_short(text: str) -> tuple[str, ...]:
    """Cached, because thousands of archived definitions have the same deployment."""
    return _images_in(text)


def _images_in(text: str) -> tuple[str, ...]:
    where = _OF_DEFINITION
    try:
        deployment = decoded(text or "{}")
    except ValueError:
        raise AgentUnavailable(f"gave an invalid answer: {where}: expected JSON") from None
    lists = (_mapping(each, where) for each in _fields(_mapping_or_null(deployment, where), "services"))
    services = (_mapping(service, where) for each in lists for service in each.values())
    images = (_text_or_null(image, where) for service in services for image in _fields(service, "image"))
    return tuple(image for image in images if image)


def _fields(record: Json, name: str) -> Iterator[object]:
    """The values of a field in a text that a person wrote: Go, which reads it for the agent, ignores the case."""
    return (value for key, value in record.items() if key.lower() == name and value is not None)


def _section(policy: Json, name: str) -> Json:
    return _mapping_or_null(policy.get(name), f"/node/policy: {name}")


_MISSING = object()
"""A field that every agent sends; unlike `null` it is no answer."""


def _mapping_or_null(value: object, where: str) -> Json:
    """Go writes an empty map as `null`. No other value counts as empty: `[]` or `false` is not an agent's answer."""
    return {} if value is None else _mapping(value, where)


def _mapping(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise _misshapen(value, where, "an object")
    return value


def _list(value: object, where: str) -> list[Any]:
    """Go writes an empty list as `null`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _misshapen(value, where, "a list")
    return value


def _text_or_null(value: object, where: str) -> str:
    return "" if value is None else _text(value, where, may_be_empty=True)


def _text(value: object, where: str, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or may_be_empty) or _has_half_characters(value):
        raise _misshapen(value, where, "a text")
    return value


def _has_half_characters(text: str) -> bool:
    """JSON can escape halves of characters, which no file can hold."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _misshapen(value: object, where: str, wanted: str) -> AgentUnavailable:
    """The message names the kind of a value, never the value, which may be secret."""
    found = (
        "nothing" if value in (None, "", _MISSING) else f"a {'list' if value is End.OF_LIST else type(value).__name__}"
    )
    return AgentUnavailable(f"gave an invalid answer: {where}: expected {wanted}, found {found}")
