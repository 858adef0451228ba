"""Facts about this host from /proc, /sys and /etc: the input of the built-in properties, and a stable identity.

`plan/node` derives the built-in properties.
"""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Callable
from pathlib import Path

from controller.plan.node.agent import NodeAnswer
from controller.plan.node.node import HostFacts, Node, builtin_properties, serial_number
from controller.value import dataclass

_MARKS_OF_A_CONTAINER = (".dockerenv", "run/.containerenv")
_IDENTITIES = ("etc/machine-id", "var/lib/dbus/machine-id", "sys/class/dmi/id/product_uuid")
"""Sources of the machine's identity, in order of preference."""
_NOT_SET_YET = ("", "uninitialized")
_IN_32_BITS = {"aarch64": "armv7l", "x86_64": "i686"}


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about the machine that need no node file and no agent."""

    facts: HostFacts
    identity: str
    """32 hexadecimal digits: the same after a reboot, different on every machine."""


class AnonymousNode:
    """The node if neither a node file nor an agent is configured: no pattern, no policy, an identity of its own."""

    def __init__(self, host: Host) -> None:
        self._answer = NodeAnswer(Node(id=host.identity, properties=builtin_properties(host.facts)))

    def ask(self) -> NodeAnswer:
        """The answer, which never changes."""
        return self._answer

    def ask_again(self, may_wait: Callable[[], bool]) -> None:
        """There is no agent to ask."""


def read_host(root: Path = Path("/")) -> Host:
    """The host on which this program runs; in a container as far as the container shows it."""
    cpuinfo = _text(root / "proc/cpuinfo")
    identity = _first_identity(root) or serial_number(cpuinfo or "") or os.uname().nodename
    facts = HostFacts(
        cpuinfo=cpuinfo,
        meminfo=_text(root / "proc/meminfo"),
        machine=_machine(),
        os_release=_os_release(root),
        hardware_id=_derived(identity, "hardware"),
    )
    return Host(facts, _derived(identity, "node"))


def read_machine(root: Path = Path("/")) -> str:
    """A hash of the machine's ID, empty if it has none: by the hardware first, because a container and an /etc in
    memory have machine IDs of their own.
    """
    uuid = (_text(root / _IDENTITIES[-1]) or "").strip()
    identity = uuid or serial_number(_text(root / "proc/cpuinfo") or "") or _first_identity(root)
    return _derived(identity, "machine") if identity else ""


def _derived(identity: str, purpose: str) -> str:
    """A keyed hash, because a machine ID must not be published (machine-id(5))."""
    return hmac.new(identity.encode(), f"imagectl: {purpose}".encode(), "sha256").hexdigest()[:32]


def _first_identity(root: Path) -> str:
    texts = ((_text(root / place) or "").strip() for place in _IDENTITIES)
    return next((text for text in texts if text not in _NOT_SET_YET), "")


def _os_release(root: Path) -> str | None:
    """The host's os-release; None in a container (which has its own) without a mounted copy."""
    mounted = _text(root / "etc/host-os-release")
    is_in_container = any((root / mark).exists() for mark in _MARKS_OF_A_CONTAINER)
    return mounted if mounted is not None or is_in_container else _text(root / "etc/os-release")


def _machine() -> str:
    """The hardware as programs see it: on a 32-bit system uname shows that of the kernel."""
    machine = os.uname().machine
    return machine if sys.maxsize > 2**32 else _IN_32_BITS.get(machine, machine)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
