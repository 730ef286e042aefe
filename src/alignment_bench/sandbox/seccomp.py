"""The system calls a program may make: a list of what is allowed, as a seccomp filter.

What is not on the list fails with EPERM (newer calls with ENOSYS, so that the C library falls back to older
ones): sockets, exec, ptrace, mounts, namespaces, other processes' memory, keys, bpf, io_uring, mode and
owner of files, sessions and process groups. Some calls are allowed with some arguments only.
"""

from __future__ import annotations

import ctypes
import struct

from alignment_bench.sandbox import kernel

# name: (x86-64, arm64); None where the machine has no such call. The most frequent first.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "mmap": (9, 222), "munmap": (11, 215), "brk": (12, 214),
    "madvise": (28, 233), "mremap": (25, 216), "mprotect": (10, 226), "futex": (202, 98), "close": (3, 57),
    "newfstatat": (262, 79), "openat": (257, 56), "fstat": (5, 80), "stat": (4, None), "lstat": (6, None),
    "lseek": (8, 62), "getdents64": (217, 61), "open": (2, None), "access": (21, None),
    "faccessat": (269, 48), "readlink": (89, None),
    "readlinkat": (267, 78), "statx": (332, 291), "pread64": (17, 67),
    "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19),
    "recvfrom": (45, 207), "shutdown": (48, 210), "getsockopt": (55, 209), "getsockname": (51, 204),
    "getrandom": (318, 278), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None),
    "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "creat": (85, None), "sendfile": (40, 71), "copy_file_range": (326, 285),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47), "fsync": (74, 82),
    "fdatasync": (75, 83), "flock": (73, 32), "umask": (95, 166), "statfs": (137, 43), "fstatfs": (138, 44),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132), "pause": (34, None), "alarm": (37, None), "setitimer": (38, 103),
    "getitimer": (36, 102), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "times": (100, 153), "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179),
    "uname": (63, 160), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getgroups": (115, 158), "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156),
    "getresuid": (118, 148), "getresgid": (120, 150), "getpriority": (140, 141),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "set_tid_address": (218, 96), "rseq": (334, 293), "restart_syscall": (219, 128),
    "membarrier": (324, 283), "arch_prctl": (158, None), "wait4": (61, 260), "waitid": (247, 95),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
_CONDITIONAL: dict[str, tuple[int | None, int | None]] = {
    "ioctl": (16, 29), "fcntl": (72, 25), "socketpair": (53, 199), "sendto": (44, 206),
    "prlimit64": (302, 261), "prctl": (157, 167), "kill": (62, 129), "tgkill": (234, 131),
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220),
}  # fmt: skip
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""terminal attributes and size, bytes waiting, non-blocking, close on exec"""
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""copies, flags, locks; not who gets signals"""
_PRCTLS = (15, 16)
"""a thread's name"""
_NEW_CALLS = 403
"""from here on a call has one number on all machines, and is recent"""
_NAMESPACES = 0x7E020080

_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS, EAGAIN = 1, 38, 11
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_Code = list[tuple[int, int, int, int]]


def _argument(index: int, *, high: bool = False) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _one_of(index: int, values: tuple[int, ...]) -> _Code:
    """Allows the call where the low half of an argument is one of these."""
    code = [_argument(index)]
    for value in values:
        code += [(_JEQ, 0, 1, value), (_RET, 0, 0, _ALLOW)]
    return [*code, (_RET, 0, 0, _ERRNO | EPERM)]


def _allow() -> _Code:
    return [(_RET, 0, 0, _ALLOW)]


def _conditions(own_pid: int | None, alone: bool) -> dict[str, _Code]:
    refuse_fork: _Code = [(_RET, 0, 0, _ERRNO | EAGAIN)]
    to_itself = _allow() if own_pid is None else _one_of(0, (own_pid,))
    return {
        "ioctl": _one_of(1, _IOCTLS),
        "fcntl": _one_of(1, _FCNTLS),
        "prctl": _one_of(0, _PRCTLS),
        "prlimit64": _one_of(0, (0,)),
        # within the program only: event loops wake themselves so
        "socketpair": _one_of(0, (1,)),
        # no address
        "sendto": [
            _argument(4), (_JEQ, 0, 3, 0), _argument(4, high=True), (_JEQ, 0, 1, 0), *_allow(),
            (_RET, 0, 0, _ERRNO | EPERM),
        ],
        "kill": to_itself,
        "tgkill": to_itself,
        "fork": refuse_fork if alone else _allow(),
        "vfork": refuse_fork if alone else _allow(),
        "clone": refuse_fork
        if alone
        else [_argument(0), (_JSET, 0, 1, _NAMESPACES), (_RET, 0, 0, _ERRNO | EPERM), *_allow()],
    }  # fmt: skip


def supported() -> bool:
    """Whether the filter exists for this machine; the kernel may still refuse it."""
    return kernel.MACHINE in _ARCH


def program(*, own_pid: int | None, alone: bool) -> bytes:
    """The filter. `own_pid`: the only process that signals may go to, None for any the program sees.
    `alone`: no new processes and threads."""
    column = 0 if kernel.MACHINE == "x86_64" else 1
    code: _Code = [(_LOAD, 0, 0, 4), (_JEQ, 1, 0, _ARCH[kernel.MACHINE]), (_RET, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, 0)]
    if column == 0:
        # the x32 numbering
        code += [(_JGE, 0, 1, 0x40000000), (_RET, 0, 0, _KILL)]
    for numbers in _CALLS.values():
        if (number := numbers[column]) is not None:
            code += [(_JEQ, 0, 1, number), (_RET, 0, 0, _ALLOW)]
    for name, block in _conditions(own_pid, alone).items():
        if (number := _CONDITIONAL[name][column]) is not None:
            code += [(_JEQ, 0, len(block), number), *block]
    code += [(_JGE, 0, 1, _NEW_CALLS), (_RET, 0, 0, _ERRNO | ENOSYS), (_RET, 0, 0, _ERRNO | EPERM)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def enter(filter_program: bytes) -> None:
    """Puts this process and its children under the filter, for good; needs no_new_privs."""
    held = ctypes.create_string_buffer(filter_program, len(filter_program))
    whole = struct.pack("HxxxxxxP", len(filter_program) // 8, ctypes.addressof(held))
    number = {"x86_64": 317, "aarch64": 277}[kernel.MACHINE]
    kernel.syscall("seccomp", number, 1, 0, whole)
