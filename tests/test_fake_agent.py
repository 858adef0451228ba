"""The fake agent answers like the recorded one."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fake_agent import PATHS, FakeAgent
from tests.openhorizon import agent_answers, recorded


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    with FakeAgent() as agent:
        yield agent


def get(agent: FakeAgent, path: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers of the recordings, and body."""
    connection = http.client.HTTPConnection(agent.url.removeprefix("http://"))
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    names = ("Content-Type", "Location", "Transfer-Encoding")
    headers = {name: response.headers[name] for name in names if name in response.headers}
    return response.status, headers, json.loads(text) if text.startswith("{") else text


@pytest.mark.parametrize("answer", recorded("agent")["unconfigured"], ids=lambda answer: str(answer["path"]))
def test_an_unconfigured_agent(agent: FakeAgent, answer: Mapping[str, Any]) -> None:
    agent.state = "unconfigured"
    code, headers, body = get(agent, answer["path"])
    assert (code, headers) == (answer["status"], answer["headers"])
    if isinstance(answer["body"], dict):
        assert body.keys() == answer["body"].keys()
    if answer["path"] == "/node":
        assert {key: body[key] for key in body if key != "id"} == {
            key: answer["body"][key] for key in body if key != "id"
        }


@pytest.mark.parametrize("chapter", [name for name in recorded("agent") if "node" in name])
def test_a_configured_node(agent: FakeAgent, chapter: str) -> None:
    theirs = dict(agent_answers(chapter)["/node"])
    agent.id, agent.org, agent.pattern = theirs["id"], theirs["organization"], theirs["pattern"]
    agent.node_type, agent.ha_group = theirs["nodeType"], theirs["ha_group"]
    moments = {"token_last_valid_time": 0, "configstate": {**theirs["configstate"], "last_update_time": 0}}
    assert get(agent, "/node")[2] == {**theirs, **moments}


def test_a_long_answer_comes_in_chunks(agent: FakeAgent) -> None:
    recorded_ones = {answer["path"]: answer["headers"] for answer in recorded("agent")["policy-node-with-agreements"]}
    for number in range(30):
        agent.deploy(f"a{number}", web="web:1")
    code, headers, body = get(agent, "/agreement")
    assert (code, headers) == (200, recorded_ones["/agreement"])
    assert len(body["agreements"]["active"]) == 30


@pytest.mark.parametrize("path", PATHS)
def test_a_configured_agent_without_agreements(agent: FakeAgent, path: str) -> None:
    code, _, body = get(agent, path)
    expected = agent_answers("configured-policy-node-no-agreement")[path]
    assert code == 200
    assert body.keys() <= expected.keys()
    if path in ("/agreement", "/service"):
        assert body == expected


@pytest.mark.parametrize(("path", "lists"), [("/agreement", "agreements"), ("/service", "definitions")])
def test_the_fields_of_its_records_are_those_of_the_recorded_ones(agent: FakeAgent, path: str, lists: str) -> None:
    agent.deploy("a1", web="web:1")
    agent.define("web", "web:1")
    ours = get(agent, path)[2][lists]["active"]
    theirs = agent_answers("policy-node-with-agreements")[path][lists]["active"]
    assert ours[0].keys() <= theirs[0].keys()
    assert all(type(ours[0][key]) is type(theirs[0][key]) for key in ours[0])
