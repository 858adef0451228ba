"""Which documents are in force on this node, since when, and why the others are not.

Documents only add removals, so in doubt there are fewer rules: a document that is invalid, not stable yet, or meant for
another node gives none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from math import ceil

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import TextKey, TextRecord
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.matching import match
from controller.plan.node.node import Node
from controller.plan.scope.stability import last_text_in_force
from controller.plan.scope.window import expected_from, has_started, in_force_from, offset_seconds
from controller.plan.verdict.verdict import Rule
from controller.policy.document.document import ImageRemovalPolicy, NodeManagementPolicy, content_of
from controller.policy.document.parse import Document, FolderReading, State
from controller.policy.problem import Problem
from controller.value import dataclass

A_TEXT_IS_FORGOTTEN_AFTER_SECONDS = 30 * 86_400.0
_PRESENCE_IS_NOTED_EVERY_SECONDS = 3600.0


class DocumentState(StrEnum):
    """State of a document on this node; also the label values of the metric."""

    IN_FORCE = "in_force"
    WAITING = "waiting"
    NOT_APPLICABLE = "not_applicable"
    DISABLED = "disabled"
    NO_IMAGE_POLICY = "no_image_policy"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class DocumentStatus:
    """One document as `get policies` shows it."""

    name: str
    file: str
    line: int
    state: DocumentState
    why: str
    label: str = ""
    text_hash: str = ""
    rules: int = 0
    in_force_from: float | None = None
    """Ledger time; an estimate while a written start is in the future."""
    problems: tuple[Problem, ...] = ()
    is_unstable: bool = False
    """The file has kept changing for a minute."""


@dataclass(frozen=True, slots=True)
class DocumentDecisions:
    """The decisions on all documents."""

    documents: tuple[DocumentStatus, ...] = ()
    rules: tuple[Rule, ...] = ()
    """Rules of documents that apply, started or not."""

    @property
    def next_change_at(self) -> float | None:
        """Ledger time at which the next document is expected to come into force."""
        waiting = (each for each in self.documents if each.state is DocumentState.WAITING)
        return min((each.in_force_from for each in waiting if each.in_force_from is not None), default=None)


def texts_after(
    texts: Mapping[TextKey, TextRecord], policies: Iterable[NodeManagementPolicy], clock: LedgerClock
) -> Mapping[TextKey, TextRecord]:
    """The ledger's texts after these stable documents were read now. The same object if nothing changed."""
    now = clock.seconds
    after = {key: text for key, text in texts.items() if now - text.last_present < A_TEXT_IS_FORGOTTEN_AFTER_SECONDS}
    last = last_text_in_force(after)
    for policy in policies:
        key = (policy.name, policy.text_hash)
        text = after.get(key) or TextRecord(now, now, None, json.dumps(content_of(policy), sort_keys=True))
        if text.started_at is None and has_started(policy.start, clock):
            text = replace(text, started_at=now if policy.start else text.first_seen)
        if text.file != policy.file:
            text = replace(text, file=policy.file)
        is_back = last.get(policy.name) != policy.text_hash
        if is_back or now - text.last_present >= _PRESENCE_IS_NOTED_EVERY_SECONDS:
            text = replace(text, last_present=now)
        after[key] = text
    return texts if after == texts else after


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts that decide on documents, besides their own text."""

    who: NodeAnswer
    clock: LedgerClock
    texts: Mapping[TextKey, TextRecord]
    """Stable texts; any other text is too new to be trusted."""
    unstable: Collection[str] = ()
    """Documents whose files keep changing."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Damaged files that may have the document of this name, see `held_names`."""


def held_names(reading: FolderReading, texts: Mapping[TextKey, TextRecord]) -> Mapping[str, str]:
    """The files that had the documents of these names last, if they are damaged and may still have them.

    A duplicate that was refused must not come into force because the file with the first one is damaged.
    """
    last = last_text_in_force(texts)
    policies = (document.policy for document in reading.documents if document.policy)
    changed = (policy for policy in policies if last.get(policy.name, policy.text_hash) != policy.text_hash)
    files = {policy.name: (policy.file, texts[policy.name, last[policy.name]].file) for policy in changed}
    return {name: was for name, (file, was) in files.items() if was != file and reading.may_hide_documents(was)}


