"""`python -m tests.bench [NAME...]`: all figures, or some; the exit code is 1 if one is missed.

`results.json` keeps the last figures of each module, for the table in tests/README.md.
"""

from __future__ import annotations

import json
import os
import sys
from compileall import compile_dir
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import controller
from tests.bench.figure import Figure

NAMES = ("documents", "fleet", "commands", "passes", "growing", "growth", "memory", "idle", "removals")
RESULTS = Path(__file__).parent / "results.json"
_AS_INSTALLED = {"PYTHONPYCACHEPREFIX": "", "PYTHONDONTWRITEBYTECODE": ""}
"""Processes that are measured do not compile their modules, as an installed program."""


def main(names: list[str]) -> int:
    os.environ.update(_AS_INSTALLED)
    compile_dir(Path(controller.__file__).parent, quiet=1)
    is_missed = False
    for name in names or NAMES:
        module = import_module(f"tests.bench.{name}")
        print(f"\n{(module.__doc__ or '').partition(chr(10))[0]}", flush=True)
        found: list[Figure] = []
        for figure in module.figures():
            print(f"  {figure}", flush=True)
            found.append(figure)
        _store(name, found)
        is_missed |= not all(figure.is_met for figure in found)
    return 1 if is_missed else 0


def _store(name: str, figures: list[Figure]) -> None:
    """Replace the results of one module, for the table of the README."""
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    stored[name] = [asdict(figure) for figure in figures]
    ordered = {each: stored[each] for each in NAMES if each in stored}
    RESULTS.write_text(json.dumps(ordered, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
