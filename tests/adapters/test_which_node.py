"""Who is asked which node this is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.adapters.agent import Agent
from controller.adapters.host import Nobody
from controller.adapters.node_file import NodeFile
from controller.adapters.which_node import which_node
from controller.errors import InvalidSettings
from controller.plan.agent import Agreement, Half, Source
from tests.fake_agent import FakeAgent
from tests.fake_exchange import status


def a_node_file(folder: Path) -> Path:
    file = folder / "node.yaml"
    file.write_text("org: myorg\nid: of-the-file\npolicy: {}\n")
    os.utime(file, (0, 0))
    return file


def test_a_file_an_agent_or_nobody(tmp_path: Path) -> None:
    assert isinstance(which_node(None, ""), Nobody)
    assert isinstance(which_node(tmp_path / "node.yaml", ""), NodeFile)
    assert isinstance(which_node(None, "http://localhost:8510"), Agent)


def test_what_is_no_address_of_an_agent_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        which_node(tmp_path / "node.yaml", "localhost")


def test_with_both_the_file_says_who_and_the_agent_what_is_needed(tmp_path: Path) -> None:
    with FakeAgent() as agent:
        agent.deploy("a1", web="web:1")
        answer = which_node(a_node_file(tmp_path), agent.url).ask()
    assert answer.node
    assert answer.node.id == "of-the-file"
    assert answer.source == str(tmp_path / "node.yaml")
    assert answer.agent.agreements == (Agreement("a1", ("web:1",)),)
    assert answer.agent.named == {"web:1": Source.AGREEMENT}


def test_an_agent_that_is_not_registered_does_not_hide_the_file(tmp_path: Path) -> None:
    with FakeAgent() as agent:
        agent.state = "unconfigured"
        answer = which_node(a_node_file(tmp_path), agent.url).ask()
    assert answer.node
    assert answer.node.id == "of-the-file"
    assert not answer.is_degraded


def test_with_both_half_an_answer_is_silence_and_says_which_half_there_is(tmp_path: Path) -> None:
    with FakeAgent() as agent:
        agent.misbehaviours["/agreement"] = status(500)
        answer = which_node(a_node_file(tmp_path), agent.url).ask()
        assert answer.node
        assert (answer.is_silence, answer.half, answer.source) == (True, Half.NODE, str(tmp_path / "node.yaml"))
        assert answer.why.endswith("answered 500 at /agreement")
        agent.misbehaviours.clear()
        agent.deploy("a1", web="web:1")
        missing = which_node(tmp_path / "missing.yaml", agent.url).ask()
        assert (missing.node, missing.is_silence, missing.half) == (None, True, Half.AGENT)
        assert missing.agent.agreements == (Agreement("a1", ("web:1",)),)
