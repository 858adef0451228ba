"""The node file (`--node`): which node this is, as somebody has written it down; read anew each time it is asked.

What the fields mean is in `policy/node_document`; what a node becomes of them is in `plan/node`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.adapters.host import Host
from controller.adapters.policy_files import named_policy_file, read_policy_file
from controller.instant import Clock
from controller.plan.agent import NodeAnswer
from controller.plan.node import builtin_properties, node_of
from controller.policy.node_document import ParsedNodes, parse_nodes
from controller.policy.problem import Problem

STANDS_AFTER_SECONDS = 2.0
"""A file that was written so lately may be half a file, and half a node policy may open the node to any document."""


class NodeFile:
    """Answers for the node that a file describes."""

    def __init__(self, file: Path, host: Host, clock: Clock, wait: Callable[[float], None] = time.sleep) -> None:
        self._file = file
        self._host = host
        self._clock = clock
        self._wait = wait

    def ask(self) -> NodeAnswer:
        """The node as the file describes it now; silence if it does not, with the first thing that is wrong.

        Waits for a file that was written a moment ago, at most STANDS_AFTER_SECONDS.
        """
        if seconds := self._still_to_stand():
            self._wait(seconds)
        parsed = self._read()
        if self._still_to_stand():
            return self._silence(f"{self._file} is being written")
        errors = [problem for problem in parsed.problems if problem.is_error]
        if errors or not parsed.nodes:
            return self._silence(_first(errors or parsed.problems))
        if len(parsed.nodes) > 1:
            return self._silence(f"{self._file} describes {len(parsed.nodes)} nodes and not one")
        node = node_of(parsed.nodes[0], builtin_properties(self._host.facts), self._host.identity)
        told = f", with {_first(parsed.problems)}" if parsed.problems else ""
        return NodeAnswer(node, f"as {self._file} says{told}", str(self._file))

    def _still_to_stand(self) -> float:
        """Seconds; 0 if the file has stood long enough, is not there, or is from a time that has not come yet."""
        try:
            age = self._clock.now().wall_seconds - self._file.stat().st_mtime
        except OSError:
            return 0.0
        return STANDS_AFTER_SECONDS - age if 0 <= age < STANDS_AFTER_SECONDS else 0.0

    def _read(self) -> ParsedNodes:
        content = read_policy_file(named_policy_file(self._file))
        if content.data is None:
            return ParsedNodes(problems=(content.problem,) if content.problem else ())
        return parse_nodes(content.data, content.file.shown)

    def _silence(self, why: str) -> NodeAnswer:
        return NodeAnswer(node=None, why=why, source=str(self._file), is_silence=True)


def _first(problems: Sequence[Problem]) -> str:
    """The first problem, and how many there are besides."""
    more = len(problems) - 1
    return f"{problems[0]}{f' and {more} more' if more else ''}"
