"""Reads flags, environment and configuration file into one frozen `Settings`; each setting is declared once, with help.

Order of precedence: flag, `IMAGECTL_*` in the environment, configuration file, default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, field, fields
from math import inf
from pathlib import Path
from typing import Any

from controller.errors import InvalidSettings
from controller.pattern import Pattern
from controller.spelling import nearest
from controller.value import dataclass

CONFIG_FILE = Path("/etc/image-controller/config.toml")
_DURATION = Pattern(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_HOST_NAME = Pattern(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)*\.?", re.ASCII)
_PERCENT = Pattern(r"(\d{1,3}(?:\.\d+)?) ?%")
_SIZE = Pattern(r"(\d{1,18}(?:\.\d+)?) ?([kKMGT]i?)?B?")
_BYTES = {None: 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


# ── how values are written ───────────────────────────────────────────────────────────────────────────────────────────


def duration(text: str) -> float:
    """Seconds, from `90s`, `5m`, `2h` or `1d`; `0` needs no unit. Raises ValueError."""
    if text == "0":
        return 0.0
    found = _DURATION.regex.fullmatch(text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else inf
    if seconds == inf:
        raise ValueError("write a duration as 90s, 5m, 2h or 1d")
    return seconds


def interval(text: str) -> float:
    """Seconds, at least one: a pass at shorter intervals would use a whole core. Raises ValueError."""
    if (seconds := duration(text)) < 1:
        raise ValueError("write a duration of at least 1s")
    return seconds


def size(text: str) -> int:
    """Bytes, from `500MB`, `2GiB` or a plain number. Raises ValueError."""
    found = _SIZE.regex.fullmatch(text)
    if not found:
        raise ValueError("write a size as 500MB, 2GiB or 1000000")
    return int(float(found[1]) * _BYTES[found[2] and found[2].upper()])


def disk_mark(text: str) -> tuple[str, float]:
    """`85%` is ("used", 0.85), a share of the disk; `free:2GiB` is ("free", bytes). Raises ValueError."""
    if text.startswith("free:"):
        return "free", float(size(text.removeprefix("free:")))
    found = _PERCENT.regex.fullmatch(text)
    if not found or not 0 < float(found[1]) <= 100:
        raise ValueError("write a mark as 85% (used) or free:2GiB")
    return "used", float(found[1]) / 100


def path(text: str) -> Path:
    """A path. Raises ValueError if it is empty, because `Path("")` is the current folder, or has a NUL character."""
    if not text or "\0" in text:
        raise ValueError("write a path")
    return Path(text)


def metrics_file(text: str) -> Path:
    """A path that ends in `.prom`. Raises ValueError."""
    if (file := path(text)).suffix != ".prom":
        raise ValueError("name a file that ends in .prom: node_exporter reads no other")
    return file


def whole_number(text: str) -> int:
    """A number of at least 1. Raises ValueError."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError("write a whole number, 1 or more")
    return int(text)


def address(text: str) -> tuple[str, int]:
    """Host and port, from `127.0.0.1:9847`, `:9847` (every address) or `[::1]:9847`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not int(port) < 65_536:
        raise ValueError("write an address as 127.0.0.1:9847, or :9847 for every address of this host")
    return host.strip("[]"), int(port)


def host_name(text: str) -> str:
    """A host name, or `*.DOMAIN`. Raises ValueError."""
    if not _HOST_NAME.regex.fullmatch(text):
        raise ValueError(f"{text} is not a host name: use gateway-7.example or *.example, without a scheme and a port")
    return text


def switch(text: str) -> bool:
    """On or off. Raises ValueError."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("write true or false")


@dataclass(frozen=True, slots=True)
class Choice:
    """A parser for a choice; it raises ValueError."""

    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text not in self.choices:
            raise ValueError(f"write one of {', '.join(self.choices)}")
        return text


