"""The recorded answers of a real agent and a real Exchange, read by our code: `python -m tests.campaigns.recorded`.

Each check returns the answers that it read and what differs from the recording.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.adapters.exchange.client import _message_in, _policies_in
from controller.adapters.node.agent_answers import (
    AgreementReader,
    ServiceReader,
    agent_answer,
    read_node,
    read_registration,
)
from controller.adapters.node.record_stream import items
from controller.constraint.property import read_property
from controller.errors import ExchangeUnavailable
from controller.plan.node.matching import match
from controller.plan.node.node import Node
from tests.campaigns._played import played
from tests.conformance import Policy
from tests.openhorizon import recorded

_POLICIES = "/managementpolicies"


@dataclass
class Result:
    """One check."""

    answers: int = 0
    differences: list[str] = field(default_factory=list)

    def compare(self, what: str, ours: object, theirs: object) -> None:
        self.answers += 1
        if ours != theirs:
            self.differences.append(f"{what}: ours {ours!r:.200}, recorded {theirs!r:.200}")


def main() -> int:
    """Run all checks and print a closing line for each."""
    differ = 0
    for name, check in CHECKS.items():
        result = check()
        differ += len(result.differences)
        print(f"{name}: {result.answers} answers, {len(result.differences)} differ")
        for difference in result.differences:
            print(f"  {difference}")
    return 1 if differ else 0


def matching() -> Result:
    """Which documents apply, as the agent decided."""
    result = Result()
    for name, case in recorded("agent-matching").items():
        node = read_node(read_registration(case["node"]), case["node_policy"])
        for each in case["documents"]:
            result.compare(f"{name}, {each['name']}", _applies(each["document"], node), each["agent_applies"])
    return result


def _applies(document: Mapping[str, Any], node: Node) -> bool:
    return document.get("enabled", True) and match(_policy(document), node).applies


def _policy(document: Mapping[str, Any]) -> Policy:
    properties = [read_property(each) for each in document.get("properties") or []]
    return Policy(document.get("constraints") or [], properties, document.get("patterns") or [])


def agent() -> Result:
    """Node data, agreements and services in every recorded state of the agent."""
    result = Result()
    for chapter, answers in recorded("agent").items():
        if chapter.startswith(("timeline", "events", "how the engine")):
            continue
        bodies = {answer["path"]: answer for answer in answers}
        if node := bodies.get("/node"):
            _compare_node(result, chapter, node["body"], bodies.get("/node/policy"))
        for path, reader in (("/agreement", AgreementReader()), ("/service", ServiceReader())):
            if path in bodies:
                _compare_records(result, chapter, bodies[path], reader)
    return result


def _compare_node(result: Result, chapter: str, node: Mapping[str, Any], policy: Mapping[str, Any] | None) -> None:
    registration = read_registration(node)
    is_usable = node["configstate"]["state"] == "configured" and node.get("nodeType") != "cluster"
    result.compare(f"{chapter} /node", not registration.refusal, is_usable)
    if is_usable:
        result.compare(f"{chapter} /node", (registration.org, registration.id), (node["organization"], node["id"]))
        result.compare(f"{chapter} /node", registration.pattern, node["pattern"])
    if is_usable and policy:
        names = {prop.name for prop in read_node(registration, policy["body"]).properties}
        top = {each["name"] for each in policy["body"]["properties"] or []}
        result.compare(f"{chapter} /node/policy", top - names, set())


def _compare_records(
    result: Result, chapter: str, answer: Mapping[str, Any], reader: AgreementReader | ServiceReader
) -> None:
    """Against the images anywhere in the answer, which other code reads from its text."""
    if answer["status"] != 200:
        result.compare(f"{chapter} {reader.path}", answer["status"], 424)
        return
    text = json.dumps(answer["body"]).encode()
    for item in items(text[at : at + 1000] for at in range(0, len(text), 1000)):
        reader.take(item)
    reader.end()
    if isinstance(reader, AgreementReader):
        expected = {
            service["config"]["Image"]
            for agreement in answer["body"]["agreements"]["active"]
            for service in (agreement["current_deployment"] or {}).values()
        }
        ours = agent_answer(reader, ServiceReader()).images_in_use
    else:
        definitions = answer["body"]["definitions"]["active"]
        expected = {image for each in definitions for image in _images_in(json.loads(each["deployment"] or "{}"))}
        ours = agent_answer(AgreementReader(), reader).images_in_use
    result.compare(f"{chapter} {reader.path}", set(ours), expected)


def _images_in(value: object) -> Iterator[str]:
    """The values of all keys `image`."""
    if isinstance(value, dict):
        if isinstance(value.get("image"), str):
            yield value["image"]
        for inner in value.values():
            yield from _images_in(inner)


def exchange_lists() -> Result:
    """Every recorded answer to a request for the policies of an organisation."""
    result = Result()
    for chapter, calls in recorded("exchange").items():
        for number, call in enumerate(calls):
            if call["method"] == "GET" and call["path"].endswith(_POLICIES) and _is_whole(call):
                _compare_list(result, f"{chapter} {number}", call)
    return result


def _compare_list(result: Result, what: str, call: Mapping[str, Any]) -> None:
    body, status = str(call.get("body", "")), call["status"]
    if status not in (200, 404):
        said = json.loads(body).get("msg") if body.startswith("{") else ""
        result.compare(what, bool(_message_in(body.encode())), bool(said))
        return
    organisation = call["path"].split("/orgs/")[-1].split("/")[0].replace("%6f", "o")
    try:
        policies = _policies_in(status, body.encode(), organisation)
    except ExchangeUnavailable:
        result.compare(what, "an error", "an error" if '"managementPolicy"' not in body else "policies")
        return
    names = json.loads(body)["managementPolicy"]
    result.compare(what, [policy.name for policy in policies], sorted(names))


def _is_whole(call: Mapping[str, Any]) -> bool:
    """Long bodies were cut in the recording."""
    body = str(call.get("body", ""))
    if not body.startswith("{"):
        return "status" in call
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def exchange_requests() -> Result:
    """Every recorded request about policies and organisations, played against our fake Exchange."""
    result = Result()
    for what, ours, theirs in played():
        result.compare(what, ours, theirs)
    return result


CHECKS = {
    "the agent's matching": matching,
    "answers of the agent": agent,
    "lists of the Exchange": exchange_lists,
    "requests played against the fake Exchange": exchange_requests,
}

if __name__ == "__main__":
    sys.exit(main())
