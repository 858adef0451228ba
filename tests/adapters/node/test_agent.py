"""The client of an agent: a complete answer or none, in bounded time, without secrets in messages."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from controller.adapters.node.agent import Agent, AgentLimits
from controller.adapters.node.agent_answers import AgreementReader, ServiceReader
from controller.adapters.node.record_stream import Item
from controller.constraint.property import Property
from controller.errors import InvalidSettings
from controller.plan.node.agent import NO_AGENT, AgentAnswer, Agreement, NodeAnswer, NodeSource
from controller.plan.node.node import Node
from tests.fake_agent import PATHS, SECRET, FakeAgent, drip, fall_silent
from tests.fake_exchange import Behaviour, Handler, body, cut_short, hang_up, send, status

QUICK = AgentLimits(connect=1.0, answer=0.2)


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    with FakeAgent() as agent:
        yield agent


def ask(agent: FakeAgent) -> NodeAnswer:
    return Agent(agent.url).ask()


def answers(agent: FakeAgent) -> AgentAnswer:
    answer = ask(agent)
    assert not answer.is_silence, answer.why
    return answer.agent


def cut_off(handler: Handler) -> None:
    """Send half of an answer and close the connection."""
    cut_short(b'{"agreements": ')(handler)
    handler.close_connection = True


# ── the node ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_configured_node_has_its_policy(agent: FakeAgent) -> None:
    agent.policy |= {"properties": [{"name": "site", "value": "lyon"}], "constraints": ["purpose == sweep"]}
    answer = ask(agent)
    assert answer.node == Node("myorg", "gw-1", "", (Property("site", "lyon"),), ("purpose == sweep",))
    assert answer.why == f"from the agent at {agent.url}"
    assert answer.source == agent.url
    assert not answer.is_degraded


def test_the_management_section_replaces_the_top_level(agent: FakeAgent) -> None:
    agent.policy["properties"] = [{"name": "site", "value": "lyon"}, {"name": "openhorizon.arch", "value": "arm64"}]
    agent.policy["management"] = {"properties": [{"name": "site", "value": "paris"}], "constraints": ["a == b"]}
    answer = ask(agent)
    assert answer.node
    assert answer.node.properties == (Property("site", "paris"), Property("openhorizon.arch", "arm64"))
    assert answer.node.constraints == ("a == b",)


def test_a_node_without_a_policy_has_an_empty_one_as_upstream(agent: FakeAgent) -> None:
    assert ask(agent).node == Node("myorg", "gw-1")


@pytest.mark.parametrize(
    ("written", "full"), [("gateway", "myorg/gateway"), ("IBM/gateway", "IBM/gateway"), ("", ""), (None, "")]
)
def test_a_pattern_without_an_organisation_is_the_nodes_own(agent: FakeAgent, written: str, full: str) -> None:
    agent.pattern = written
    answer = ask(agent)
    assert answer.node
    assert answer.node.pattern == full


@pytest.mark.parametrize("state", ["unconfigured", "configuring", "unconfiguring"])
def test_no_document_applies_to_a_node_that_is_not_configured(agent: FakeAgent, state: str) -> None:
    agent.state = state
    answer = ask(agent)
    assert (answer.node, answer.is_silence, answer.is_degraded) == (None, False, True)
    assert answer.why == f"the agent at {agent.url} has no configured node: its state is {state}"
    assert agent.requests == ["/node"]


def test_no_document_applies_to_a_cluster(agent: FakeAgent) -> None:
    agent.node_type = "cluster"
    answer = ask(agent)
    assert (answer.node, answer.is_silence) == (None, False)
    assert "cluster" in answer.why


# ── agreements and services ───────────────────────────────────────────────────────────────────────────────────────────


def test_images_of_active_agreements_are_needed_and_named(agent: FakeAgent) -> None:
    agent.deploy("a1", web="web:1", cache="redis:7")
    assert answers(agent) == AgentAnswer(
        (Agreement("a1", ("web:1", "redis:7")),),
        {"web:1": NodeSource.AGREEMENT, "redis:7": NodeSource.AGREEMENT},
        records={"web:1": "agreement a1", "redis:7": "agreement a1"},
    )


def test_an_agreement_names_no_image_before_its_containers_are_created(agent: FakeAgent) -> None:
    agent.agree("a1")
    assert answers(agent).agreements == (Agreement("a1"),)
    agent.deploy("a1", web="web:1")
    assert answers(agent).images_in_use == {"web:1"}


def test_images_of_ended_agreements_are_evidence_but_not_use(agent: FakeAgent) -> None:
    agent.deploy("a1", web="web:1")
    agent.end("a1")
    named = AgentAnswer((), {"web:1": NodeSource.AGREEMENT}, records={"web:1": "archived agreement a1"})
    assert answers(agent) == named
    agent.archive("a1")
    assert answers(agent) == NO_AGENT


def test_images_of_services_are_evidence(agent: FakeAgent) -> None:
    agent.define("db", "postgres:16", "exporter@sha256:" + "0" * 64)
    agent.define("old", "mysql:5", is_archived=True)
    assert answers(agent).named == dict.fromkeys(
        ["postgres:16", "exporter@sha256:" + "0" * 64, "mysql:5"], NodeSource.SERVICE
    )


def test_images_of_active_definitions_are_in_use_until_they_are_archived(agent: FakeAgent) -> None:
    agent.define("required", "dep:1", "slow:1")
    agent.define("old", "mysql:5", is_archived=True)
    assert answers(agent).images_in_use == {"dep:1", "slow:1"}
    agent.definitions[0]["archived"] = True
    assert answers(agent).images_in_use == set()
    assert answers(agent).named["dep:1"] is NodeSource.SERVICE


@pytest.mark.parametrize("deployment", ["", None, "null", "{}", '{"services": {}}', '{"services": {"a": {}}}'])
def test_an_active_definition_without_a_deployment_names_no_image(agent: FakeAgent, deployment: object) -> None:
    agent.definitions = [{"archived": False, "deployment": deployment}]
    assert answers(agent) == NO_AGENT


@pytest.mark.parametrize(
    ("deployment", "needed"),
    [
        ('{"Services": {"a": {"IMAGE": "web:1"}}}', {"web:1"}),
        (
            '{"services": {"a": {"image": "web:1", "Image": "web:2"}}, "SERVICES": {"b": {"image": "db:1"}}}',
            {"web:1", "web:2", "db:1"},
        ),
    ],
)
def test_the_case_of_fields_in_a_deployment_does_not_matter_as_in_go(
    agent: FakeAgent, deployment: str, needed: set[str]
) -> None:
    agent.definitions = [{"archived": False, "deployment": deployment}]
    assert answers(agent).images_in_use == needed


@pytest.mark.parametrize("left_out", ["properties", "constraints"])
def test_an_agent_of_before_october_2021_leaves_out_an_empty_list(agent: FakeAgent, left_out: str) -> None:
    lists = {"properties": [{"name": "site", "value": "lyon"}], "constraints": ["purpose == sweep"]}
    del lists[left_out]
    agent.misbehaviours["/node/policy"] = status(200, lists)
    node = ask(agent).node
    assert node is not None
    assert (len(node.properties), len(node.constraints)) == (left_out != "properties", left_out != "constraints")


UNREADABLE = [
    7,
    False,
    0,
    [],
    "[]",
    "false",
    "0",
    '{"services": []}',
    '{"services": false}',
    '{"services": {"a": null}}',
    '{"services": {"a": {"image": []}}}',
    '{"services": {"a": {"image": false}}}',
    "half {",
    "[" * 9999,
    '["x"]',
    '{"services": 1}',
    '{"services": {"a": 1}}',
    '{"services": {"a": {"image": 1}}}',
]


@pytest.mark.parametrize("deployment", UNREADABLE)
def test_an_active_definition_that_cannot_be_read_makes_the_answer_invalid(
    agent: FakeAgent, deployment: object
) -> None:
    agent.definitions = [{"archived": False, "deployment": deployment}]
    answer = ask(agent)
    assert_silent(answer, agent)
    assert "active definition" in answer.why


@pytest.mark.parametrize("deployment", UNREADABLE)
def test_an_archived_deployment_that_cannot_be_read_is_no_evidence(agent: FakeAgent, deployment: object) -> None:
    agent.definitions = [{"archived": True, "deployment": deployment}]
    assert answers(agent).named == {}


def test_the_day_of_an_agreement_does_not_depend_on_the_size_of_time_t() -> None:
    reader = AgreementReader()
    deployment = {"web": {"config": {"Image": "web:1"}}}
    record = {"current_agreement_id": "a", "agreement_creation_time": 2**31, "current_deployment": deployment}
    reader.take(Item(("agreements", "archived"), record, is_record=True))
    assert reader.named == {"web:1": "archived agreement a of 2038-01-19"}  # `make test-arm`: armhf ends on that day


def test_long_deployments_are_not_kept_in_memory() -> None:
    """Each of 64 archived definitions has a deployment of 100,000 characters of its own."""
    tracemalloc.start()
    try:
        reader = ServiceReader()
        for number in range(64):
            services = {"web": {"image": f"web:{number}", "options": f"{number:100000}"}}
            record = {"archived": True, "deployment": json.dumps({"services": services})}
            reader.take(Item(("definitions", "archived"), record, is_record=True))
        del services, record
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(reader.named) == 64
    assert kept_bytes < 1_000_000


# ── no valid answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def assert_silent(answer: NodeAnswer, agent: FakeAgent) -> None:
    assert (answer.node, answer.is_silence, answer.agent, answer.source) == (None, True, NO_AGENT, agent.url)
    assert answer.why.startswith(f"the agent at {agent.url} ")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (status(500, "x"), "answered 500"),
        (status(404, {"error": "x"}), "answered 404"),
        (status(302, {}, Location="/other"), "answered 302 at /"),
        (body(b"<html>"), "gave invalid JSON"),
        (body(b""), "gave invalid JSON"),
        (body(b"\xff\xfe"), "gave invalid JSON"),
        (body(b"[" * 100_000), "gave invalid JSON"),
        (body(b"[]"), "gave an invalid answer"),
        (body(b"null"), "gave an invalid answer"),
        (cut_off, "gave invalid JSON"),
        (hang_up, "closed the connection"),
    ],
)
def test_an_answer_is_good_only_if_all_its_parts_are(
    agent: FakeAgent, path: str, behaviour: Behaviour, why: str
) -> None:
    agent.misbehaviours[path] = behaviour
    answer = ask(agent)
    assert_silent(answer, agent)
    assert why in answer.why


def a_chunk_of_negative_length(handler: Handler) -> None:
    """Python's client raises ValueError for it, not one of its own errors."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n")
    handler.close_connection = True


