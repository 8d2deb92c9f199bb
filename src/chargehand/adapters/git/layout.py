"""What a commit consists of beyond its files, and the tags a workspace shows. Each is one git command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chargehand.adapters.git.command import Git

__all__ = ["Layout", "layout_of", "tags_as_packed_refs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The tracked folders of a commit, where a planted `.git` would outlive cleaning, and its submodules' commits."""

    folders: tuple[bytes, ...]
    links: Mapping[bytes, str]


async def layout_of(git: Git, commit: str) -> Layout:
    """Read the folders and submodules of a commit; no file is listed."""
    folders: list[bytes] = []
    links: dict[bytes, str] = {}
    for entry in (await git.run("ls-tree", "-r", "-d", "-z", "--full-tree", commit)).stdout.split(b"\0"):
        meta, _, path = entry.partition(b"\t")
        if meta.startswith(b"160000"):
            links[path] = meta.split(b" ")[2].decode("ascii")
        elif path:
            folders.append(path)
    return Layout(folders=tuple(folders), links=links)


async def tags_as_packed_refs(git: Git) -> bytes:
    """The tags of a repository, as the file git keeps packed refs in."""
    got = await git.run("for-each-ref", "--format=%(objectname) %(refname)%00%(*objectname)", "refs/tags")
    lines = [b"# pack-refs with: peeled fully-peeled sorted "]
    for line in got.stdout.splitlines():
        tag, _, peeled = line.partition(b"\0")
        lines += [tag, *([b"^" + peeled] if peeled else [])]
    return b"\n".join([*lines, b""])
