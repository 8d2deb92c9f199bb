"""bubblewrap: namespaces of its own, an empty home, /tmp and /run, and only what is needed bound back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chargehand.adapters.process import OWNER_VARIABLE, is_for_loader
from chargehand.adapters.process.paths import is_folder
from chargehand.adapters.sandbox.confine import launcher_argv, layout_for, why_not
from chargehand.adapters.sandbox.layout import Access, Entry, Layout
from chargehand.adapters.sandbox.places import is_below
from chargehand.adapters.sandbox.values import Confinement

__all__ = ["ROOT_CAPABILITIES", "Bubblewrap"]

NAMESPACES = (
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--new-session"),
)
# Run as root, the program keeps what file ownership needs and nothing that could undo a mount.
ROOT_CAPABILITIES = ("CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP")
DEVICES = frozenset({Path("/dev"), Path("/proc")})
TMPFS_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """`program` is its path; `has_size` and `has_perms` tell whether it knows those options (0.7 and 0.5).

    `scopes` adds a Landlock scope for abstract sockets, which only a network namespace would keep out else.
    """

    program: str
    has_size: bool = True
    has_perms: bool = True
    scopes: bool = False
    kind: str = "bwrap"

    def wrap(self, argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
        """The argv to start (contract: `Sandbox.wrap`)."""
        layout = layout_for(argv, confinement)
        why = why_not(argv, confinement, layout)
        if why:
            return launcher_argv([f"--refuse={why}"], argv, confinement)
        closed = confinement.network == "none"
        command = (
            *(self.program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            *_kernel_mounts(),
            *self._mounts(layout),
            *NAMESPACES,
            *(("--unshare-net",) if closed else ()),
            *_capabilities(),
            *_loader_variables(confinement),
            *("--unsetenv", OWNER_VARIABLE),
            *("--", *argv),
        )
        scope = ("--scope=abstract",) if self.scopes and not closed else ()
        return launcher_argv(["--exec", *scope], command, confinement)

    def explain(self, program: str, confinement: Confinement) -> str:
        """Why a program cannot be executed inside (contract: `Sandbox.explain`)."""
        return why_not((program,), confinement, layout_for((program,), confinement))

    def _mounts(self, layout: Layout) -> Iterator[str]:
        for entry in layout.entries():
            yield from self._mount(entry, layout)
        for link in layout.links:
            if layout.access(link) is Access.NONE:
                yield from ("--symlink", str(link.readlink()), str(link))

    def _mount(self, entry: Entry, layout: Layout) -> Iterator[str]:
        path, above = str(entry.path), layout.access(entry.path.parent)
        if is_below(entry.path, DEVICES):
            if entry.access is not Access.NONE:
                yield from ("--dev-bind", path, path)
        elif entry.access is above:
            return
        elif entry.access is Access.READ:
            yield from ("--ro-bind", path, path)
        elif entry.access is Access.WRITE:
            yield from ("--bind", path, path)
        elif is_folder(entry.path):
            yield from (*self._tmpfs_options(entry.path), "--tmpfs", path)
        else:
            yield from ("--dev-bind", "/dev/null", path)

    def _tmpfs_options(self, path: Path) -> Iterator[str]:
        if self.has_size:
            yield from ("--size", str(TMPFS_BYTES))
        if self.has_perms:
            yield from ("--perms", "1777" if path.name == "tmp" else "0755")


@cache
def _kernel_mounts() -> tuple[str, ...]:
    """Run as root: the kernel's settings in /proc belong to root, so they are bound read-only or covered."""
    if os.geteuid() != 0:
        return ()
    words: list[str] = []
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() or entry.is_symlink():
                continue
            mode = entry.stat().st_mode
            if stat.S_ISDIR(mode) or mode & 0o222:
                words += ("--ro-bind", entry.path, entry.path)
            elif not mode & stat.S_IROTH:
                words += ("--dev-bind", "/dev/null", entry.path)
    return tuple(words)


def _loader_variables(confinement: Confinement) -> Iterator[str]:
    """Set by bubblewrap for the program, so that bubblewrap itself is not started with them."""
    for name, value in confinement.env.items():
        if is_for_loader(name):
            yield from ("--setenv", name, value)


def _capabilities() -> Iterator[str]:
    if os.geteuid() == 0:
        yield from ("--cap-drop", "ALL")
        for name in ROOT_CAPABILITIES:
            yield from ("--cap-add", name)