@pytest.mark.parametrize("path", PATHS)
def test_an_invalid_chunk_is_no_answer(agent: FakeAgent, path: str) -> None:
    agent.misbehaviours[path] = a_chunk_of_negative_length
    assert_silent(ask(agent), agent)


HALF_A_CHARACTER = "\ud83d"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/node", {"id": HALF_A_CHARACTER}),
        ("/node/policy", {"properties": [{"name": HALF_A_CHARACTER, "value": 1}]}),
        ("/agreement", {"agreements": {"active": [{"current_agreement_id": HALF_A_CHARACTER}], "archived": []}}),
    ],
)
def test_half_a_character_makes_the_answer_invalid(agent: FakeAgent, path: str, said: dict[str, Any]) -> None:
    agent.misbehaviours[path] = status(200, said)
    assert_silent(ask(agent), agent)


FALSE_IN_PYTHON: tuple[object, ...] = (False, 0, [], {})
A_NODE = {"id": "n", "organization": "o", "pattern": "", "configstate": {"state": "configured"}}


def an_agreement(deployment: object) -> dict[str, Any]:
    return {"agreements": {"active": [{"current_agreement_id": "a", "current_deployment": deployment}], "archived": []}}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/node", {"id": "gw-1", "organization": None, "configstate": {"state": "configured"}}),
        ("/node", {"id": 7, "organization": "o", "configstate": {"state": "configured"}}),
        ("/node", {"id": "n", "organization": "o", "pattern": ["p"], "configstate": {"state": "configured"}}),
        ("/node", {"configstate": "configured"}),
        ("/node", {}),
        ("/node", {"configstate": None}),
        ("/node", {"configstate": {"state": 7}}),
        *(("/node", {**A_NODE, "pattern": wrong}) for wrong in FALSE_IN_PYTHON),
        ("/node", {name: value for name, value in A_NODE.items() if name != "pattern"}),
        ("/node/policy", {}),
        ("/node/policy", {"error": "x"}),
        ("/node/policy", {"properties": [], "constraints": False}),
        ("/node/policy", {"properties": [], "constraints": [], "management": []}),
        ("/node/policy", {"properties": [], "constraints": "site == lyon"}),
        ("/node/policy", {"properties": [], "constraints": [7]}),
        ("/node/policy", {"properties": {"site": "lyon"}}),
        ("/node/policy", {"properties": [{"value": 1}]}),
        ("/node/policy", {"properties": [], "management": ["x"]}),
        ("/node/policy", {"properties": [], "management": {"constraints": "x"}}),
        ("/agreement", {}),
        ("/agreement", {"agreements": {"active": []}}),
        ("/agreement", {"agreements": {"active": {}, "archived": []}}),
        ("/agreement", {"agreements": {"active": [{"current_deployment": {}}], "archived": []}}),
        ("/agreement", {"agreements": {"active": [{"current_agreement_id": "a", "current_deployment": [1]}]}}),
        *(("/agreement", an_agreement(wrong)) for wrong in (*FALSE_IN_PYTHON[:3], "")),
        *(("/agreement", an_agreement({"web": {"config": wrong}})) for wrong in (*FALSE_IN_PYTHON[:3], "")),
        *(("/agreement", an_agreement({"web": {"config": {"Image": wrong}}})) for wrong in FALSE_IN_PYTHON),
        ("/service", {"definitions": {"active": []}}),
        ("/service", {"config": []}),
    ],
)
def test_an_incomplete_answer_is_no_answer(agent: FakeAgent, path: str, said: dict[str, Any]) -> None:
    agent.misbehaviours[path] = status(200, said)
    answer = ask(agent)
    assert_silent(answer, agent)
    assert f"{path}" in answer.why


