"""Matching 100 documents to 10,000 nodes."""

from __future__ import annotations

from collections.abc import Iterator

from controller.constraint.property import Property
from controller.plan.node.node import Node
from controller.plan.scope.fleet import Member, reaches
from controller.policy.document.parse import parse_documents
from tests.bench.documents import DOCUMENT
from tests.bench.figure import Figure, seconds

NODES, DOCUMENTS = 10_000, 100


def figures() -> Iterator[Figure]:
    documents = [
        document
        for number in range(DOCUMENTS)
        for document in parse_documents(DOCUMENT.replace("{number}", str(number)).encode(), f"{number}.yaml").documents
    ]
    fleet = [Member(f"node-{number}", _node(number)) for number in range(NODES)]
    took = seconds(lambda: list(reaches(documents, fleet)))
    yield Figure(f"{DOCUMENTS} documents matched to {NODES:,} nodes, all different", took, "s", 30)


def _node(number: int) -> Node:
    properties = (
        Property("openhorizon.arch", "arm64" if number % 3 else "amd64"),
        Property("openhorizon.memory", number % 4_096),
        Property("tier", ("small", "medium", "large")[number % 3]),
        *(Property(f"site{each}", "paris") for each in range(number % 7)),
        Property("serial", str(number)),
    )
    return Node("myorg", f"node-{number}", properties=properties)
