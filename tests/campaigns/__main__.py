"""Run all campaigns of this package, one after the other; the exit code is 1 if any of them found a fault."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

from tests import campaigns


def main() -> int:
    """Run each module's `main`, which returns an exit code."""
    names = [each.name for each in pkgutil.iter_modules(campaigns.__path__) if each.name != "__main__"]
    return max(int(import_module(f"tests.campaigns.{name}").main()) for name in names)


if __name__ == "__main__":
    sys.exit(main())
