"""Regular expressions that are compiled when they are first used.

Compiled at import, all expressions of the modules that a command imports cost it 2 ms, and a controller 13 ms.
"""

from __future__ import annotations

import re
from functools import cached_property


class Pattern:
    """A regular expression; `regex` is the compiled one."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text = text
        self._flags = flags

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled expression."""
        return re.compile(self._text, self._flags)
