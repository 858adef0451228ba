"""Chooses the engine once per start: the configured one, else that of the ledger, else the first existing socket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from controller.adapters.engine.address import Address
from controller.errors import InvalidSettings
from controller.json_text import decoded
from controller.plan.memory.memory import Memory
from controller.settings import Settings, docker_folder, environment
from controller.value import dataclass

_SYSTEM_SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
_USER_SOCKETS = ("docker.sock", "podman/podman.sock")
"""Below XDG_RUNTIME_DIR: the rootless engines of a user."""
_VARIABLES = ("DOCKER_HOST", "CONTAINER_HOST")


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine, and why it was chosen."""

    address: Address
    why: str
    warning: str = ""
    """Other engines that the user may mean; empty if there are none."""

    @property
    def text(self) -> str:
        """The address with the reason, for display."""
        return f"{self.address.url} ({self.why})"


@dataclass(frozen=True, slots=True)
class EngineHost:
    """What the choice depends on besides the settings."""

    environment: Mapping[str, str]
    is_root: bool
    exists: Callable[[str], bool] = os.path.exists

    @property
    def sockets(self) -> tuple[str, ...]:
        """Where engines listen, most likely first."""
        runtime = "" if self.is_root else self.environment.get("XDG_RUNTIME_DIR", "")
        return (*_SYSTEM_SOCKETS, *(f"{runtime.rstrip('/')}/{name}" for name in _USER_SOCKETS if runtime))


def chosen_engine(settings: Settings, memory: Memory) -> EngineChoice:
    """The engine of this start. Raises InvalidSettings."""
    known = memory.seen.engine.address if memory.seen else ""
    host = EngineHost(environment(), is_root=os.geteuid() == 0)
    return choose_engine(settings.docker_host, settings.docker_certificates, known, host)


def choose_engine(named: str, certificates: str, known: str, host: EngineHost) -> EngineChoice:
    """`named` is --docker-host, or empty; `known` is the address of the engine that the ledger knows, or empty.

    A ledger is bound to its engine, so only --docker-host leads to another address. Raises InvalidSettings.
    """
    if named:
        return EngineChoice(_address("--docker-host", named, certificates), "--docker-host")
    for variable in _VARIABLES:
        if url := host.environment.get(variable):
            _require_known(variable, url, known)
            return EngineChoice(_address(variable, url, certificates), variable)
    _require_default_context(host.environment)
    found = [f"unix://{path}" for path in host.sockets if host.exists(path)]
    if known:
        return EngineChoice(
            Address(known, certificates, "the ledger knows this engine; --docker-host names another one"),
            "the engine that the ledger knows",
            _others(known, found),
        )
    if not found:
        tried = f"tried {', '.join(host.sockets)}; name another one with --docker-host"
        return EngineChoice(Address(f"unix://{host.sockets[0]}", certificates, tried), "no socket of an engine exists")
    return EngineChoice(Address(found[0], certificates), "the first socket that exists", _others(found[0], found))


def _address(where: str, url: str, certificates: str) -> Address:
    if url.startswith("ssh:"):
        raise InvalidSettings(f"{where} {url}: ssh is not supported; use unix:///path or tcp://host:port")
    try:
        return Address(url, certificates)
    except InvalidSettings as error:
        raise InvalidSettings(f"{where} {url}: use unix:///path or tcp://host:port") from error


def _require_known(variable: str, url: str, known: str) -> None:
    if known and _place(url) != _place(known):
        raise InvalidSettings(
            f"{variable} is {url}, but the ledger knows the engine at {known}:"
            f" use --docker-host {url} to change the engine (all images then count as new), or another --ledger"
        )


def _require_default_context(environment: Mapping[str, str]) -> None:
    """Raises InvalidSettings if the `docker` command of this user has another engine."""
    context = environment.get("DOCKER_CONTEXT") or _current_context(environment)
    if context not in ("", "default"):
        raise InvalidSettings(
            f"the docker context is {context}, which is not used here:"
            " name the engine with --docker-host (docker context inspect shows its address)"
        )


def _current_context(environment: Mapping[str, str]) -> str:
    try:
        context = decoded(Path(docker_folder(environment), "config.json").read_text()).get("currentContext")
    except (OSError, ValueError, AttributeError):
        return ""
    return context if isinstance(context, str) else ""


def _others(chosen: str, found: Iterable[str]) -> str:
    others = [url for url in found if _place(url) != _place(chosen)]
    return f"other engines on this host: {', '.join(others)}; --docker-host names one" if others else ""


def _place(url: str) -> str:
    """The address with a resolved path: two paths may lead to one socket."""
    path = url.removeprefix("unix://")
    return os.path.realpath(path) if path != url else url
