"""Reads many patches with few processes: one git compares whole lists of commits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chargehand.adapters.git.command import MIB, Git
from chargehand.domain.errors import AdapterError

__all__ = ["Pair", "read_patches"]

Pair = tuple[str, str]
"""Two commits or trees: before and after."""

_TOGETHER = 100
_LIMIT = 32 * MIB
_DIFF = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--full-index")
_NAMES = ("-c", "core.quotePath=true")  # names with line breaks and the like come quoted: a patch stays a patch
_OID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HEAD = re.compile(rb"^([0-9a-f]{40,64}) ([0-9a-f]{40,64})\n", re.MULTILINE)
"""How git announces a comparison of two trees. No line of a patch begins like that."""


async def read_patches(git: Git, pairs: Sequence[Pair], limit: int) -> dict[Pair, str | None]:
    """The patches of pairs whose commits exist, each cut at about `limit` bytes.

    None where one cannot be read: it is too large, or parts of it are missing. A pair of which a commit is
    gone is left out. Nothing is executed: no driver, no text conversion.
    """
    trees = await _trees(git, [name for pair in pairs for name in pair])
    known = [pair for pair in dict.fromkeys(pairs) if pair[0] in trees and pair[1] in trees]
    found: dict[Pair, str | None] = {}
    for at in range(0, len(known), _TOGETHER):
        found |= await _read(git, known[at : at + _TOGETHER], trees, limit)
    return found


async def _trees(git: Git, names: Sequence[str]) -> dict[str, str]:
    """The trees of the commits that exist, by commit."""
    wanted = [name for name in dict.fromkeys(names) if _OID.fullmatch(name.encode())]
    if not wanted:
        return {}
    asked = "".join(f"{name}^{{tree}}\n" for name in wanted).encode()
    got = await git.run("cat-file", "--batch-check=%(objectname)", stdin=asked)
    lines = got.stdout.decode("ascii", "replace").splitlines()
    return {name: line for name, line in zip(wanted, lines, strict=True) if _OID.fullmatch(line.encode())}


async def _read(git: Git, pairs: Sequence[Pair], trees: dict[str, str], limit: int) -> dict[Pair, str | None]:
    asked = "".join(f"{trees[before]} {trees[after]}\n" for before, after in pairs).encode()
    try:
        got = await git.run(*_NAMES, "diff-tree", "--stdin", "-r", "-p", *_DIFF, stdin=asked, limit=_LIMIT)
    except AdapterError:
        if len(pairs) == 1:
            return {pairs[0]: None}
        half = len(pairs) // 2
        return await _read(git, pairs[:half], trees, limit) | await _read(git, pairs[half:], trees, limit)
    by_trees = dict(_parts(got.stdout, limit))
    return {pair: by_trees.get((trees[pair[0]], trees[pair[1]]), "") for pair in pairs}


def _parts(data: bytes, limit: int) -> Iterator[tuple[Pair, str]]:
    heads = list(_HEAD.finditer(data))
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(data)
        part = data[head.end() : end]
        if len(part) > limit:
            part = part[:limit].rpartition(b"\n")[0] + b"\n"
        yield (head[1].decode("ascii"), head[2].decode("ascii")), part.decode("utf-8", "replace")
