"""Read the documents of a file, valid or not, and every problem in it. Nothing is raised.

An invalid document does not affect the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from itertools import chain
from pathlib import PurePath
from typing import Any, TypeGuard, TypeVar

from controller.instant import ReadTimes
from controller.policy.document import fields
from controller.policy.document.document import ImageRemovalPolicy, NodeManagementPolicy, content_of, hash_of
from controller.policy.document.findings import Allowance, Findings
from controller.policy.document.image_property import with_section
from controller.policy.document.languages import NOW
from controller.policy.document.mapping import Field, Values, check_keys, check_own_keys, joined
from controller.policy.problem import Problem, quoted
from controller.policy.text.source import read_source
from controller.policy.text.tree import Mapping, Node, Scalar, Sequence, SourcePosition, is_null
from controller.printable import printable
from controller.value import dataclass

T = TypeVar("T")


class State(StrEnum):
    """The state of a document by itself, whether it applies to this node or not."""

    INVALID = "invalid"
    DISABLED = "disabled"
    NO_IMAGE_POLICY = "no_image_policy"
    VALID = "valid"


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, valid or not."""

    name: str
    """Its own name; derived from the file name if it has none or cannot be read."""
    file: str
    line: int
    policy: NodeManagementPolicy | None
    """None: it is invalid."""
    problems: tuple[Problem, ...]

    @property
    def state(self) -> State:
        if self.policy is None:
            return State.INVALID
        if self.policy.removal is None:
            return State.NO_IMAGE_POLICY
        return State.VALID if self.policy.enabled else State.DISABLED


@dataclass(frozen=True, slots=True)
class Parsed:
    """The content of one file."""

    file: str
    documents: tuple[Document, ...]
    """In the order of the file."""
    problems: tuple[Problem, ...]
    """All problems, those of the documents included, by place."""

    @property
    def policies(self) -> tuple[NodeManagementPolicy, ...]:
        """The valid ones."""
        return tuple(document.policy for document in self.documents if document.policy)


def parse_documents(data: bytes, file: str, name: str = "") -> Parsed:
    """All documents of one file.

    Messages name the file `file`. A document without a name of its own gets `name` (default: `file` without its
    extension), from the second one on with its number in the file: `name#2`.
    """
    name = printable(name or str(PurePath(file).with_suffix("")))
    roots = [root for root in read_source(data, file) if isinstance(root, Problem) or not is_null(root)]
    if not roots:
        return Parsed(file, (), (Problem(file, 1, 1, "", "warning", "contains no document"),))
    documents: list[Document] = []
    problems: list[Problem] = []
    allowance = Allowance()
    for number, root in enumerate(roots, start=1):
        of_root, beside_them = _read_root(root, name if number == 1 else f"{name}#{number}", file, allowance)
        documents += of_root
        problems += beside_them
    problems += chain.from_iterable(document.problems for document in documents)
    return _refuse_taken_names(Parsed(file, tuple(documents), tuple(sorted(set(problems)))), {})


def refuse_duplicates(files: Iterable[Parsed]) -> tuple[Parsed, ...]:
    """The files, with documents invalid whose name an earlier document has. Pass the files in a stable order."""
    holders: dict[str, Document] = {}
    return tuple(_refuse_taken_names(parsed, holders) for parsed in files)


def duplicate_names(files: Iterable[Parsed]) -> tuple[Problem, ...]:
    """The problems that `refuse_duplicates` adds."""
    files = tuple(files)
    known = {problem for parsed in files for problem in parsed.problems}
    return tuple(problem for parsed in refuse_duplicates(files) for problem in parsed.problems if problem not in known)


def _read_root(
    root: Node | Problem, name: str, file: str, allowance: Allowance
) -> tuple[list[Document], list[Problem]]:
    """The documents in one tree (an answer of the Exchange has many), and problems that belong to none of them."""
    if isinstance(root, Problem):
        return [Document(name, file, root.line, None, (root,))], []
    if _has_any(root, fields.SIGNS_OF_AN_ANSWER):
        return _read_answer(root, name, file, allowance)
    if _is_list_of_hzn(root):
        return [_read_entry(key, node, name, "", Findings(file, allowance)) for key, node in root.entries], []
    found = Findings(file, allowance)
    check_keys(root, "", found)
    if _has_any(root, fields.SIGNS_OF_AN_ENVELOPE):
        return [_read_envelope(root, name, found)], []
    return [_read_document(root, root, name, "", found)], []


