"""`imagectl nmp match`: which documents apply to this node, or to which nodes of a fleet, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import click

from controller.adapters.folder.files import named_policy_file, read_policy_file
from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.node.fleet_files import read_fleet, read_plans
from controller.adapters.node.node_file import which_node
from controller.cli.match_values import (
    Values,
    answer_for_fleet,
    answer_for_node,
    columns_for_fleet,
    columns_for_node,
    node_name,
    node_values,
    rows_with_reasons,
)
from controller.cli.options import settings_from, with_settings
from controller.cli.output.render import Column, dumped, output_option, table
from controller.errors import InvalidSettings
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.node import Node, node_of
from controller.plan.scope.candidate import Candidate
from controller.plan.scope.fleet import Member, reaches
from controller.policy.document.node_document import NodeDocument
from controller.policy.document.parse import Document, Parsed, parse_documents, refuse_duplicates
from controller.policy.problem import Problem
from controller.printable import printable
from controller.quantity import count_of
from controller.value import dataclass

_A_PATH = click.Path(exists=True, readable=False, path_type=Path)


@click.command(short_help="Show which documents apply to which nodes, and why.")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=_A_PATH)
@with_settings("node", "agent_url")
@click.option("--nodes", metavar="DIR", type=_A_PATH, help="Match all nodes of this folder or file of JSON lines.")
@click.option("--plan", metavar="FILE", type=_A_PATH, help="Show images too; outputs of `imagectl plan -o json`.")
@output_option("table", "wide", "json", "yaml")
@click.pass_context
def match(
    context: click.Context, /, paths: tuple[Path, ...], nodes: Path | None, plan: Path | None, form: str, **given: Any
) -> None:
    """Show which documents apply to a node, and why; with --nodes, to which nodes each document applies.

    PATH is a document or a folder of documents (default: the policy folder). The node is that of --node or --agent-url,
    or this host without pattern and policy. A node of --nodes has only the built-in properties in its file. Start times
    are ignored.

    Exit code: 0 good, 1 a document or a node has a problem, 2 wrong usage.

    \b
    Examples:
      imagectl nmp match --node node.yaml policies/
      imagectl nmp match new.yaml --nodes nodes/ -o wide
      imagectl nmp match new.yaml --nodes fleet.jsonl --plan plans.json
    """
    if nodes and (given["node"] or given["agent_url"]):
        raise click.UsageError("--nodes cannot be combined with --node or --agent-url")
    settings = settings_from(given)
    asked = _read_documents(paths or (settings.policies,))
    if nodes:
        answer = _ask_fleet(asked, nodes, plan, with_reasons=form == "wide")
    else:
        answer = _ask_node(asked, which_node(settings.node, settings.agent_url).ask(), plan)
    _print(answer, asked, form)
    context.exit(1 if asked.is_bad else 0)


@dataclass(slots=True)
class _Asked:
    """The documents to match, and all problems."""

    documents: list[Document] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    is_bad: bool = False

    def add(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.troubles.append(str(problem))
            self.is_bad |= problem.is_error

    def add_problem(self, trouble: str) -> None:
        self.troubles.append(trouble)
        self.is_bad = True


@dataclass(frozen=True, slots=True)
class _Answer:
    """The output: values for JSON and YAML; rows, columns and a summary for the table."""

    values: Values
    rows: Sequence[Values]
    columns: Sequence[Column[Values]]
    summary: str


def _print(answer: _Answer, asked: _Asked, form: str) -> None:
    if form in ("json", "yaml"):
        click.echo(dumped({**answer.values, "problems": asked.troubles}, form))
        return
    if answer.rows:
        click.echo(table(answer.rows, answer.columns, form))
    for line in (*asked.troubles, answer.summary):
        click.echo(printable(line), err=True)


def _read_documents(paths: Iterable[Path]) -> _Asked:
    """Names must be unique within each folder, and among the named files."""
    asked, named = _Asked(), list[Parsed]()
    for path in dict.fromkeys(paths):
        if path.is_dir() or not path.exists():
            _read_folder(path, asked)
        else:
            named += _read_named(path, asked)
    for parsed in refuse_duplicates(named):
        asked.documents += parsed.documents
        asked.add(parsed.problems)
    return asked


def _read_named(path: Path, asked: _Asked) -> list[Parsed]:
    content = read_policy_file(named_policy_file(path))
    asked.add([content.problem] if content.problem else [])
    return [] if content.data is None else [parse_documents(content.data, content.file.shown, content.file.name)]


def _read_folder(path: Path, asked: _Asked) -> None:
    reading = PolicyFolder(path).read()
    asked.documents += reading.documents
    asked.add(reading.problems)
    if reading.lost:
        asked.add_problem(reading.lost)


def _ask_node(asked: _Asked, who: NodeAnswer, plan: Path | None) -> _Answer:
    if who.is_degraded:
        asked.add_problem(f"the node is unknown: {who.why}")
    candidates = _candidates(who.node or Node(), plan) if plan else None
    rows = [answer_for_node(document, who, candidates) for document in asked.documents]
    number = sum(row["applies"] for row in rows)
    name = node_name(who.node.org, who.node.id) if who.node and who.source else "this node"
    applying = "applies" if len(rows) == 1 else "apply"
    summary = f"{number} of {count_of(len(rows), 'document')} {applying} to {name} ({who.why})"
    return _Answer({"node": node_values(who), "documents": rows}, rows, columns_for_node(plan is not None), summary)


def _candidates(node: Node, file: Path) -> tuple[Candidate, ...]:
    """A single plan that names no node counts as this node's."""
    plans = read_plans(file)
    for plan in plans:
        if (plan.org, plan.id) == (node.org, node.id) or (len(plans) == 1 and not plan.id):
            return plan.candidates
    raise InvalidSettings(f"{file} has no plan of {node_name(node.org, node.id)}")


def _ask_fleet(asked: _Asked, nodes: Path, plan: Path | None, *, with_reasons: bool) -> _Answer:
    fleet = _read_fleet(asked, nodes, plan)
    answers = [answer_for_fleet(reach, plan is not None) for reach in reaches(asked.documents, fleet)]
    rows = [row for answer in answers for row in rows_with_reasons(answer)] if with_reasons else answers
    summary = f"{count_of(len(answers), 'document')}, {count_of(len(fleet), 'node')} in {nodes}"
    columns = columns_for_fleet(plan is not None, with_reasons)
    return _Answer({"nodes": len(fleet), "documents": answers}, rows, columns, summary)


def _read_fleet(asked: _Asked, nodes: Path, plan: Path | None) -> list[Member]:
    described = read_fleet(nodes)
    asked.add(described.problems)
    by_node = {(each.org, each.id): each.candidates for each in read_plans(plan)} if plan else {}
    members = [
        Member(
            _name_of(document), node_of(document), by_node.pop((document.org, document.id), ()) if document.id else ()
        )
        for document in described.nodes
    ]
    for org, node_id in by_node:
        asked.add_problem(f"{plan} has a plan of {node_name(org, node_id)}, which is not one of the nodes")
    return members


def _name_of(document: NodeDocument) -> str:
    return node_name(document.org, document.id) if document.id else f"{document.file}:{document.line}"
