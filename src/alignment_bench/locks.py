"""Advisory locks on files: they die with their holder, and their files go when nobody holds them.

A lock belongs to whoever holds `flock` on the file that its path names now. Holders remove the file before
they let go, so whoever gets a lock looks whether its file is still the one at the path, and otherwise tries
again; thus no two ever hold it, and no lock files pile up. Locks that mean nothing (some network and FUSE
filesystems have none, or grant them to everybody) are found out by `check` and are an error that names the
folder, never a race.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alignment_bench.errors import BenchError

PATIENCE = 5.0
"""seconds after which one who waits says so"""
AGAIN = 60.0
"""seconds after which it says so again"""
_NONE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""what flock says on a filesystem that has no locks"""


@contextmanager
def held(
    path: Path, *, wait: bool = True, what: str = "", say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Holds the lock at `path`, and removes its file at the end.

    Raises BlockingIOError where another holds it and `wait` is False, BenchError where there are no locks.
    One who has to wait long is told of by `say`: for `what`, and who holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _take(path, fcntl.LOCK_EX, wait, what, say)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        try:
            if _names(path, handle):
                path.unlink()
        finally:
            os.close(handle)


def share(path: Path, what: str = "", say: Callable[[str], None] | None = None) -> int:
    """A file descriptor that holds the lock beside others who share it, until it is closed.

    `exclusively` does not get it meanwhile. The file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return _take(path, fcntl.LOCK_SH, True, what, say)


@contextmanager
def exclusively(path: Path) -> Iterator[bool]:
    """Whether nobody shares the lock; if so, nobody does until the block ends. The file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = _take(path, fcntl.LOCK_EX, False, "", None)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds or shares the lock at this moment; leaves everything as it is.

    Who may not write there cannot tell, nor take anything away: that counts as held.
    """
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS):
            return True
        raise
    try:
        _flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def check(folder: Path) -> None:
    """Raises BenchError where locks on this folder's filesystem are missing, or keep nobody out."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"check-{os.getpid()}-{threading.get_ident()}"
    with held(path, wait=False):
        if not is_held(path):
            raise _without(folder, "a file lock is granted to two at once")


def _take(path: Path, how: int, wait: bool, what: str, say: Callable[[str], None] | None) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                _flock(handle, how | fcntl.LOCK_NB, path)
            except BlockingIOError:
                if not wait:
                    raise
                with _telling(path, what, say):
                    _flock(handle, how, path)
            if _names(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder has removed the file: another may have made a new one


def _flock(handle: int, how: int, path: Path) -> None:
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno in _NONE:
            raise _without(path.parent, f"there are no file locks ({error.strerror})") from error
        raise


def _without(folder: Path, what: str) -> BenchError:
    return BenchError(
        f"results: {what} in {folder}, so that two processes could do one job at once: choose a folder on "
        "another filesystem with results=, as a local disk or an NFS mount with locks"
    )


def _names(path: Path, handle: int) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


@contextmanager
def _telling(path: Path, what: str, say: Callable[[str], None] | None) -> Iterator[None]:
    """Says after some seconds, and then now and again, what is waited for."""
    if say is None:
        yield
        return
    over = threading.Event()

    def tell() -> None:
        pause = PATIENCE
        while not over.wait(pause):
            holder = _holder(path)
            say(f"waiting for {holder or 'another process'}: {what}")
            pause = AGAIN

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _holder(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")[:200]
    except OSError:
        return ""  # it has just let go