def _is_list_of_hzn(root: Node) -> TypeGuard[Mapping]:
    """What `hzn exchange nmp list NAME` prints: documents by `org/name`, without the field around them."""
    return (
        isinstance(root, Mapping)
        and bool(root.entries)
        and all("/" in key.text and isinstance(node, Mapping) for key, node in root.entries)
    )


def _read_document(root: Node, at: SourcePosition, name: str, path: str, found: Findings) -> Document:
    """A document as the Exchange stores it, with the image policy in a section or in a property."""
    values = fields.DOCUMENT.read(with_section(root, path, found), path, found)
    return _finish(values, at, name, path, found)


def _has_any(root: Node, signs: tuple[Field[Any], ...]) -> bool:
    return isinstance(root, Mapping) and any(key.text == sign.name for key, _ in root.entries for sign in signs)


def _read_answer(root: Node, name: str, file: str, allowance: Allowance) -> tuple[list[Document], list[Problem]]:
    found = Findings(file, allowance)
    check_own_keys(root, "", found)
    answer = fields.ANSWER.read(root, "", found)
    by_name = answer[fields.MANAGEMENT_POLICY] if answer else None
    entries = [entry for entry in by_name.entries if not is_null(entry[1])] if by_name else []
    inside = fields.MANAGEMENT_POLICY.name
    documents = [_read_entry(key, node, name, inside, Findings(file, allowance)) for key, node in entries]
    if not found.has_errors:
        return documents, found.problems
    if not documents:
        return [Document(name, file, root.line, None, tuple(found.problems))], []
    error = next(problem for problem in found.problems if problem.is_error)
    return [_invalidated(document, error) for document in documents], found.problems


def _invalidated(document: Document, error: Problem) -> Document:
    """An error outside the documents may be a field that was meant to narrow them."""
    return replace(document, policy=None, problems=tuple(sorted([*document.problems, error])))


def _read_entry(key: Scalar, node: Node, name: str, inside: str, found: Findings) -> Document:
    path = joined(inside, key.text)
    own_name = fields.NAME.shape.read(key._replace(value=key.text), path, found)
    check_keys(node, path, found)
    return _read_document(node, key, own_name or name, path, found)


def _read_envelope(root: Node, name: str, found: Findings) -> Document:
    envelope = fields.ENVELOPE.read(root, "", found)
    metadata, spec = (envelope[fields.METADATA], envelope[fields.SPEC]) if envelope else (None, None)
    own_name = metadata[fields.NAME] if metadata else None
    return _finish(spec, root, own_name or name, fields.SPEC.name, found)


def _finish(values: Values | None, at: SourcePosition, name: str, path: str, found: Findings) -> Document:
    """The rules between fields, and the policy if no error was found."""
    if values:
        _check_exclusions(values, found)
    if values and not found.has_errors:
        _check_purpose(values, at, path, found)
    policy = None if found.has_errors or not values else _policy(values, name, found.file, at.line)
    return Document(name, found.file, at.line, policy, tuple(sorted(found.problems)))


def _check_exclusions(values: Values, found: Findings) -> None:
    for exclusion in fields.EXCLUSIONS:
        one, other = values.node_of(exclusion.one), values.node_of(exclusion.other)
        if one and other and _has_content(one) and _has_content(other):
            found.error(other, values.path_of(exclusion.other), exclusion.message, exclusion.hint)


def _has_content(node: Node) -> bool:
    return not isinstance(node, Sequence) or bool(node.items)


def _check_purpose(values: Values, at: SourcePosition, path: str, found: Findings) -> None:
    image_policy = values[fields.IMAGE_POLICY]
    rules = image_policy.node_of(fields.REMOVAL) if image_policy else None
    if image_policy and isinstance(rules, Sequence) and not rules.items:
        found.warning(rules, image_policy.path_of(fields.REMOVAL), "has no rule, so it removes nothing")
    elif values.node_of(fields.IMAGE_POLICY) is None and values.node_of(fields.UPGRADE) is None:
        found.warning(at, path, "has no image policy and no upgrade policy, so it does nothing")


