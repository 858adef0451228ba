"""Run all campaigns of this package, one after the other, or one: `python -m tests.campaigns [NAME [ARGUMENT...]]`.

The exit code is 1 if any of them found a fault.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

from tests import campaigns


def main() -> int:
    """Run each module's `main`, which returns an exit code."""
    names = [each.name for each in pkgutil.iter_modules(campaigns.__path__) if not each.name.startswith("_")]
    named, sys.argv[1:] = sys.argv[1:2], sys.argv[2:]
    if unknown := set(named) - set(names):
        print(f"no campaign {unknown.pop()}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    return max(int(import_module(f"tests.campaigns.{name}").main()) for name in named or names)


if __name__ == "__main__":
    sys.exit(main())
