"""What is out of reach, readable and writable for one confinement, as real paths; both sandboxes build on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from chargehand.adapters.process.paths import is_there
from chargehand.adapters.sandbox.credentials import holds_credential
from chargehand.adapters.sandbox.places import (
    SYSTEM_ROOTS,
    covered_homes,
    is_below,
    kept_back,
    real_homes,
    root_only,
    shared_folders,
    trail,
)
from chargehand.adapters.sandbox.values import Confinement
from chargehand.domain.errors import AdapterError

__all__ = ["Access", "Entry", "Layout", "Outline", "outline"]


class Access(IntEnum):
    """What may be done below a path; of two entries for one path the higher counts."""

    NONE = 0
    WRITE = 1
    READ = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One rule; the deepest that applies to a path decides."""

    depth: int
    access: Access
    path: Path


@dataclass(slots=True)
class Layout:
    """The rules of one confinement, by real path; what no rule mentions is readable."""

    rules: dict[Path, Access] = field(default_factory=dict)
    links: dict[Path, None] = field(default_factory=dict)
    _by_name: dict[str, Access] = field(default_factory=dict)

    def add(self, path: Path, access: Access) -> None:
        """Add a rule for a real path."""
        self.rules[path] = self._by_name[str(path)] = max(access, self.rules.get(path, Access.NONE))

    def access(self, path: Path) -> Access:
        """What the rules say about a real path. Asked hundreds of times for each program: names, no Path for each."""
        name, rules = str(path), self._by_name
        while name not in rules:
            above = name.rpartition("/")[0]
            if not above:
                return rules.get("/", Access.READ)
            name = above
        return rules[name]

    def sees(self, path: Path) -> bool:
        """Whether an absolute path leads somewhere inside: the file itself and every link on the way."""
        way = trail(path)
        if any(link not in self.links and self.access(link) is Access.NONE for link in way.links):
            return False
        return self.access(way.real) is not Access.NONE

    def writable(self, path: Path) -> bool:
        """Whether the confined program may change what lies at this path, or a link that leads to it."""
        way = trail(path)
        return any(self.access(place) is Access.WRITE for place in (way.real, *way.links))

    def entries(self) -> list[Entry]:
        """The rules, shallow before deep."""
        found = (Entry(depth=len(path.parts), access=access, path=path) for path, access in self.rules.items())
        return sorted(found, key=lambda entry: (entry.depth, entry.access, entry.path.parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A layout as the caller and the machine ask for it, and the folders that are never bound as a whole."""

    layout: Layout
    never: frozenset[Path]
    secret: frozenset[Path]

    def may_bind(self, folder: Path) -> bool:
        """Whether a folder found by us (not asked for) may be bound back with everything in it."""
        return folder not in self.never and not is_below(folder, self.secret)

    def open(self, path: Path) -> None:
        """Bind a real path back read-only, unless it is seen anyway, is out of reach itself, or holds secrets."""
        if path in self.layout.rules or self.layout.access(path) is not Access.NONE:
            return
        if is_there(path) and not is_below(path, self.secret) and not holds_credential(path):
            self.layout.add(path, Access.READ)

    def keep_links(self, path: Path) -> None:
        """Make the links on the way to `path` again where they are out of reach."""
        for link in trail(path).links:
            if self.layout.access(link) is Access.NONE:
                self.layout.links[link] = None


# Parts of a home that are far more than one tool: never bound as a whole.
BROAD_PARTS = (
    "", ".cache", ".cargo", ".claude", ".codex", ".config", ".gemini", ".local", ".local/lib", ".local/share",
    ".local/state", ".npm", "Desktop", "Documents", "Downloads", "Library",
)  # fmt: skip
# Parts of a home that hold secrets: nothing in them is bound unless it is asked for by name.
SECRET_PARTS = (
    ".aws", ".azure", ".config/gcloud", ".config/gh", ".config/op", ".docker", ".gnupg", ".kube",
    ".local/share/keyrings", ".mozilla", ".password-store", ".ssh", ".thunderbird",
)  # fmt: skip


def outline(confinement: Confinement) -> Outline:
    """What goes out of reach and what the caller wants back; AdapterError when a writable folder is missing."""
    layout = Layout()
    hidden = [trail(path).real for path in confinement.hidden]
    for path in (*covered_homes(), *shared_folders(), *root_only(), *hidden):
        if path not in SYSTEM_ROOTS and is_there(path):
            layout.add(path, Access.NONE)
    for path in kept_back():
        if layout.access(path) is Access.NONE:
            layout.add(path, Access.READ)
    writable = (confinement.workspace, *confinement.writable)
    wanted = [*((path, Access.WRITE) for path in writable), *((path, Access.READ) for path in confinement.readable)]
    for path, access in wanted:
        real = trail(path).real
        if is_there(real):
            layout.add(real, access)
        elif access is Access.WRITE:
            raise AdapterError("sandbox", f"{path} does not exist: it is made before a program is confined to it.")
    found = Outline(
        layout=layout,
        never=_never(layout, [*hidden, *(trail(path).real for path, _ in wanted)]),
        secret=frozenset(home / part for home in real_homes() for part in SECRET_PARTS),
    )
    for path, _ in wanted:
        found.keep_links(path)
    return found


def _never(layout: Layout, asked: Iterable[Path]) -> frozenset[Path]:
    homes = real_homes()
    parts = {home / part for home in homes for part in BROAD_PARTS}
    above = {parent for path in (*homes, *asked) for parent in path.parents}
    covered = {path for path, access in layout.rules.items() if access is Access.NONE}
    return frozenset(parts | above | covered | SYSTEM_ROOTS)
