"""Access to the outside: the engine, files, the network, the clock. No other package has side effects."""

import sys
import warnings
from typing import Any

# requests, which the docker library uses, loads tables of all character sets to guess encodings: 3 of the 45 MiB that a
# controller may use. No engine needs that. Without these modules requests works and prints a warning.
modules: dict[str, Any] = sys.modules
modules.setdefault("charset_normalizer", None)
warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")
