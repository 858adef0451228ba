"""Convert the bytes of a file into one tree per document, or into the problem that prevents it.

A document that cannot be read does not affect the other documents of its file.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE
from collections.abc import Iterator

from controller.errors import InvalidText
from controller.pattern import Pattern
from controller.policy.problem import Problem
from controller.policy.text.json_reader import read_json
from controller.policy.text.tree import Builder, Node
from controller.policy.text.yaml_reader import read_yaml

MOST_BYTES = 2**20
MOST_DOCUMENTS = 1_000
MOST_LINES = 100_000
"""The YAML parser without libyaml takes two microseconds for an empty line."""

# After `...`, directives (and blanks and comments between them) belong to the next document.
_document_start = re.compile(
    r"^(?:\.\.\.(?:[ \t].*)?\n(?P<head>(?:[ \t]*(?:#.*)?\n|%.*\n)*))?---(?=[ \t\n]|\Z)", re.MULTILINE
)
_content = re.compile(r"^ *[^%#\s]", re.MULTILINE)
# Control characters, line ends of YAML 1.1, a byte order mark inside the text, and characters that change the text
# direction: a reviewer must see what the program reads (CVE-2021-42574).
_unreadable_in_ascii = re.compile(r"[^\t\n\x20-\x7e]")
_unreadable = Pattern(
    r"[^\t\n\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def read_source(data: bytes, file: str) -> tuple[Node | Problem, ...]:
    """One entry per document, in the order of the file; a file that cannot be read at all is one problem."""
    try:
        text = _decode(data)
        if file.endswith(".json"):
            return (read_json(text, Builder()),) if text.strip() else ()
        if text.lstrip().startswith("{") and (tree := _json_or_nothing(text)):
            return (tree,)
    except InvalidText as fault:
        return (_problem(fault, file),)
    return tuple(_read_yaml_documents(text, file))


def _json_or_nothing(text: str) -> Node | None:
    """The tree if the text is JSON, under any file name; else it may be YAML that starts with a brace."""
    try:
        return read_json(text, Builder())
    except InvalidText:
        return None


def _read_yaml_documents(text: str, file: str) -> Iterator[Node | Problem]:
    builder = Builder()
    for number, (first_line, document) in enumerate(_split(text)):
        if number == MOST_DOCUMENTS:
            message = f"more than {MOST_DOCUMENTS} documents in one file"
            yield Problem(file, first_line, 1, "", "error", message, "divide it into several files")
            return
        builder.start()
        try:
            yield from read_yaml(document, builder, first_line)
        except InvalidText as fault:
            yield _problem(fault, file)
            if builder.is_exhausted:
                return


def _split(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each document: `---` at the start of a line starts one (YAML 1.2, 9.1)."""
    starts = [max(found.start("head"), found.start()) for found in _document_start.finditer(text)]
    if starts and not _content.search(text[: starts[0]]):
        del starts[0]
    line, begin = 1, 0
    for end in (*starts, len(text)):
        yield line, text[begin:end]
        line, begin = line + text.count("\n", begin, end), end


def _decode(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise InvalidText(f"larger than {MOST_BYTES // 2**20} MiB", 1, 1, "divide it into several files")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE, BOM_UTF32_BE)):
        raise InvalidText("encoded as UTF-16 or UTF-32", 1, 1, "save it as UTF-8")
    data = data.removeprefix(BOM_UTF8)
    if (at := data.find(b"\0")) >= 0:
        hint = "save it as UTF-8; a crash during writing also leaves NUL bytes"
        raise InvalidText("contains a NUL byte", *_place(data[:at]), hint)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InvalidText(message, *_place(data[: error.start]), "save it as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") > MOST_LINES:
        raise InvalidText(f"more than {MOST_LINES} lines", MOST_LINES + 1, 1, "divide it into several files")
    if found := (_unreadable_in_ascii if text.isascii() else _unreadable.regex).search(text):
        before = text[: found.start()].encode()
        raise InvalidText(f"contains the invisible character U+{ord(found[0]):04X}", *_place(before), "remove it")
    return text


def _place(before: bytes) -> tuple[int, int]:
    """Line and column after these bytes."""
    lines = before.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _problem(fault: InvalidText, file: str) -> Problem:
    return Problem(file, fault.line, fault.column, "", "error", fault.message, fault.hint)
