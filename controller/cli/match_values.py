"""The results of `nmp match` as plain values, and the columns of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.cli.output.render import Column
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.node import Node
from controller.plan.scope.candidate import Candidate
from controller.plan.scope.fleet import NodeGroup, Reach, applies, could_remove
from controller.policy.document.parse import Document

Values = dict[str, Any]
_SHOWN_NAMES = 3
_SHOWN_REASONS = 10


# ── one node ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer_for_node(document: Document, who: NodeAnswer, candidates: Sequence[Candidate] | None) -> Values:
    """Whether the document applies and why; with candidates, which of them it could remove."""
    answer = applies(document, who)
    values: Values = {**_place(document), "applies": answer.applies, "why": answer.why}
    if candidates is not None:
        values["could_remove"] = could_remove(document, candidates) if answer.applies else []
    return values


def node_values(who: NodeAnswer) -> Values:
    """The node that matching uses."""
    node = who.node or Node()
    return {
        "org": node.org,
        "id": node.id,
        "pattern": node.pattern,
        "properties": [{"name": prop.name, "value": prop.value} for prop in node.properties],
        "constraints": list(node.constraints),
        "is_known": who.node is not None,
        "why": who.why,
    }


def node_name(org: str, node_id: str) -> str:
    """`org/id`."""
    return f"{org}/{node_id}" if org else node_id or "a node without an ID"


# ── a fleet ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer_for_fleet(reach: Reach, has_plans: bool) -> Values:
    """The nodes that the document applies to, and why not to the others."""
    names = sorted(member.name for member in reach.applies_to)
    reasons = [group_values(group) for group in reach.groups[:_SHOWN_REASONS]]
    return {
        **_place(reach.document),
        "applies_to": len(names),
        "of": sum(len(group.members) for group in reach.groups),
        "nodes": names,
        **({"could_remove": reach.could_remove} if has_plans else {}),
        "reasons": reasons,
        "further_reasons": len(reach.groups) - len(reasons),
    }


def group_values(group: NodeGroup) -> Values:
    """One reason, and its first nodes."""
    names = sorted(member.name for member in group.members)[:_SHOWN_NAMES]
    return {"applies": group.applies, "count": len(group.members), "nodes": names, "why": group.why}


def rows_with_reasons(answer: Values) -> list[Values]:
    """One row for each reason."""
    rows = [{**answer, **reason} for reason in answer["reasons"]]
    if answer["further_reasons"]:
        rest = answer["of"] - sum(row["count"] for row in rows)
        why = f"{answer['further_reasons']:,} further reasons"
        rows.append({**answer, "applies": False, "count": rest, "nodes": [], "why": why})
    return rows


# ── columns ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _place(document: Document) -> Values:
    return {"name": document.name, "file": document.file, "line": document.line}


def _several(names: Sequence[str], count: int) -> str:
    """The first names, and the number of the others."""
    shown = ", ".join(names[:_SHOWN_NAMES])
    more = count - min(len(names), _SHOWN_NAMES)
    return f"{shown} and {more:,} more" if shown and more else shown or "-"


def _images(row: Values) -> str:
    return _several(row["could_remove"], len(row["could_remove"]))


def _images_of_fleet(row: Values) -> str:
    by_node = row["could_remove"]
    references = sorted({reference for references in by_node.values() for reference in references})
    return f"{_several(references, len(references))} on {len(by_node):,} nodes" if references else "-"


_NAME: Column[Values] = Column("DOCUMENT", lambda row: row["name"])
_FILE: Column[Values] = Column("FILE", lambda row: f"{row['file']}:{row['line']}", is_wide=True)
_APPLIES: Column[Values] = Column("APPLIES", lambda row: "yes" if row["applies"] else "no")
_WHY: Column[Values] = Column("WHY", lambda row: row["why"])
_APPLIES_TO: Column[Values] = Column("APPLIES TO", lambda row: f"{row['applies_to']:,} of {row['of']:,} nodes")
_NODES: Column[Values] = Column("NODES", lambda row: _several(row["nodes"], row["applies_to"]))
_COUNT: Column[Values] = Column("NODES", lambda row: f"{row['count']:,}")
_SUCH_AS: Column[Values] = Column("SUCH AS", lambda row: _several(row["nodes"], row["count"]))
_REMOVES: Column[Values] = Column("COULD REMOVE", _images)
_FLEET_REMOVES: Column[Values] = Column("COULD REMOVE", _images_of_fleet)


def columns_for_node(has_plan: bool) -> tuple[Column[Values], ...]:
    """One row for each document."""
    return (_NAME, _FILE, _APPLIES, *([_REMOVES] if has_plan else []), _WHY)


def columns_for_fleet(has_plans: bool, with_reasons: bool) -> tuple[Column[Values], ...]:
    """One row for each document, or for each of its reasons."""
    if with_reasons:
        return (_NAME, _FILE, _APPLIES, _COUNT, _SUCH_AS, _WHY)
    return (_NAME, _APPLIES_TO, _NODES, *([_FLEET_REMOVES] if has_plans else []))
