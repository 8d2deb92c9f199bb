"""Looks for unfinished lines and for bent tests in what was sealed; git is asked only where it must be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence

from chargehand.adapters.git.command import MIB, Git
from chargehand.adapters.git.raw import Raw, path_text
from chargehand.adapters.git.reading import read_blobs
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.git.work import WorkTree
from chargehand.adapters.integrity.find import ENDS, FILE_BYTES, Changed, find_test_changes, judges, may_be_imported
from chargehand.domain.placeholders import HINT, unfinished
from chargehand.domain.test_changes import TestChange

__all__ = ["placeholders", "test_changes"]

_FILE = 512 * 1024
_ALL = 32 * MIB
_MOST = 100
_JUDGES = 2_000


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


# -- tests ----------------------------------------------------------------------------------------


async def test_changes(tree: WorkTree, diff: Sequence[Raw]) -> tuple[TestChange, ...]:
    """Where a difference touches the tests that judge it, read from the objects of both trees (SPEC 3.7, item 4).

    Of files larger than 512 KiB, beyond 32 MiB in all, or beyond the 2,000th only the names are looked at.
    """
    concerned = [raw for raw in diff if raw.old != raw.new and judges(path_text(raw.path))]
    concerned += await asyncio.to_thread(_ending, tree, diff)
    if not concerned:
        return ()
    first = concerned[:_JUDGES]
    oids = [oid for raw in first for mode, oid in ((raw.old_mode, raw.old), (raw.new_mode, raw.new)) if _is_file(mode)]
    texts = await read_blobs(tree.git, await _small(tree.git, oids))
    return await asyncio.to_thread(find_test_changes, [_changed(raw, texts) for raw in concerned])


def _ending(tree: WorkTree, diff: Iterable[Raw]) -> list[Raw]:
    """Code that tests may import, with a word in it that ends a process."""
    found = []
    for raw in diff:
        path = path_text(raw.path)
        if _is_file(raw.new_mode) and raw.old != raw.new and may_be_imported(path) and not judges(path):
            data = read_small(tree.path, os.fsdecode(raw.path), FILE_BYTES)
            if data is not None and ENDS.search(data):
                found.append(raw)
    return found


async def _small(git: Git, oids: Sequence[str]) -> list[str]:
    """Those blobs that are small enough to be read, together, too."""
    asked = "".join(f"{oid}\n" for oid in dict.fromkeys(oids)).encode()
    listed = (await git.run("cat-file", "--batch-check", stdin=asked)).stdout.decode("ascii", "replace")
    fit, room = [], _ALL
    for words in map(str.split, listed.splitlines()):
        if len(words) == 3 and words[1] == "blob" and int(words[2]) <= min(FILE_BYTES, room):
            fit.append(words[0])
            room -= int(words[2])
    return fit


def _changed(raw: Raw, texts: dict[str, bytes]) -> Changed:
    existed, exists = _is_file(raw.old_mode), _is_file(raw.new_mode)
    return Changed(
        path=path_text(raw.path),
        old=_text(texts.get(raw.old)) if existed else None,
        new=_text(texts.get(raw.new)) if exists else None,
        existed=existed,
        exists=exists,
    )


def _is_file(mode: str) -> bool:
    return mode.startswith("100")


def _text(data: bytes | None) -> str | None:
    return None if data is None or b"\0" in data[:8000] else data.decode("utf-8", "replace")