CUT_SHORT = {
    "/agreement": b'{"agreements": {"active": [{"current_agreement_id": "a"}], "archived": [%s',
    "/service": b'{"config": [], "definitions": {"active": [], "archived": [%s',
}
ARCHIVED = {
    "/agreement": b'{"current_deployment": {"web": {"config": {"Image": "web:1"}}}}, ',
    "/service": b'{"deployment": "{\\"services\\": {\\"web\\": {\\"image\\": \\"web:1\\"}}}"}, ',
}


def test_an_archived_agreement_that_cannot_be_read_is_no_evidence(agent: FakeAgent) -> None:
    wrong: tuple[object, ...] = (7, [], {"web": []}, {"web": {"config": {"Image": 1}}})
    archived = [{"current_deployment": each} for each in wrong]
    agent.misbehaviours["/agreement"] = status(200, {"agreements": {"active": [], "archived": archived}})
    assert answers(agent).named == {}


@pytest.mark.parametrize("path", CUT_SHORT)
@pytest.mark.parametrize("rest", [b"", b"{", b"nonsense"])
def test_archived_records_are_evidence_as_far_as_they_can_be_read(agent: FakeAgent, path: str, rest: bytes) -> None:
    agent.misbehaviours[path] = body(CUT_SHORT[path] % ARCHIVED[path] + rest)
    answer = answers(agent)
    assert list(answer.named) == ["web:1"]
    assert answer.is_cut_short
    assert agent.requests == list(PATHS)


