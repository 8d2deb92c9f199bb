"""Landlock: the same readable and writable sets where user namespaces are forbidden, kept by the kernel itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.process.restrict import NET_ABI
from chargehand.adapters.sandbox.confine import launcher_argv, layout_for, loader_options, why_not
from chargehand.adapters.sandbox.layout import Access, Layout
from chargehand.adapters.sandbox.values import Confinement

__all__ = ["Landlock"]

# Devices that every program may use; no other device and no raw disk can be opened.
DEVICES = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts",
)  # fmt: skip
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
ROOT = Path("/")
DEVICE_FOLDER = Path("/dev")
# CAP_CHOWN, CAP_FOWNER, CAP_FSETID, CAP_SETGID, CAP_SETUID: what root keeps.
ROOT_CAPABILITIES = (0, 3, 4, 6, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landlock:
    """`abi` is the kernel's: 2 lets files move between folders, 4 has TCP rules, 6 has scopes."""

    abi: int
    kind: str = "landlock"

    def wrap(self, argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
        """The argv to start (contract: `Sandbox.wrap`)."""
        layout = layout_for(argv, confinement)
        why = why_not(argv, confinement, layout) or self._why_open(confinement)
        if why:
            return launcher_argv([f"--refuse={why}"], argv, confinement)
        return launcher_argv([*loader_options(confinement), *_options(layout, confinement)], argv, confinement)

    def explain(self, program: str, confinement: Confinement) -> str:
        """Why a program cannot be executed inside (contract: `Sandbox.explain`)."""
        return why_not((program,), confinement, layout_for((program,), confinement))

    def _why_open(self, confinement: Confinement) -> str:
        if confinement.network != "none" or self.abi >= NET_ABI:
            return ""
        return (
            f"The network shall be closed, and Landlock ABI {self.abi} cannot do that: install bubblewrap, "
            "or allow the network."
        )


def _options(layout: Layout, confinement: Confinement) -> Iterator[str]:
    for path, access in _grants(layout):
        yield f"--write={path}" if access is Access.WRITE else f"--read={path}"
    for name in DEVICES:
        yield f"--device={name}"
    yield f"--write={SHARED_MEMORY}"
    yield from ("--scope=abstract", "--scope=signal")
    if confinement.network == "none":
        yield "--no-tcp"
    if os.geteuid() == 0:
        yield "--capabilities=" + ",".join(str(number) for number in ROOT_CAPABILITIES)


def _grants(layout: Layout) -> Iterator[tuple[str, Access]]:
    """Landlock can only allow: everything is allowed part by part, around what is out of reach."""
    rules = {path: access for path, access in layout.rules.items() if layout.access(path.parent) is not access}
    closed = [path for path, access in rules.items() if access is Access.NONE]
    # A read-only path inside a writable one has to be gone round, too.
    kept = [path for path, access in rules.items() if access is Access.READ]
    yield from _Parts([*closed, DEVICE_FOLDER]).of("/", Access.READ)
    for path, access in rules.items():
        if access is not Access.NONE:
            around = _Parts([*closed, *(kept if access is Access.WRITE else ())], root=path)
            yield from around.of(os.fspath(path), access)


class _Parts:
    """Goes round paths below `root`: a folder that holds none of them is one part, any other is taken apart."""

    def __init__(self, closed: Sequence[Path], root: Path = ROOT) -> None:
        inside = [path for path in closed if root in path.parents]
        self._closed = {os.fspath(path) for path in inside}
        self._above = {os.fspath(parent) for path in inside for parent in path.parents}

    def of(self, place: str, access: Access) -> Iterator[tuple[str, Access]]:
        if place not in self._above:
            yield place, access
            return
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if not entry.is_symlink() and entry.path not in self._closed:
                    yield from self.of(entry.path, access)