# ── the settings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _setting(default: Any, parse: Callable[[str], Any], metavar: str, text: str) -> Any:
    metadata = {"parse": parse, "metavar": metavar, "help": text}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of the operator."""

    policies: Path = _setting(Path("policies"), path, "DIR", "Folder of policy documents. Changes are noticed.")
    docker_host: str = _setting(
        "",
        str,
        "URL",
        "Container engine. Default: DOCKER_HOST, CONTAINER_HOST, the engine of the ledger, the first local socket.",
    )
    docker_certificates: str = _setting(
        "",
        str,
        "DIR",
        "ca.pem, cert.pem and key.pem for TLS. Default with DOCKER_TLS_VERIFY: DOCKER_CERT_PATH, else ~/.docker.",
    )
    ledger: Path = _setting(Path("ledger.db"), path, "FILE", "State file (SQLite). Default: below /var/lib, or ~.")
    node: Path | None = _setting(None, path, "FILE", "Node file: org, id, pattern and policy of this node.")
    disk: Path | None = _setting(
        None,
        path,
        "PATH",
        "Folder on the disk with the images, if it is not found. Default: the image root.",
    )
    disk_pressure_start: tuple[str, float] | None = _setting(
        None,
        disk_mark,
        "MARK",
        "Where disk pressure begins, as 85% (used, bytes or inodes) or free:2GiB. Needs --disk-pressure-stop.",
    )
    disk_pressure_stop: tuple[str, float] | None = _setting(
        None, disk_mark, "MARK", "Where disk pressure ends, for example 75%. Removals under pressure stop there."
    )
    agent_url: str = _setting("", str, "URL", "Open Horizon agent of this node, for example http://localhost:8510.")
    listen: tuple[str, int] = _setting(
        ("127.0.0.1", 9847),
        address,
        "HOST:PORT",
        "Address of the status page and the metrics. :PORT listens on every address.",
    )
    tls_certificate: Path | None = _setting(
        None, path, "FILE", "Serve them over TLS: certificate and chain (PEM), optionally with the key."
    )
    tls_key: Path | None = _setting(None, path, "FILE", "Private key (PEM), if it is not in the certificate file.")
    basic_auth: Path | None = _setting(
        None, path, "FILE", "Require a password: lines of user:password or user:sha256:HEX. Read at every request."
    )
    allow_host: tuple[str, ...] = _setting(
        (),
        host_name,
        "NAME",
        "A host name under which the page may be opened, or *.DOMAIN. Not needed for IP addresses and localhost.",
    )
    textfile: Path | None = _setting(
        None,
        metrics_file,
        "FILE",
        "Also write all metrics to this file, which ends in .prom, for the textfile collector of node_exporter.",
    )
    settle: float = _setting(
        600.0, duration, "TIME", "Minimum time since an image was last pulled, used or built before it can be removed."
    )
    resync: float = _setting(300.0, interval, "TIME", "Run a pass at least this often.")
    usage: str = _setting("any", Choice(("any", "agent")), "any|agent", "Which containers count as use.")
    protect: tuple[str, ...] = _setting((), str, "PATTERN", "Never remove these images. May be given several times.")
    protect_local: bool = _setting(
        False, switch, "", "Never remove images that were built, loaded or imported here, or whose origin is unknown."
    )
    parallel_removals: int = _setting(4, whole_number, "N", "Number of parallel removals. Use 1 for slow SD cards.")
    max_removals_per_pass: int | None = _setting(None, whole_number, "N", "Maximum number of removals in one pass.")
    max_bytes_per_hour: int | None = _setting(None, size, "SIZE", "Maximum number of bytes freed in any hour.")
    dry_run: bool = _setting(False, switch, "", "Show what would be removed; remove nothing.")
    once: bool = _setting(False, switch, "", "Run one pass and exit, for timers and cron.")
    log_format: str = _setting("auto", Choice(("auto", "text", "json")), "text|json", "Default: text on a terminal.")
    log_level: str = _setting(
        "info", Choice(("debug", "info", "warning", "error")), "LEVEL", "Minimum level of log messages."
    )


DECLARED: Mapping[str, Field[Any]] = {each.name: each for each in fields(Settings)}
"""Every setting by name, with its metadata: parse, metavar, help."""
REPEATABLE = ("protect", "allow_host")
SWITCHES = ("dry_run", "once", "protect_local")
_PREFIX = "IMAGECTL_"
CONFIG_VARIABLE = "IMAGECTL_CONFIG"
"""Names the configuration file, as --config does."""
COMPLETION_VARIABLE = "_IMAGECTL_COMPLETE"
"""Set by the completion scripts of shells."""
_OF_OTHERS = ("EXCHANGE_", "ENGINES_", "TEST_", "PORT", "SERVICE_")
"""Variables of `sync`, of scripts in deploy/ and of tests; and those of Kubernetes for a service named imagectl."""


def load(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None = None) -> Settings:
    """The settings; values of `flags` are text, lists of text, True, or None if not given. Raises InvalidSettings.

    The configuration file is `config`, else the one that IMAGECTL_CONFIG names, else the default one.
    """
    if config is None and (named := environment.get(CONFIG_VARIABLE)):
        config = Path(named)
    file = _read_config(config)
    chosen: dict[str, Any] = {}
    for name in DECLARED:
        sources = (
            (f"--{name.replace('_', '-')}", flags.get(name)),
            (f"{_PREFIX}{name.upper()}", environment.get(f"{_PREFIX}{name.upper()}")),
            (f"{config or CONFIG_FILE}: {name}", file.get(name)),
        )
        given = next(((where, value) for where, value in sources if _is_given(name, value)), None)
        if given is not None:
            chosen[name] = _parsed(name, *given)
    if environment.get("DOCKER_TLS_VERIFY"):
        chosen.setdefault("docker_certificates", environment.get("DOCKER_CERT_PATH") or docker_folder(environment))
    chosen.setdefault("ledger", default_ledger(environment))
    return Settings(**chosen)


def _is_given(name: str, value: Any) -> bool:
    """False also for an empty text that would be valid, as `VARIABLE: ${VARIABLE:-}` of Compose passes it: it must not
    hide protections, `dry_run` or the agent of another source. Where it is not valid, it is an error.
    """
    if isinstance(value, str) and DECLARED[name].default in ("", (), False):
        return bool(value.strip())
    return value is not None and not (name in REPEATABLE and value in ((), []))


def docker_folder(environment: Mapping[str, str]) -> str:
    """The folder of the configuration of `docker`, where it also expects certificates if no other is named."""
    return environment.get("DOCKER_CONFIG") or f"{environment.get('HOME') or '/nonexistent'}/.docker"


def default_ledger(environment: Mapping[str, str]) -> Path:
    """The path of the ledger if no setting names it."""
    return _state_folder(environment) / "ledger.db"


def misspelt_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each IMAGECTL_* variable that is not a setting and so has no effect."""
    known = [*(f"{_PREFIX}{name.upper()}" for name in DECLARED), CONFIG_VARIABLE]
    unknown = [name for name in sorted(environment) if name.startswith(_PREFIX) and name not in known]
    return tuple(
        f"environment: unknown setting {name}{_did_you_mean(name, known)}"
        for name in unknown
        if not name.removeprefix(_PREFIX).startswith(_OF_OTHERS)
    )