def test_an_active_list_that_breaks_off_is_no_answer(agent: FakeAgent) -> None:
    agent.misbehaviours["/service"] = body(b'{"definitions": {"archived": [], "active": [{"deployment": ""}')
    assert_silent(ask(agent), agent)


def test_archived_records_after_the_limit_are_not_read(agent: FakeAgent) -> None:
    agent.misbehaviours["/service"] = body(CUT_SHORT["/service"] % (ARCHIVED["/service"] * 20_000))
    answer = Agent(agent.url, AgentLimits(longest=2**20)).ask()
    assert (answer.is_silence, answer.agent.is_cut_short, list(answer.agent.named)) == (False, True, ["web:1"])


def test_an_active_record_decides_which_record_names_an_image_else_the_latest(agent: FakeAgent) -> None:
    agent.define("old", "web:1", is_archived=True)
    agent.define("new", "web:1")
    agent.define("older", "db:1", is_archived=True)
    agent.define("newer", "db:1", is_archived=True)
    assert answers(agent).records == {"web:1": "service new", "db:1": "archived service newer"}


def test_whole_characters_may_be_escaped(agent: FakeAgent) -> None:
    agent.misbehaviours["/node/policy"] = body(rb'{"properties": [{"name": "mood", "value": "\uD83D\uDE00"}]}')
    answer = ask(agent)
    assert answer.node
    assert answer.node.properties == (Property("mood", "😀"),)


def test_null_is_an_empty_list_as_go_writes_it(agent: FakeAgent) -> None:
    agent.misbehaviours["/agreement"] = status(200, {"agreements": {"active": None, "archived": None}})
    agent.misbehaviours["/service"] = status(200, {"definitions": {"active": None, "archived": None}})
    assert answers(agent) == NO_AGENT


def test_an_agent_that_cannot_reach_docker_gives_no_valid_containers(agent: FakeAgent) -> None:
    agent.docker_is_up = False
    assert_silent(ask(agent), agent)
    assert ask(agent).why.endswith("answered 500 at /service")


