"""The smallest programs that a container can run: one that waits for SIGTERM or SIGINT, one that ends at once.

No base image can be relied on, so these are whole static ELF files, assembled by hand for x86-64 and aarch64.
"""

from __future__ import annotations

import platform
import struct

_LOAD_ADDRESS = 0x400000
_HEADERS_BYTES = 64 + 56

# Both block the two signals and take them by rt_sigtimedwait: a first process that has installed no handler is not
# sent the signals that would end any other process.
_MACHINES = {
    "x86_64": (
        62,
        # mov eax, 14 (rt_sigprocmask); xor edi, edi; lea rsi, [set]; xor edx, edx; mov r10d, 8; syscall
        # again: mov eax, 128 (rt_sigtimedwait); lea rdi, [set]; xor esi, esi; xor edx, edx; mov r10d, 8; syscall
        # test eax, eax; js again; mov eax, 231 (exit_group); xor edi, edi; syscall; set: SIGTERM | SIGINT
        "b80e00000031ff488d352f00000031d241ba080000000f05b880000000488d3d1900000031f631d241ba080000000f05"
        "85c078e4b8e700000031ff0f050240000000000000",
        # mov eax, 231 (exit_group); xor edi, edi; syscall
        "b8e700000031ff0f05",
    ),
    "aarch64": (
        183,
        # mov x8, 135 (rt_sigprocmask); mov x0, 0; adr x1, set; mov x2, 0; mov x3, 8; svc 0
        # again: mov x8, 137 (rt_sigtimedwait); adr x0, set; mov x1, 0; mov x2, 0; mov x3, 8; svc 0
        # tbnz w0, 31, again; mov x8, 94 (exit_group); mov x0, 0; svc 0; set: SIGTERM | SIGINT
        "e81080d2000080d2c1010010020080d2030180d2010000d4281180d220010010010080d2020080d2030180d2010000d4"
        "40ffff37c80b80d2000080d2010000d40240000000000000",
        # mov x8, 94 (exit_group); mov x0, 0; svc 0
        "c80b80d2000080d2010000d4",
    ),
}


def architecture() -> str:
    """This machine in the words of an image configuration."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def waiting_program() -> bytes:
    """An executable that does nothing until SIGTERM or SIGINT, then ends with 0."""
    machine, waiting, _ = _MACHINES[platform.machine()]
    return _executable(machine, bytes.fromhex(waiting))


def ending_program() -> bytes:
    """An executable that ends with 0 at once."""
    machine, _, ending = _MACHINES[platform.machine()]
    return _executable(machine, bytes.fromhex(ending))


def _executable(machine: int, code: bytes) -> bytes:
    size = _HEADERS_BYTES + len(code)
    identification = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    entry = _LOAD_ADDRESS + _HEADERS_BYTES
    header = identification + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return header + segment + code
