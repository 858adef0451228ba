"""The only folder that touches anything: the engine, files, the network, the clock."""

import sys
import warnings
from typing import Any

# requests, which the docker library is made upon, loads tables of all character sets to guess what no engine leaves to
# guess: 3 of the 45 MiB that a controller may occupy. It does without where there are none, and says so.
modules: dict[str, Any] = sys.modules
modules.setdefault("charset_normalizer", None)
warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")
