"""Reads commits: files as text, differences as patches. No driver, no text conversion, nothing executed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from chargehand.adapters.git.command import MIB, Git
from chargehand.domain.errors import AdapterError

__all__ = ["read_blobs", "read_texts", "write_patch"]

_LARGEST = 16 * MIB
_NOWHERE = frozenset({"", ".", ".."})  # git reads such a name as relative to a work tree
_DIFF = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")


async def read_texts(git: Git, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
    """The files of a commit that exist and are text, each cut at `limit` characters; huge ones are left out."""
    wanted = [path for path in dict.fromkeys(paths) if "\0" not in path and _NOWHERE.isdisjoint(path.split("/"))]
    names = [f"{commit}:{path}".encode("utf-8", "surrogateescape") for path in wanted]
    listing = await git.run("cat-file", "--batch-check", "-z", stdin=b"".join(name + b"\0" for name in names))
    fit = {}
    for path, line in zip(wanted, _answers(listing.stdout, names), strict=True):
        words = line.split(b" ")
        if len(words) == 3 and words[1] == b"blob" and int(words[2]) <= _LARGEST:
            fit[path] = (words[0], int(words[2]))
    blobs = await read_blobs(git, [oid.decode("ascii") for oid, _ in fit.values()])
    found = {path: blobs[oid.decode("ascii")] for path, (oid, _) in fit.items()}
    return {path: data.decode("utf-8", "replace")[:limit] for path, data in found.items() if b"\0" not in data[:8000]}


async def read_blobs(git: Git, oids: Sequence[str]) -> dict[str, bytes]:
    """The content of blobs that exist, by name; the caller sees to it that they are not huge."""
    if not oids:
        return {}
    data = (await git.run("cat-file", "--batch", "-z", stdin=b"".join(f"{oid}\0".encode() for oid in oids))).stdout
    found = {}
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode("ascii").split(" ")
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            found[words[0]] = data[at : at + size]
            at += size + 1
    return found


def _answers(data: bytes, names: Sequence[bytes]) -> list[bytes]:
    """One line per name; a missing one is answered with the name itself, which may hold a newline."""
    lines = []
    for name in names:
        for sign in (b" missing\n", b" ambiguous\n"):
            if data.startswith(name + sign):
                line, data = b"", data[len(name + sign) :]
                break
        else:
            line, _, data = data.partition(b"\n")
        lines.append(line)
    return lines


async def write_patch(git: Git, base: str, commit: str, target: Path, limit: int) -> None:
    """Write the difference of two commits to `target`, cut at `limit` bytes; a huge one as a summary."""
    try:
        got = await git.run("diff", *_DIFF, "--full-index", base, commit, limit=max(4 * limit, 16 * MIB))
        data = got.stdout
    except AdapterError:
        got = await git.run("diff", *_DIFF, "--stat=200", "--stat-count=2000", base, commit)
        data = b"The difference is too large to show; its summary:\n" + got.stdout
    if len(data) > limit:
        data = data[:limit].rpartition(b"\n")[0] + b"\n"
    await asyncio.to_thread(target.write_bytes, data)