def environment() -> Mapping[str, str]:
    """The environment of this process; no other module reads it."""
    return os.environ


def _parsed(name: str, where: str, given: Any) -> Any:
    parse = DECLARED[name].metadata["parse"]
    try:
        if name in REPEATABLE:
            return tuple(map(parse, _texts_in(given)))
        return parse(str(given).lower() if isinstance(given, bool) else str(given))
    except ValueError as error:
        raise InvalidSettings(f"{where}: {str(given)!r}: {error}") from error


def _texts_in(given: Any) -> Iterable[str]:
    """The words of a text, or the items of a list. Raises ValueError."""
    if isinstance(given, str):
        return given.split()
    if not isinstance(given, (list, tuple)):
        raise ValueError("write a list of texts")
    return map(str, given)


def _read_config(config: Path | None) -> Mapping[str, Any]:
    """The configuration file: TOML, a line for each setting. A missing file is an error only if it was named."""
    file = config or CONFIG_FILE
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        if config is None:
            return {}
        raise InvalidSettings(f"{file}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "it is not UTF-8")
        raise InvalidSettings(f"{file}: cannot be read: {why}") from error
    import tomllib  # Not needed without a configuration file.

    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{file}: {error}") from error
    except RecursionError:
        raise InvalidSettings(f"{file}: nested too deeply") from None
    for name in read.keys() - DECLARED.keys():
        raise InvalidSettings(f"{file}: unknown setting {name}{_did_you_mean(name, DECLARED)}")
    return read


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""


def _state_folder(environment: Mapping[str, str]) -> Path:
    """The state folder of a service, of root or of another user."""
    if given := environment.get("STATE_DIRECTORY"):
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/image-controller")
    return Path(environment.get("XDG_STATE_HOME") or f"{_home()}/.local/state") / "image-controller"


def _home() -> str:
    """The home folder; one that does not exist for a user without one, as some containers have."""
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises an error for such a user.
    return home if home.startswith("/") else "/nonexistent"