def decide_documents(documents: Iterable[Document], around: Circumstances) -> DocumentDecisions:
    """Decide on every document."""
    decided = [_decide(document, around) for document in documents]
    return DocumentDecisions(
        tuple(status for status, _ in decided), tuple(rule for _, rules in decided for rule in rules)
    )


def never_in_force(document: Document) -> tuple[DocumentState, str] | None:
    """State and reason of a document that is in force on no node; None for all others."""
    match document.state:
        case State.INVALID:
            errors = sum(problem.is_error for problem in document.problems)
            return DocumentState.INVALID, f"{errors} error{'s' * (errors != 1)}"
        case State.DISABLED:
            return DocumentState.DISABLED, "enabled is false"
        case State.NO_IMAGE_POLICY:
            return DocumentState.NO_IMAGE_POLICY, "ignored (no image policy)"
        case State.VALID:
            return None


def _decide(document: Document, around: Circumstances) -> tuple[DocumentStatus, tuple[Rule, ...]]:
    if never := never_in_force(document):
        return _status(document, *never), ()
    policy = document.policy
    assert policy is not None
    if around.who.node is None:
        why = "the node is unknown" if around.who.is_without_agent else around.who.why
        return _status(document, DocumentState.NOT_APPLICABLE, why), ()
    matched = match(policy, around.who.node)
    if not matched.applies:
        return _status(document, DocumentState.NOT_APPLICABLE, matched.why), ()
    text = around.texts.get((policy.name, policy.text_hash))
    if text is None:
        if file := around.held.get(policy.name):
            why = f"waiting until {file} is valid or is removed: it had the document of this name"
            return _status(document, DocumentState.WAITING, why), ()
        unstable = policy.name in around.unstable
        why = "the file keeps changing" if unstable else "waiting until the file has been stable for 2 s"
        return replace(_status(document, DocumentState.WAITING, why), is_unstable=unstable), ()
    return _started(document, policy, text, around.who.node, around.clock)


def _started(
    document: Document, policy: NodeManagementPolicy, text: TextRecord, node: Node, clock: LedgerClock
) -> tuple[DocumentStatus, tuple[Rule, ...]]:
    offset = offset_seconds(f"{node.org}/{node.id}", policy.name, policy.start_window_seconds)
    start = in_force_from(text, offset)
    status = _status(document, DocumentState.IN_FORCE, "applies to this node")
    if start is None or start > clock.seconds:
        why = (
            "waiting for its start"
            if start or clock.wall_is_trusted()
            else "waiting until the wall clock can be trusted"
        )
        status = _status(document, DocumentState.WAITING, why)
    expected = expected_from(policy.start, text, offset, clock)
    started = replace(status, in_force_from=expected)
    estimate = None if expected is None or start is not None else _to_the_minute(expected)
    return started, tuple(_rule(policy, rule, start, estimate) for rule in policy.removal or ())


def _to_the_minute(seconds: float) -> float:
    """Rounded up: small corrections of the wall clock must not change the verdict in every pass."""
    return ceil(seconds / 60) * 60.0


def _rule(policy: NodeManagementPolicy, rule: ImageRemovalPolicy, start: float | None, expected: float | None) -> Rule:
    return Rule(
        document=policy.name,
        number=rule.number,
        selector=rule.selector,
        delete_after_seconds=rule.delete_after_seconds,
        agent_downloaded_only=rule.agent_downloaded_only,
        text_hash=policy.text_hash,
        in_force_from=start,
        expected_from=expected,
        keep_last=rule.keep_last,
        lost_tag_only=rule.lost_tag_only,
        delete_after_seconds_under_pressure=rule.delete_after_seconds_under_pressure,
    )


def _status(document: Document, state: DocumentState, why: str) -> DocumentStatus:
    policy = document.policy
    return DocumentStatus(
        name=document.name,
        file=document.file,
        line=document.line,
        state=state,
        why=why,
        label=policy.label if policy else "",
        text_hash=policy.text_hash if policy else "",
        rules=len(policy.removal or ()) if policy else 0,
        problems=document.problems,
    )
