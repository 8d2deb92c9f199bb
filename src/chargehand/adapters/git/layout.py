"""What a commit consists of beyond its files, and the tags a workspace shows.

Only the first commit of a run is asked for (one git command). Of the commits made from it, what is known of their
parents and of the difference tells as much.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chargehand.adapters.git.command import Git
from chargehand.adapters.git.raw import GITLINK, Raw

__all__ = ["Layout", "Layouts", "layout_of", "planted", "tags_as_packed_refs"]

_MOST = 32  # a large repository has thousands of folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Every tracked folder of a commit, where a planted `.git` would outlive cleaning, and its submodules' commits.

    Folders may be named that the commit does not have (any more); `planted` does not mind.
    """

    folders: frozenset[bytes]
    links: Mapping[bytes, str]

    def after(self, difference: Iterable[Raw]) -> Layout | None:
        """The layout of a commit that differs so; None where submodules take part."""
        made: set[bytes] = set()
        for raw in difference:
            if GITLINK in (raw.old_mode, raw.new_mode):
                return None
            made.update(_above(raw.path))
        return self._with(made)

    def merged(self, other: Layout) -> Layout | None:
        """The layout of a clean merge of two commits; None where submodules take part.

        Git calls it a conflict when it would carry a file into a folder that another side renamed: a clean merge has
        no folder that neither side has.
        """
        return None if other.links else self._with(other.folders)

    def _with(self, folders: Iterable[bytes]) -> Layout | None:
        if self.links:
            return None
        more = frozenset(folders) - self.folders
        return Layout(folders=self.folders | more, links={}) if more else self


@dataclass(slots=True)
class Layouts:
    """The layouts of the commits that were used last."""

    _kept: dict[str, Layout] = field(default_factory=dict)

    def get(self, commit: str) -> Layout | None:
        """What is known of a commit."""
        layout = self._kept.pop(commit, None)
        if layout is not None:
            self._kept[commit] = layout
        return layout

    def add(self, commit: str, layout: Layout | None) -> None:
        """Remember a commit; None is not remembered."""
        if layout is not None:
            self._kept.pop(commit, None)
            self._kept[commit] = layout
        while len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]


async def layout_of(git: Git, commit: str) -> Layout:
    """Read the folders and submodules of a commit; no file is listed."""
    folders: set[bytes] = set()
    links: dict[bytes, str] = {}
    for entry in (await git.run("ls-tree", "-r", "-d", "-z", "--full-tree", commit)).stdout.split(b"\0"):
        meta, _, path = entry.partition(b"\t")
        if meta.startswith(b"160000"):
            links[path] = meta.split(b" ")[2].decode("ascii")
        elif path:
            folders.add(path)
    return Layout(folders=frozenset(folders), links=links)


def planted(root: bytes, folders: Iterable[bytes]) -> tuple[bytes, ...]:
    """The folders below `root` that hold a `.git`; one that is reached through a link is none of them."""
    plain = {b""}
    found = []
    for folder in sorted(folders):  # each one after the folder it lies in
        if folder.rpartition(b"/")[0] not in plain:
            continue
        path = root + b"/" + folder
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                continue
        except OSError:
            continue
        plain.add(folder)
        if os.path.lexists(path + b"/.git"):
            found.append(folder)
    return tuple(found)


def _above(path: bytes) -> Iterable[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


async def tags_as_packed_refs(git: Git) -> bytes:
    """The tags of a repository, as the file git keeps packed refs in."""
    got = await git.run("for-each-ref", "--format=%(objectname) %(refname)%00%(*objectname)", "refs/tags")
    lines = [b"# pack-refs with: peeled fully-peeled sorted "]
    for line in got.stdout.splitlines():
        tag, _, peeled = line.partition(b"\0")
        lines += [tag, *([b"^" + peeled] if peeled else [])]
    return b"\n".join([*lines, b""])
