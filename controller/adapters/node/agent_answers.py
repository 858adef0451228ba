"""Read the agent's JSON: which node this is, and which images its agreements and services name.

Only the needed fields are kept, because agreements contain the environment of containers and so secrets. An unexpected
shape raises AgentUnavailable.
Upstream: anax api/path_node.go, path_node_policy.go, path_agreement.go, path_service.go, persistence/persistence.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.errors import AgentUnavailable
from controller.plan.node.agent import AgentAnswer, Agreement, NodeSource
from controller.plan.node.node import Node, full_pattern, management_view
from controller.printable import printable

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
    state = _mapping(node.get("configstate") or {}, "/node: configstate").get("state")
    if state != _CONFIGURED:
        shown = f"its state is {printable(state[:40])}" if isinstance(state, str) else "it reports no state"
        return Registration("", "", "", f"has no configured node: {shown}")
    if node.get("nodeType") == _CLUSTER:
        return Registration("", "", "", "is a cluster agent; a cluster manages its images itself")
    return Registration(
        org=_text(node.get("organization"), "/node: organization"),
        id=_text(node.get("id"), "/node: id"),
        pattern=_text(node.get("pattern") or "", "/node: pattern", may_be_empty=True),
    )


def read_node(registration: Registration, answer: object) -> Node:
    """The node with its policy, the answer of `GET /node/policy`, in which the built-in properties are already."""
    policy = _mapping(answer, "/node/policy")
    if not policy.keys() & set(_LISTS):
        raise AgentUnavailable("gave no node policy at /node/policy: no properties and no constraints")
    for where, section in (("", policy), *((f"{name}.", _section(policy, name)) for name in _SECTIONS)):
        for prop in _list(section.get("properties"), f"/node/policy: {where}properties"):
            _text(_mapping(prop, f"/node/policy: {where}properties").get("name"), f"/node/policy: {where}properties")
        for constraint in _list(section.get("constraints"), f"/node/policy: {where}constraints"):
            _text(constraint, f"/node/policy: {where}constraints", may_be_empty=True)
    pattern = full_pattern(registration.pattern, registration.org)
    return Node(registration.org, registration.id, pattern, *management_view(policy))


def read_agent_answer(agreements: object, services: object) -> AgentAnswer:
    """The answers of `GET /agreement` and `GET /service`."""
    by_state = _mapping(_mapping(agreements, "/agreement").get("agreements"), "/agreement: agreements")
    active = [_agreement(each) for each in _states(by_state, "active", "/agreement: agreements")]
    archived = [image for each in _states(by_state, "archived", "/agreement: agreements") for image in _images(each)]
    definitions = _mapping(_mapping(services, "/service").get("definitions"), "/service: definitions")
    needed = [
        image
        for definition in _states(definitions, "active", "/service: definitions")
        for image in _images_of_active(definition)
    ]
    of_services = [
        *needed,
        *(
            image
            for definition in _states(definitions, "archived", "/service: definitions")
            for image in _images_of_archived(definition)
        ),
    ]
    in_agreements = [*(image for agreement in active for image in agreement.images), *archived]
    named = dict.fromkeys(of_services, NodeSource.SERVICE) | dict.fromkeys(in_agreements, NodeSource.AGREEMENT)
    return AgentAnswer(tuple(active), named, tuple(dict.fromkeys(needed)))


def _agreement(agreement: Json) -> Agreement:
    where = "/agreement: an active one"
    return Agreement(_text(agreement.get("current_agreement_id"), where), tuple(dict.fromkeys(_images(agreement))))


def _images(agreement: Json) -> Iterator[str]:
    """The images of an agreement's deployment; none before its containers are created."""
    where = "/agreement: current_deployment"
    for service in _mapping(agreement.get("current_deployment") or {}, where).values():
        config = _mapping(_mapping(service, where).get("config") or {}, where)
        if image := _text(config.get("Image") or "", where, may_be_empty=True):
            yield image


def _images_of_active(definition: Json) -> list[str]:
    """The images in the deployment (a JSON text) of an active service. Raises AgentUnavailable if it is not valid.

    An unknown image cannot be kept. An empty deployment, as of a cluster service, names no image.
    """
    where = "/service: the deployment of an active definition"
    text = _text(definition.get("deployment") or "", where, may_be_empty=True)
    try:
        deployment = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise AgentUnavailable(f"gave an invalid answer: {where}: expected JSON") from None
    services = _mapping(_mapping(deployment or {}, where).get("services") or {}, where)
    images = (_text(_mapping(each, where).get("image") or "", where, may_be_empty=True) for each in services.values())
    return [image for image in images if image]


def _images_of_archived(definition: Json) -> list[str]:
    """The same for an archived service; an invalid deployment names no image, because it is only evidence."""
    try:
        return _images_of_active(definition)
    except AgentUnavailable:
        return []


def _states(by_state: Json, state: str, where: str) -> list[Json]:
    if state not in by_state:
        raise AgentUnavailable(f'gave an incomplete answer: {where} has no "{state}"')
    return [_mapping(each, f"{where}.{state}") for each in _list(by_state[state], f"{where}.{state}")]


def _section(policy: Json, name: str) -> Json:
    return _mapping(policy.get(name) or {}, f"/node/policy: {name}")


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


def _text(value: object, where: str, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or may_be_empty):
        raise _misshapen(value, where, "a text")
    return value


def _misshapen(value: object, where: str, wanted: str) -> AgentUnavailable:
    """The message names the kind of a value, never the value, which may be secret."""
    found = "nothing" if value in (None, "") else f"a {type(value).__name__}"
    return AgentUnavailable(f"gave an invalid answer: {where}: expected {wanted}, found {found}")
