"""Where things are on this machine: homes, shared folders, what only root may read. Looked up when asked."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chargehand.adapters.process.paths import is_folder, is_there

__all__ = [
    "SYSTEM_ROOTS",
    "Trail",
    "covered_homes",
    "is_below",
    "kept_back",
    "real_homes",
    "root_only",
    "shared_folders",
    "trail",
]

MOST_LINKS = 40
# A HOME of this kind cannot be covered as a whole: the system lives in it.
SYSTEM_ROOTS = frozenset(
    Path(name)
    for name in (
        "/", "/bin", "/boot", "/dev", "/etc", "/gnu", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/opt", "/proc",
        "/sbin", "/snap", "/sys", "/usr", "/usr/local", "/usr/share", "/var", "/var/lib",
    )
)  # fmt: skip
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/run", "/var/run", "/var/mail", "/var/spool/mail")  # noqa: S108
# Root owns the files it must not show: what an ordinary user could not read there is out of reach.
ROOT_ONLY_BELOW = ("/", "/boot", "/etc", "/etc/*", "/home", "/mnt", "/opt", "/srv", "/var", "/var/*")
# Parts of /run that programs need and that hold no secret: name resolution, and the system itself on NixOS.
KEPT_BACK = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/run/current-system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What a path leads over: its real path and the places of the symbolic links on the way."""

    real: Path
    links: tuple[Path, ...]


def trail(path: Path) -> Trail:
    """Follow every link of an absolute path; a part that does not exist is taken as it stands."""
    waiting = _parts_reversed(os.fspath(path))
    real = ""
    links: list[str] = []
    while waiting:
        part = waiting.pop()
        if part == "..":
            real = real.rpartition("/")[0]
            continue
        place = f"{real}/{part}"
        try:
            target = os.readlink(place)  # noqa: PTH115 — a Path for each step would triple the cost
        except OSError:
            real = place
            continue
        links.append(place)
        if len(links) > MOST_LINKS:
            real = place
            break
        if target.startswith("/"):
            real = ""
        waiting += _parts_reversed(target)
    return Trail(real=Path(real or "/"), links=tuple(map(Path, links)))


def _parts_reversed(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def is_below(path: Path, roots: Collection[Path]) -> bool:
    """Whether `path` is one of `roots` or lies inside one."""
    return path in roots or any(parent in roots for parent in path.parents)


def real_homes() -> tuple[Path, ...]:
    """The user's home folders, real paths: `$HOME` and the password database's."""
    names = {os.environ.get("HOME", "")}
    for uid in {os.getuid(), os.geteuid()}:
        with suppress(KeyError):
            names.add(pwd.getpwuid(uid).pw_dir)
    homes = {trail(Path(name)).real for name in names if name.startswith("/")}
    return tuple(sorted(home for home in homes if is_folder(home)))


def shared_folders() -> tuple[Path, ...]:
    """Folders that other programs of this machine write to and listen in, real paths."""
    names = [*SHARED_FOLDERS, os.environ.get("XDG_RUNTIME_DIR", "")]
    found = {trail(Path(name)).real for name in names if name.startswith("/")}
    return tuple(sorted(path for path in found - SYSTEM_ROOTS if is_folder(path)))


def covered_homes() -> tuple[Path, ...]:
    """What must be covered for the homes to be out of reach: the folder, or its dot entries in a system folder."""
    found: list[Path] = []
    for home in real_homes():
        if home in SYSTEM_ROOTS:
            with suppress(OSError):
                found += [entry for entry in home.iterdir() if entry.name.startswith(".") and not entry.is_symlink()]
        else:
            found.append(home)
    return tuple(found)


def kept_back() -> tuple[Path, ...]:
    """Real paths inside the shared folders that stay readable."""
    found = (trail(Path(name)).real for name in KEPT_BACK)
    return tuple(path for path in found if is_there(path))


@cache
def root_only() -> tuple[Path, ...]:
    """Run as root: what others may not read in the places where secrets of a machine are kept (looked up once)."""
    if os.geteuid() != 0:
        return ()
    found: list[Path] = []
    for pattern in ROOT_ONLY_BELOW:
        folder = Path(pattern.removesuffix("/*"))
        folders = _folders_in(folder) if pattern.endswith("/*") else iter((folder,))
        for place in folders:
            found += _closed_entries(place)
    return tuple(found)


def _folders_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def _closed_entries(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                mode = entry.stat(follow_symlinks=False).st_mode
                closed_folder = stat.S_ISDIR(mode) and not mode & stat.S_IXOTH
                if closed_folder or (stat.S_ISREG(mode) and not mode & stat.S_IROTH):
                    yield Path(entry.path)
