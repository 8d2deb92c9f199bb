"""Looks for unfinished lines in what was sealed: reads the changed files once, git only where it must."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence

from chargehand.adapters.git.command import MIB
from chargehand.adapters.git.raw import Raw, path_text
from chargehand.adapters.git.reading import read_blobs
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.git.work import WorkTree
from chargehand.domain.placeholders import HINT, unfinished

__all__ = ["placeholders"]

_FILE = 512 * 1024
_ALL = 32 * MIB
_MOST = 100


async def placeholders(tree: WorkTree, diff: Sequence[Raw]) -> tuple[str, ...]:
    """The added lines of a difference that look unfinished, as `path:line: text`; binaries and huge files left out."""
    suspects = await asyncio.to_thread(_suspects, tree, diff)
    old = [raw.old for raw in suspects if raw.old_mode.startswith("100")]
    before = await read_blobs(tree.git, old) if old else {}
    return await asyncio.to_thread(_findings, suspects, before)


def _suspects(tree: WorkTree, diff: Iterable[Raw]) -> dict[Raw, bytes]:
    found: dict[Raw, bytes] = {}
    total = 0
    for raw in diff:
        if not raw.new_mode.startswith("100") or total > _ALL:
            continue
        data = read_small(tree.path, os.fsdecode(raw.path), _FILE + 1)
        if data is None or len(data) > _FILE or b"\0" in data[:8000]:
            continue
        total += len(data)
        if HINT.search(data):
            found[raw] = data
    return found


def _findings(suspects: dict[Raw, bytes], before: dict[str, bytes]) -> tuple[str, ...]:
    found: list[str] = []
    for raw, data in suspects.items():
        old = before.get(raw.old, b"").decode("utf-8", "replace")
        found += unfinished(path_text(raw.path), data.decode("utf-8", "replace"), old)
    return tuple(found[:_MOST])