def _policy(values: Values, name: str, file: str, line: int) -> NodeManagementPolicy:
    start, image_policy = values[fields.START], values[fields.IMAGE_POLICY]
    policy = NodeManagementPolicy(
        name=name,
        label=values[fields.LABEL] or "",
        description=values[fields.DESCRIPTION] or "",
        constraints=values[fields.CONSTRAINTS] or (),
        properties=values[fields.PROPERTIES] or (),
        patterns=values[fields.PATTERNS] or (),
        enabled=_given(values, fields.ENABLED),
        start=None if start == NOW else start,
        start_window_seconds=values[fields.START_WINDOW] or 0,
        removal=None if image_policy is None else _rules(_given(image_policy, fields.REMOVAL)),
        text_hash="",
        file=file,
        line=line,
    )
    return replace(policy, text_hash=hash_of(content_of(policy)))


def _rules(rules: tuple[Values, ...]) -> tuple[ImageRemovalPolicy, ...]:
    return tuple(
        ImageRemovalPolicy(
            selector=_given(rule, fields.IMAGE_NAME),
            delete_after_minutes=_given(rule, fields.DELETE_AFTER_MINUTES),
            agent_downloaded_only=_given(rule, fields.AGENT_DOWNLOADED_ONLY),
            number=number,
            line=rule.mapping.line,
            keep_last=rule[fields.KEEP_LAST] or 0,
            lost_tag_only=rule[fields.LOST_TAG_ONLY] or False,
            delete_after_minutes_under_pressure=rule[fields.UNDER_PRESSURE],
        )
        for number, rule in enumerate(rules)
    )


def _given(values: Values, field: Field[T]) -> T:
    """The value of a required field, in a document without errors."""
    value = values[field]
    assert value is not None
    return value


def _refuse_taken_names(parsed: Parsed, holders: dict[str, Document]) -> Parsed:
    documents = tuple(
        _unless_taken(document, holders.setdefault(document.name, document)) for document in parsed.documents
    )
    added = {problem for document in documents for problem in document.problems} - set(parsed.problems)
    return replace(parsed, documents=documents, problems=tuple(sorted([*parsed.problems, *added])))


def _unless_taken(document: Document, holder: Document) -> Document:
    message = f"duplicate name {quoted(document.name)}, first in {holder.file}:{holder.line}"
    problem = Problem(document.file, document.line, 1, "", "error", message, "rename one of them")
    if document is holder or problem in document.problems:
        return document
    return replace(document, policy=None, problems=tuple(sorted([*document.problems, problem])))


@dataclass(frozen=True, slots=True)
class FolderReading:
    """The content of the folder at one moment."""

    folder: str
    documents: tuple[Document, ...] = ()
    """Valid or not, in the order of their files; one with a duplicate name is invalid."""
    problems: tuple[Problem, ...] = ()
    """All problems: of the documents, and of files without documents."""
    lost: str = ""
    """Why the folder gives no documents; empty if it does, or if a delivery emptied it. Nothing is in force then."""
    is_stopped: bool = False
    """The folder has a file STOP: no removal is requested."""
    revision: str = ""
    """The delivered commit or version, if the delivery names one."""
    read: ReadTimes | None = None
    """Set by the caller. The observation of the engine may be seconds later."""
    is_empty: bool = False
    """The folder was read and holds nothing, not even an entry that cannot be read."""
    delivered_at: float | None = None
    """Wall time of the last delivery that succeeded, whether or not it changed anything; None if none is recorded."""

    def may_hide_documents(self, file: str) -> bool:
        """True if the file is there and is damaged: it may hold any document, also one whose name was cut."""
        if found := [document for document in self.documents if document.file == file]:
            return not all(document.policy for document in found)
        return any(
            file == problem.file or (problem.is_error and file.startswith(f"{problem.file}/"))
            for problem in self.problems
        )