def test_an_agent_that_is_down_gives_no_answer() -> None:
    with FakeAgent() as agent:
        pass
    assert_silent(ask(agent), agent)
    assert ask(agent).why.endswith("connection refused (is the agent running?)")


def test_an_answer_without_end_is_given_up(agent: FakeAgent) -> None:
    agent.misbehaviours["/service"] = body(b" " * (2**20 + 1))
    answer = Agent(agent.url, AgentLimits(longest=2**20)).ask()
    assert_silent(answer, agent)
    assert answer.why.endswith("gave more than 1 MiB at /service")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=len
)
def test_the_wait_for_an_agent_that_stops_answering_is_bounded(agent: FakeAgent, path: str, before: bytes) -> None:
    agent.misbehaviours[path] = fall_silent(agent, before)
    answer = Agent(agent.url, QUICK).ask()
    assert_silent(answer, agent)
    assert answer.why.endswith("did not answer completely within 0.2 s")


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["interim answers", "headers", "body", "chunks"],
)
def test_the_wait_for_an_agent_that_sends_single_bytes_is_bounded(
    agent: FakeAgent, start: bytes, endless: bytes
) -> None:
    def behave(handler: Handler) -> None:
        handler.wfile.write(start)
        drip(agent, endless)(handler)

    agent.misbehaviours["/agreement"] = behave
    answer = Agent(agent.url, QUICK).ask()
    assert_silent(answer, agent)


def test_an_agent_that_closes_the_connection_after_each_part_is_read(agent: FakeAgent) -> None:
    def close_after(path: str) -> Behaviour:
        return lambda handler: send(handler, 200, json.dumps(agent.said(path)).encode(), Connection="close")

    agent.misbehaviours = {path: close_after(path) for path in PATHS}
    assert ask(agent).node == Node("myorg", "gw-1")


def test_chunked_answers_are_read(agent: FakeAgent) -> None:
    text = json.dumps(agent.said("/agreement")).encode()

    def behave(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        handler.wfile.write(b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, text[:5], len(text) - 5, text[5:]))

    agent.misbehaviours["/agreement"] = behave
    assert ask(agent).node == Node("myorg", "gw-1")


def test_a_good_answer_follows_a_bad_one(agent: FakeAgent) -> None:
    asked = Agent(agent.url)
    agent.misbehaviours["/node"] = status(500)
    assert asked.ask().is_silence
    agent.misbehaviours.clear()
    assert not asked.ask().is_silence


def test_no_proxy_is_used_for_the_agent(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert not ask(agent).is_silence


# ── secrets, and the address ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_environment_of_containers_is_neither_kept_nor_printed(
    agent: FakeAgent, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    agent.deploy("a1", web="web:1")
    agent.deploy("a2", web="web:2")
    agent.end("a2")
    half = json.dumps(agent.said("/agreement")).encode()[:200]
    misshapen = {"agreements": {"active": [{"current_agreement_id": "a", "current_deployment": {"s": SECRET}}]}}
    said = [ask(agent)]
    for behaviour in (body(half), status(200, misshapen), status(500, SECRET), status(302, {}, Location=f"/{SECRET}")):
        agent.misbehaviours["/agreement"] = behaviour
        said.append(ask(agent))
    assert SECRET not in repr(said) + caplog.text + "".join(capfd.readouterr())
    assert [answer.is_silence for answer in said] == [False, True, True, True, True]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8510",
        "https://localhost:8510",
        "http://",
        "http://me:secret@localhost:8510",
        "http://a:b/",
        "unix:///x",
        "http://localhost:8510/?x",
        "http://localhost:8510/#x",
        "http://localhost:99999",
        "http://local host:8510",
    ],
)
def test_an_invalid_address_of_an_agent_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"such as http://localhost:8510$"):
        Agent(url)


def test_the_address_of_an_agent_may_have_a_path(agent: FakeAgent) -> None:
    agent.misbehaviours = {f"/anax{path}": status(200, agent.said(path)) for path in PATHS}
    answer = Agent(f" {agent.url}/anax/ ").ask()
    assert answer.source == f"{agent.url}/anax"
    assert not answer.is_silence


def test_an_address_that_is_not_a_host_is_an_invalid_setting() -> None:
    with pytest.raises(InvalidSettings):
        Agent("http://[::1:8510", QUICK)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300])
def test_a_host_that_does_not_exist_gives_no_answer(host: str) -> None:
    answer = Agent(f"http://{host}:8510", QUICK).ask()
    assert answer.is_silence
    assert "is not reachable" in answer.why
