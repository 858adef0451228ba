"""Reports words that need a second reading in the texts of this project: `python -m deploy.local.words`.

Read are Markdown, shell scripts, units, configuration and the page whole, and of Python code the strings, docstrings,
comments and test names. Exit code 1 means that something was found.
"""

from __future__ import annotations

import io
import re
import sys
import token
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = ("controller", "deploy", "manifests", "policies", "tests")
_WHOLE = {".md", ".sh", ".service", ".timer", ".container", ".conf", ".toml", ".yaml", ".html", ".js", ".css"}
_NOT_OURS = ("tests/data/", "tests/stories/DIFFERENCES.md", "deploy/local/words.py")
"""Recorded answers, quotations from upstream, and this list."""
_ALLOWED = {
    # The first column of the table of log messages quotes the messages of 0.1.0.
    "CHANGELOG.md": re.compile(r"^\|"),
}

INSTEAD: dict[str, str] = {
    r"nobody|somebody|anybody|everybody|whoever": "a name for who it is: user, operator, another process",
    r"whatever|whichever": "any",
    r"tells?|told": "reports, shows, prints",
    r"bears?|bore|borne": "has",
    r"hears?|heard": "receives",
    r"wish(?:es|ed)?": "is requested, is configured",
    r"ask(?:s|ed|ing)? for": "requests, reads, needs",
    r"stay(?:s|ed)?": "is kept, remains",
    r"go(?:es)? on|went on": "continues",
    r"look(?:s|ed|ing)? (?:at|again|after)": "reads, observes, checks",
    r"silences?": "no answer",
    r"(?:came|became|comes?) of|come to (?:pass|rest)": "the result, is stable",
    r"a moment ago": "recently",
    r"the very": "the same",
    r"for ever|forever": "always",
    r"again and again": "repeatedly",
    r"makes? no sense": "is invalid",
    r"spoil(?:s|t|ed)?": "damages, makes invalid",
    r"glimpses?": "image activity",
    r"anew": "again",
    r"can(?:not)? be had|could not be had": "is (not) available, cannot be opened",
    r"st(?:and|ands|anding|ood) still": "is stable",
    r"signs? of life": "activity",
    r"hind(?:er|ers|ered|ering)": "prevent",
    r"keeps? clear": "pauses removals",
    r"not our business": "ignored",
    r"c(?:ame|ome|omes) to nothing": "failed",
    r"worth a line": "minimum log level",
    r"moved otherwise than": "the wall clock stepped",
    r"comes? to life": "starts",
    r"(?:a|one|the|each|every|last|first|next|half a) looks?(?! like)": "an observation",
    r"goes now|goes in \d+|to go:|to stay:": "is removed, due, is kept",
}
_PATTERN = re.compile("|".join(rf"(?P<w{number}>\b(?:{words})(?!\w))" for number, words in enumerate(INSTEAD)), re.I)


@dataclass(frozen=True, slots=True)
class Finding:
    """A word to replace, and by what."""

    file: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: "{self.word}" (write: {self.instead})'


def findings(root: Path = ROOT) -> Iterator[Finding]:
    """What is found in the tree, file by file."""
    for path in sorted(_files(root)):
        name = path.relative_to(root).as_posix()
        for line, text in _texts(path):
            if (allowed := _ALLOWED.get(name)) and allowed.search(text):
                continue
            yield from _found(name, line, text)


def _files(root: Path) -> Iterator[Path]:
    yield from (path for path in root.iterdir() if path.suffix in {".md", ".toml", ".yaml"} or path.name == "Makefile")
    for folder in _FOLDERS:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.suffix in {*_WHOLE, ".py"} and not name.startswith(_NOT_OURS):
                yield path


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a file with the number of their first line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _texts_of_python(text, is_test=path.name.startswith("test_"))
    else:
        yield from enumerate(text.splitlines(), 1)


def _texts_of_python(code: str, *, is_test: bool) -> Iterator[tuple[int, str]]:
    kinds = {token.COMMENT, token.STRING, getattr(token, "FSTRING_MIDDLE", token.STRING)}
    for each in tokenize.generate_tokens(io.StringIO(code).readline):
        if each.type in kinds:
            yield each.start[0], each.string
        elif is_test and each.type == token.NAME and each.string.startswith("test_"):
            yield each.start[0], each.string.replace("_", " ")


def _found(file: str, first_line: int, text: str) -> Iterator[Finding]:
    """A phrase may run over the end of a line."""
    flat = re.sub(r"\s", " ", text)
    for match in _PATTERN.finditer(flat):
        number = int((match.lastgroup or "w0")[1:])
        line = first_line + text.count("\n", 0, match.start())
        yield Finding(file, line, match[0], list(INSTEAD.values())[number])


def main() -> int:
    found = list(findings())
    sys.stdout.write("\n".join(list(map(str, found)) or ["no words to replace"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
