"""What a program sees of the file system: the interpreter's library, read-only, and a scratch folder.

With namespaces this is a root of its own, built of read-only binds on an empty tmpfs. Without them Landlock
allows the same paths. Installed packages (site-packages) are left out both times: they may hold tests and
answers.
"""

from __future__ import annotations

import glob
import os
import sys

from alignment_bench.sandbox import kernel

SCRATCH = "scratch"
"""the scratch folder's name: below the root with namespaces, below the worker's folder without"""
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib64")


def _mapped_files() -> set[str]:
    """Files in this process's memory: the interpreter and the libraries that it is linked with."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:
        fields = (line.rstrip("\n").split(maxsplit=5) for line in lines)
        return {field[5] for field in fields if len(field) == 6 and field[5].startswith("/")}


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _outermost(paths: set[str]) -> list[str]:
    """The paths that exist and lie below no other of them."""
    real = {path for path in paths if os.path.exists(path)}
    return sorted(p for p in real if not any(p != other and _below(p, other) for other in real))


def library() -> list[str]:
    """Real paths that Python needs to run and import its standard library."""
    prefix = os.path.realpath(sys.base_prefix)
    wanted = {*_LIBRARIES, "/usr/share/zoneinfo", *sys.path, *_mapped_files()}
    if prefix not in ("/", "/usr"):
        wanted |= {os.path.join(prefix, name) for name in ("lib", "lib64")}
    return _outermost({os.path.realpath(path) for path in wanted if path})


def packages(paths: list[str]) -> list[str]:
    """Folders of installed packages below these paths."""
    return sorted(
        found
        for path in paths
        for name in ("site-packages", "dist-packages")
        for pattern in (f"{path}/{name}", f"{path}/python*/{name}")
        for found in glob.glob(pattern)
        if os.path.isdir(found) and not os.path.islink(found)
    )


def without(path: str, left_out: list[str]) -> list[str]:
    """Paths that cover `path` but for the folders left out."""
    if path in left_out:
        return []
    if not any(_below(folder, path) for folder in left_out):
        return [path]
    inner = (os.path.join(path, name) for name in sorted(os.listdir(path)))
    return [covered for p in inner if not os.path.islink(p) for covered in without(p, left_out)]


def _copy_shape(path: str, root: str) -> str:
    """An empty file or folder below `root` to bind `path` to."""
    target = root + path
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.isdir(path):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    return target


def build(folder: str) -> None:
    """Makes a root of the needed paths at `folder` and enters it; needs its own mount namespace."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID, "size=1m,mode=755")
    # sorted: what is mounted over a part of something comes after it
    shown = library()
    for path in shown:
        kernel.bind(path, _copy_shape(path, folder))
    for path in packages(shown):
        kernel.mount("tmpfs", folder + path, "tmpfs", kernel.MS_NOSUID, "size=4k,mode=755")
        kernel.read_only(folder + path)
    for path in DEVICES:
        kernel.bind(path, _copy_shape(path, folder), devices=True)
    for path in _LIBRARIES:
        if os.path.islink(path) and not os.path.lexists(folder + path):
            os.symlink(os.readlink(path), folder + path)
    os.mkdir(os.path.join(folder, SCRATCH), 0o755)
    kernel.pivot_root(folder)
    kernel.read_only("/")


def empty(folder: str) -> None:
    """Removes what is in a folder, however deep and whatever its modes; links are not followed.

    Folders found inside are moved up before they are emptied, so depth costs neither stack nor long paths.
    """
    os.chmod(folder, 0o700)
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    waiting = ["."]
    try:
        while waiting:
            name = waiting.pop()
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                with os.scandir(inner) as listed:
                    entries = list(listed)
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.name, dir_fd=inner)
                        continue
                    # a name that the program cannot have used
                    moved = os.urandom(12).hex()
                    os.chmod(entry.name, 0o700, dir_fd=inner)
                    os.rename(entry.name, moved, src_dir_fd=inner, dst_dir_fd=top)
                    waiting.append(moved)
            finally:
                os.close(inner)
            if name != ".":
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
