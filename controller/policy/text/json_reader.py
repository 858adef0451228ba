"""Convert JSON text into a tree. YAML readers do not accept all JSON (tabs, escapes beyond 16 bits, long keys).

Recursive descent; the Builder limits it to 50 levels.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from controller.errors import InvalidText
from controller.json_text import decoded_at
from controller.policy.problem import quoted
from controller.policy.text.scalars import LONGEST_NUMBER, Ambiguous, Value, read_float
from controller.policy.text.tree import Builder, Node, Scalar

_blanks = re.compile(r"[ \t\n]*")
_number = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_word = re.compile(r"[A-Za-z]+")
_words: dict[str, Value] = {"null": None, "true": True, "false": False}


def read_json(text: str, builder: Builder) -> Node:
    """The one document in the text. Raises InvalidText; lines and columns count from 1."""
    reader = _Reader(text, builder)
    reader.value()
    if reader.peek():
        raise reader.refuse("unexpected text after the document", "a JSON file contains one document")
    return builder.finish()


class _Reader:
    def __init__(self, text: str, builder: Builder) -> None:
        self.text = text
        self.builder = builder
        self.at = 0
        self.line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def value(self) -> None:
        """value = object / array / string / number / "true" / "false" / "null" """
        first = self.peek()
        if first == "{":
            self.collection("}", is_mapping=True)
        elif first == "[":
            self.collection("]", is_mapping=False)
        elif first == '"':
            self.string()
        elif number := _number.match(self.text, self.at):
            self.add(_read_number(number), number[0])
        elif (word := _word.match(self.text, self.at)) and word[0] in _words:
            self.add(_words[word[0]], word[0])
        else:
            raise self.unexpected("a value")

    def collection(self, closing: str, *, is_mapping: bool) -> None:
        """object = "{" [ string ":" value *( "," string ":" value ) ] "}"
        array  = "[" [ value *( "," value ) ] "]"
        """
        self.builder.begin(is_mapping, *self.place())
        self.at += 1
        more = self.peek() != closing
        while more:
            if is_mapping:
                self.key()
            self.value()
            if more := self.peek() == ",":
                self.at += 1
                if self.peek() == closing:
                    raise self.refuse("trailing comma", "remove it")
        if self.peek() != closing:
            raise self.unexpected(f'"," or "{closing}"')
        self.at += 1
        self.builder.end()

    def key(self) -> None:
        """string ":" """
        if self.peek() != '"':
            raise self.unexpected("a field name in double quotes")
        self.string()
        if self.peek() != ":":
            raise self.unexpected('":"')
        self.at += 1

    def string(self) -> None:
        try:
            text, end = decoded_at(self.text, self.at)
        except json.JSONDecodeError as error:
            self.at = error.pos
            raise self.refuse(f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')}") from None
        is_simple = end - self.at == len(text) + 2
        self.builder.scalar(Scalar(text, text, *self.place(), 1 if is_simple else None))
        self.at = end

    def add(self, value: Value, text: str) -> None:
        self.builder.scalar(Scalar(value, text, *self.place(), 0))
        self.at += len(text)

    def peek(self) -> str:
        """The next character that is not blank; empty at the end of the text."""
        blanks = _blanks.match(self.text, self.at)
        assert blanks
        self.at = blanks.end()
        return self.text[self.at : self.at + 1]

    def place(self) -> tuple[int, int]:
        line = bisect_right(self.line_starts, self.at)
        return line, self.at - self.line_starts[line - 1] + 1

    def unexpected(self, wanted: str) -> InvalidText:
        found = self.peek()
        if self.text.startswith("/*", self.at):
            hint = "remove all comments, such as those in the template of hzn exchange nmp new"
            return self.refuse("comments are not allowed", hint)
        if found in ("/", "#"):
            return self.refuse("comments are not allowed", "remove it, or write the document as YAML")
        if found == "'":
            return self.refuse("single quotation marks are not allowed", 'write "..."')
        return self.refuse(f"expected {wanted}, found {quoted(found) if found else 'the end of the text'}")

    def refuse(self, message: str, hint: str = "") -> InvalidText:
        return InvalidText(f"invalid JSON: {message}", *self.place(), hint)


def _read_number(number: re.Match[str]) -> Value:
    text = number[0]
    if len(text) > LONGEST_NUMBER:
        return Ambiguous(text, "too long for a number")
    return read_float(text) if number[1] or number[2] or text == "-0" else int(text)
