"""Read the nodes of a fleet from a folder of node files or a file of JSON lines, and plans of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.adapters.folder.files import (
    ENDINGS,
    PolicyFile,
    named_policy_file,
    policy_files_below,
    read_policy_file,
)
from controller.errors import InvalidSettings
from controller.json_text import decoded_at
from controller.plan.scope.candidate import Candidate, PlanOfNode
from controller.plan.verdict.verdict import Reason
from controller.policy.document.node_document import NodeDocument, ParsedNodes, parse_node_line, parse_nodes
from controller.policy.problem import Problem, quoted
from controller.policy.text.source import MOST_BYTES


def read_fleet(path: Path) -> ParsedNodes:
    """All nodes below the folder or in the file; a duplicate is a problem and left out.

    A file whose name has no YAML or JSON extension has one JSON node per line. A file that is missing or cannot be read
    is a problem; nothing is raised.
    """
    nodes: dict[tuple[str, str], NodeDocument] = {}
    problems: list[Problem] = []
    for parsed in _parsed(path):
        problems += parsed.problems
        for node in parsed.nodes:
            first = nodes.setdefault(_key(node), node)
            problems += [] if first is node else [_taken(node, first)]
    if not nodes and not problems:
        problems = [Problem(str(path), 1, 1, "", "error", "contains no node")]
    return ParsedNodes(tuple(nodes.values()), tuple(sorted(problems)))


def _key(node: NodeDocument) -> tuple[str, str]:
    """A node without an ID is identified by its place."""
    return (node.org, node.id) if node.id else (node.file, str(node.line))


def _taken(node: NodeDocument, first: NodeDocument) -> Problem:
    message = f"duplicate node ID {quoted(node.id)}, first in {first.file}:{first.line}"
    return Problem(node.file, node.line, 1, "id", "error", message, "remove one of them")


def _parsed(path: Path) -> Iterator[ParsedNodes]:
    try:
        if path.is_dir():
            yield from _in_folder(path)
        elif path.name.endswith(ENDINGS):
            yield _in_file(named_policy_file(path))
        else:
            yield from _in_lines(path)
    except OSError as error:
        problem = Problem(str(path), 1, 1, "", "error", f"cannot be read: {error.strerror}")
        yield ParsedNodes(problems=(problem,))


def _in_folder(folder: Path) -> Iterator[ParsedNodes]:
    listing = policy_files_below(folder)
    yield ParsedNodes(problems=listing.problems)
    for file in listing.files:
        yield _in_file(file)


def _in_file(file: PolicyFile) -> ParsedNodes:
    content = read_policy_file(file)
    if content.data is None:
        return ParsedNodes(problems=(content.problem,) if content.problem else ())
    return parse_nodes(content.data, file.shown)


def _in_lines(file: Path) -> Iterator[ParsedNodes]:
    """A pipe is allowed; an endless device is not."""
    if file.is_char_device() or file.is_block_device():
        problem = Problem(str(file), 1, 1, "", "error", "is a device, not a file of nodes")
        yield ParsedNodes(problems=(problem,))
        return
    with file.open("rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(MOST_BYTES + 1), b""), start=1):
            yield parse_node_line(line, str(file), number)


_not_blank = re.compile(r"\S")


def read_plans(file: Path) -> tuple[PlanOfNode, ...]:
    """All plans in the file. Raises InvalidSettings."""
    try:
        return tuple(map(_plan, _values(file.read_text(encoding="utf-8"))))
    except OSError as error:
        raise InvalidSettings(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidSettings(f"{file} is not output of `imagectl plan -o json`") from error


def _values(text: str) -> Iterator[Any]:
    """The JSON values of the text, each on one line or many."""
    at = 0
    while begins := _not_blank.search(text, at):
        value, at = decoded_at(text, begins.start())
        yield value


def _plan(values: Mapping[str, Any]) -> PlanOfNode:
    node = values.get("node") or {}
    candidates = tuple(_candidate(row) for row in values["references"] if row["verdict"] != Reason.PROTECTED)
    org, node_id = node.get("org") or "", node.get("id") or ""
    if not isinstance(org, str) or not isinstance(node_id, str):
        raise TypeError
    return PlanOfNode(org, node_id, candidates)


def _candidate(row: Mapping[str, Any]) -> Candidate:
    names = (row["reference"], *(row.get("names_remembered") or ()))
    if not all(isinstance(name, str) for name in names):
        raise TypeError
    return Candidate(names[0], names[1:], bool(row["agent_downloaded"]))
