"""Writes the generated tables of the README pages; `make readme` runs it.

Each stands between `<!-- name -->` and `<!-- end -->`. Settings come from `controller.settings`, metrics from
`controller.daemon.metrics.families`, engines from `tests/with_docker/results.json`, which `make test-engines` writes,
and figures from `tests/bench/results.json`, which `make bench` writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from controller.daemon.metrics.families import FAMILIES, PREFIX, Family
from controller.settings import DECLARED

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "tests" / "with_docker" / "results.json"
FIGURES = ROOT / "tests" / "bench" / "results.json"


def settings() -> Iterator[str]:
    """Every option of `imagectl run`."""
    yield from _head("option", "meaning")
    for name, field in DECLARED.items():
        metavar = f" {field.metadata['metavar']}" if field.metadata["metavar"] else ""
        default = _shown(field.default)
        text = field.metadata["help"] + (f" Default: `{default}`." if default else "")
        yield _row(f"`--{name.replace('_', '-')}{metavar.replace('|', chr(92) + '|')}`", text)


def metrics() -> Iterator[str]:
    """Every family of metrics."""
    yield from _head(f"`{PREFIX}_…`", "labels", "meaning")
    for family in FAMILIES.values():
        yield _row(f"`{family.name}`", ", ".join(family.labels), _kind(family) + family.help)


def engines() -> Iterator[str]:
    """What was run on which engine."""
    results = json.loads(RESULTS.read_text())
    yield from _head("engine", "tests passed", "skipped", "failed")
    for engine in results:
        yield _row(engine["engine"], engine["passed"], engine["skipped"], engine["failed"])
    for title in dict.fromkeys(title for engine in results for title in engine["findings"]):
        yield ""
        yield from _head("engine", title)
        for engine in results:
            yield _row(engine["engine"], engine["findings"].get(title, "was not run"))


def figures() -> Iterator[str]:
    """The benchmarks."""
    yield from _head("what", "measured", "at most", "")
    for figure in (each for module in json.loads(FIGURES.read_text()).values() for each in module):
        limit, value = figure["limit"], figure["value"]
        missed = " **missed**" if limit is not None and value > limit else ""
        yield _row(figure["what"], f"{value:.2f} {figure['unit']}", _limit(limit) + missed, figure["detail"])


def _limit(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}"


PAGES = {
    "deploy/README.md": {"settings": settings},
    "manifests/README.md": {"metrics": metrics},
    "tests/README.md": {"engines": engines, "figures": figures},
}
"""Page, and its generated blocks."""


def regenerated(page: str, text: str) -> str:
    """The text of a page with its blocks as they should be."""
    for name, lines in PAGES[page].items():
        block = f"<!-- {name} -->\n" + "\n".join(lines()) + "\n<!-- end -->"
        text, found = re.subn(rf"<!-- {name} -->\n.*?<!-- end -->", lambda _, block=block: block, text, flags=re.DOTALL)  # type: ignore[misc]
        if found != 1:
            raise SystemExit(f"{page}: expected one block {name}, found {found}")
    return text


def _head(*columns: str) -> Iterable[str]:
    return (_row(*columns), "|" + "---|" * len(columns))


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _kind(family: Family) -> str:
    return "Histogram. " if family.kind == "histogram" else ""


def _shown(default: Any) -> str:
    """A default as a user writes it; empty if it is in the help, or there is none."""
    match default:
        case (str(host), int(port)):
            return f"{host}:{port}"
        case float():
            return f"{default / 60:g}m"
        case None | "" | () | False | "auto" | Path(name="ledger.db"):
            return ""
        case _:
            return str(default)


if __name__ == "__main__":
    for page in PAGES:
        file = ROOT / page
        file.write_text(regenerated(page, file.read_text()))
