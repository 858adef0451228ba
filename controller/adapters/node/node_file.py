"""The node file (`--node`): describes this node; read again each time.

`policy/document/node_document` parses the fields; `plan/node` makes a node from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.adapters.folder.files import named_policy_file, read_policy_file
from controller.adapters.host.facts import AnonymousNode, Host, read_host
from controller.plan.node.agent import Half, NodeAnswer
from controller.plan.node.node import builtin_properties, node_of
from controller.policy.document.node_document import parse_nodes
from controller.policy.problem import Problem

if TYPE_CHECKING:  # Most nodes have no agent.
    from controller.adapters.node.agent import Agent
    from controller.adapters.node.patient_agent import PatientAgent


class NodeFile:
    """Answers for the node that a file describes. Whether a new text counts yet is decided by `plan`."""

    def __init__(self, file: Path, host: Host) -> None:
        self._file = file
        self._host = host

    def ask(self) -> NodeAnswer:
        """The node that the file describes; no node, with the first problem, if the file is not valid."""
        content = read_policy_file(named_policy_file(self._file))
        if content.data is None:
            return self._silence(str(content.problem or ""))
        parsed = parse_nodes(content.data, content.file.shown)
        errors = [problem for problem in parsed.problems if problem.is_error]
        if errors or not parsed.nodes:
            return self._silence(_first(errors or parsed.problems))
        if len(parsed.nodes) > 1:
            return self._silence(f"{self._file} describes {len(parsed.nodes)} nodes (expected one)")
        node = node_of(parsed.nodes[0], builtin_properties(self._host.facts), self._host.identity)
        warning = f", with {_first(parsed.problems)}" if parsed.problems else ""
        return NodeAnswer(node, f"as {self._file} says{warning}", str(self._file), text_hash=content.sha256)

    def ask_again(self, may_wait: Callable[[], bool]) -> None:
        """There is no agent to ask."""

    def _silence(self, why: str) -> NodeAnswer:
        return NodeAnswer(node=None, why=why, source=str(self._file), is_silence=True)


def _first(problems: Sequence[Problem]) -> str:
    """The first problem, and the number of others."""
    more = len(problems) - 1
    return f"{problems[0]}{f' and {more} more' if more else ''}"


class NodeFileBesideAgent:
    """Both are configured: the file describes the node, the agent names the images that it needs."""

    def __init__(self, file: NodeFile, agent: Agent | PatientAgent) -> None:
        self._file = file
        self._agent = agent

    def ask(self) -> NodeAnswer:
        """Both answers together; only one part if the other gave none."""
        return _both(self._file.ask(), self._agent.ask())

    def ask_again(self, may_wait: Callable[[], bool]) -> NodeAnswer:
        """The same with a new answer of the agent, for which it waits as long as `may_wait` is true."""
        return _both(self._file.ask(), self._agent.ask_again(may_wait))


def _both(node: NodeAnswer, agent: NodeAnswer) -> NodeAnswer:
    node = replace(node, has_agent=True, age_seconds=agent.age_seconds)
    if not agent.is_silence:
        return replace(node, agent=agent.agent, half=Half.AGENT if node.is_silence else None)
    if not node.is_silence:
        return replace(node, why=agent.why, is_silence=True, half=Half.NODE)
    return node


def which_node(
    file: Path | None, agent_url: str
) -> NodeFile | Agent | PatientAgent | NodeFileBesideAgent | AnonymousNode:
    """The source of the node by the options `--node` and `--agent-url`. Raises InvalidSettings."""
    if not agent_url:
        return node_source(file, None)
    from controller.adapters.node.agent import Agent

    return node_source(file, Agent(agent_url))


def node_source(
    file: Path | None, agent: Agent | PatientAgent | None
) -> NodeFile | Agent | PatientAgent | NodeFileBesideAgent | AnonymousNode:
    """The source of the node: a file, an agent, both or none."""
    if file is None:
        return agent or AnonymousNode(read_host())
    node_file = NodeFile(file, read_host())
    return NodeFileBesideAgent(node_file, agent) if agent else node_file
