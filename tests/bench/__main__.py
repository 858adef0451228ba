"""`python -m tests.bench [NAME...]`: all figures, or some; the exit code is 1 if one is missed."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("documents", "fleet", "commands", "passes", "memory", "growth", "removals")


def main(names: list[str]) -> int:
    is_missed = False
    for name in names or NAMES:
        module = import_module(f"tests.bench.{name}")
        print(f"\n{(module.__doc__ or '').partition(chr(10))[0]}", flush=True)
        for figure in module.figures():
            print(f"  {figure}", flush=True)
            is_missed |= not figure.is_met
    return 1 if is_missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
