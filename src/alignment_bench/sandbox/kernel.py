"""The kernel's calls that Python has no names for, by ctypes: namespaces, mounts, Landlock, capabilities.

Every function raises OSError with the call's name where the kernel refuses. x86-64 and arm64 only: the
numbers of the older calls differ by machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterable

MACHINE = platform.machine()
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_MOUNT_SETATTR = 442
_CLOSE_RANGE = 436
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 1 << 18
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 8, 36, 38
CAP_DAC_READ_SEARCH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _checked(name: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def syscall(name: str, number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """The call's result; integers are passed as 64 bits."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(name, int(_libc.syscall(ctypes.c_long(number), *passed)))


def unshare(flags: int) -> None:
    """Leaves the namespaces of these kinds for new ones."""
    _checked("unshare", _libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """Joins the namespace of a file descriptor."""
    _checked("setns", _libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    arguments = [os.fsencode(text) for text in (source, target, kind)]
    _checked("mount", _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(options)))


def bind(source: str, target: str, *, devices: bool = False) -> None:
    """Shows `source` at `target` too, read-only with everything mounted below it."""
    mount(source, target, "", MS_BIND | MS_REC)
    read_only(target, ATTR_NOSUID | (0 if devices else ATTR_NODEV), below=True)


def read_only(target: str, more: int = 0, *, below: bool = False) -> None:
    """Makes the mount at `target` read-only, with further attributes, and those below it where asked."""
    attributes = struct.pack("QQQQ", ATTR_RDONLY | more, 0, 0, 0)
    flags = _AT_RECURSIVE if below else 0
    syscall(
        "mount_setattr", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, attributes, len(attributes)
    )


def pivot_root(new_root: str) -> None:
    """Makes a mount the root and lets go of the old one."""
    os.chdir(new_root)
    syscall("pivot_root", _PIVOT_ROOT[MACHINE], b".", b".")
    _checked("umount2", _libc.umount2(b".", ctypes.c_int(2)))
    os.chdir("/")


def prctl(option: int, value: int = 0) -> None:
    """prctl(2) with one argument."""
    rest = (ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    _checked("prctl", _libc.prctl(ctypes.c_int(option), *rest))


def keep_capabilities(*kept: int) -> None:
    """Drops every capability but these, which must be among those the process has."""
    mask = sum(1 << number for number in kept)
    header = struct.pack("Ii", 0x20080522, 0)
    data = struct.pack("IIIIII", mask, mask, 0, 0, 0, 0)
    syscall("capset", _CAPSET[MACHINE], header, data)


def close_from(first: int) -> None:
    """Closes every file descriptor from `first` on."""
    try:
        syscall("close_range", _CLOSE_RANGE, first, 0xFFFFFFFF, 0)
    except OSError:
        # a kernel before 5.9
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


# Landlock: rights on files and folders; what a right does not name cannot be allowed
_READ = 1 << 2 | 1 << 3
_ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_SCRATCH = _READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    try:
        return syscall("landlock_create_ruleset", _LANDLOCK_CREATE, None, 0, 1)
    except OSError:
        return 0


class Landlock:
    """Rules made once and entered by many processes: read here, write there, nothing else."""

    def __init__(self, readable: Iterable[str], writable: Iterable[str]) -> None:
        version = landlock_version()
        files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
        # from version 4 no TCP, from 6 no abstract sockets and no signals to processes outside
        handled = struct.pack("QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
        size = 8 if version < 4 else 16 if version < 6 else 24
        self._rules = syscall("landlock_create_ruleset", _LANDLOCK_CREATE, handled[:size], size, 0)
        for rights, paths in ((_READ, readable), (_SCRATCH & files, writable)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    self._allow(path, rights)

    def _allow(self, path: str, rights: int) -> None:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not os.path.isdir(path):
                rights &= _ON_FILES
            rule = struct.pack("=Qi", rights, fd)
            syscall("landlock_add_rule", _LANDLOCK_ADD, self._rules, 1, rule, 0)
        finally:
            os.close(fd)

    def enter(self) -> None:
        """Puts this process and its children under the rules, for good; needs no_new_privs."""
        syscall("landlock_restrict_self", _LANDLOCK_RESTRICT, self._rules, 0)
