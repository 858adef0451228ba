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


def get(agent: FakeAgent, path: str) -> tuple[int, str, Any]:
    """Status, location and body."""
    connection = http.client.HTTPConnection(agent.url.removeprefix("http://"))
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    is_json = text.startswith("{")
    return response.status, response.headers.get("Location", ""), json.loads(text) if is_json else text


@pytest.mark.parametrize("answer", recorded("agent")["unconfigured"], ids=lambda answer: str(answer["path"]))
def test_an_unconfigured_agent(agent: FakeAgent, answer: Mapping[str, Any]) -> None:
    agent.state = "unconfigured"
    code, location, body = get(agent, answer["path"])
    assert (code, location) == (answer["status"], answer["headers"].get("Location", ""))
    if isinstance(answer["body"], dict):
        assert body.keys() == answer["body"].keys()
    if answer["path"] == "/node":
        assert {key: body[key] for key in body if key != "id"} == {
            key: answer["body"][key] for key in body if key != "id"
        }


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
