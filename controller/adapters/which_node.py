"""Who is asked which node this is: a node file, the agent, both, or nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from controller.adapters.agent import Agent
from controller.adapters.clock import SystemClock
from controller.adapters.host import Nobody, read_host
from controller.adapters.node_file import NodeFile
from controller.plan.agent import Half, NodeAnswer


class NodeFileBesideAgent:
    """Both were named: the file says which node this is, the agent which images it needs."""

    def __init__(self, file: NodeFile, agent: Agent) -> None:
        self._file = file
        self._agent = agent

    def ask(self) -> NodeAnswer:
        """Half an answer if one of them is silent."""
        node, agent = self._file.ask(), self._agent.ask()
        if not agent.is_silence:
            return replace(node, agent=agent.agent, half=Half.AGENT if node.is_silence else None)
        if not node.is_silence:
            return replace(node, why=agent.why, is_silence=True, half=Half.NODE)
        return node


def which_node(file: Path | None, agent_url: str) -> NodeFile | Agent | NodeFileBesideAgent | Nobody:
    """By the options `--node` and `--agent-url`. Raises InvalidSettings."""
    agent = Agent(agent_url) if agent_url else None
    if file is None:
        return agent or Nobody(read_host())
    node_file = NodeFile(file, read_host(), SystemClock())
    return NodeFileBesideAgent(node_file, agent) if agent else node_file
