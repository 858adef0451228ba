"""The nodes of a fleet, as somebody has written them down: a folder of node files, or a file of JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.adapters.policy_files import (
    ENDINGS,
    PolicyFile,
    named_policy_file,
    policy_files_below,
    read_policy_file,
)
from controller.policy.node_document import NodeDocument, ParsedNodes, parse_node_line, parse_nodes
from controller.policy.problem import Problem, quoted
from controller.policy.source import MOST_BYTES


def read_fleet(path: Path) -> ParsedNodes:
    """Every node below the folder, or in the file; one that has been described already is a problem, and left out.

    A file that is neither YAML nor JSON by its name holds one node in JSON a line. What is not there, or cannot be
    read, is a problem; nothing is raised.
    """
    nodes: dict[tuple[str, str], NodeDocument] = {}
    problems: list[Problem] = []
    for parsed in _parsed(path):
        problems += parsed.problems
        for node in parsed.nodes:
            first = nodes.setdefault(_key(node), node)
            problems += [] if first is node else [_taken(node, first)]
    if not nodes and not problems:
        problems = [Problem(str(path), 1, 1, "", "error", "describes no node")]
    return ParsedNodes(tuple(nodes.values()), tuple(sorted(problems)))


def _key(node: NodeDocument) -> tuple[str, str]:
    """A node without an ID is told from others by where it stands."""
    return (node.org, node.id) if node.id else (node.file, str(node.line))


def _taken(node: NodeDocument, first: NodeDocument) -> Problem:
    message = f"the ID {quoted(node.id)} is taken by {first.file}:{first.line}"
    return Problem(node.file, node.line, 1, "id", "error", message, "leave one of them out")


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
    """A pipe will do as well, but nothing that has no end."""
    if file.is_char_device() or file.is_block_device():
        problem = Problem(str(file), 1, 1, "", "error", "is a device and not a file of nodes")
        yield ParsedNodes(problems=(problem,))
        return
    with file.open("rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(MOST_BYTES + 1), b""), start=1):
            yield parse_node_line(line, str(file), number)
