"""Looks for unfinished lines, bent tests and silenced checks in what was sealed; git is asked only where it must be.

Several differences that end in the tree of one workspace are looked at together: their objects are read at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Sequence

from chargehand.adapters.git.command import MIB, Git
from chargehand.adapters.git.raw import Raw, path_text
from chargehand.adapters.git.reading import read_blobs
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.git.work import WorkTree
from chargehand.adapters.integrity.find import ENDS, FILE_BYTES, Changed, find_test_changes, judges, may_be_imported
from chargehand.adapters.integrity.silences import find_silenced, is_checker_config, may_suppress
from chargehand.domain.placeholders import HINT, unfinished
from chargehand.domain.silencing import Silenced
from chargehand.domain.test_changes import TestChange

__all__ = ["placeholders", "silenced", "test_changes"]

_FILE = 512 * 1024
_ALL = 32 * MIB
_MOST = 100
_TESTS = 8 * MIB


async def placeholders(tree: WorkTree, diffs: Sequence[Sequence[Raw]]) -> list[tuple[str, ...]]:
    """The added lines of each difference that look unfinished, as `path:line: text`.

    Binaries and huge files are left out.
    """
    suspects = [await asyncio.to_thread(_suspects, tree, diff) for diff in diffs]
    old = [raw.old for each in suspects for raw in each if raw.old_mode.startswith("100")]
    before = await read_blobs(tree.git, list(dict.fromkeys(old))) if old else {}
    return [await asyncio.to_thread(_findings, each, before) for each in suspects]


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


async def test_changes(tree: WorkTree, diffs: Sequence[Sequence[Raw]]) -> list[tuple[TestChange, ...]]:
    """Where each difference touches the tests that judge it, read from the objects of both trees (SPEC 3.7, item 4).

    Files larger than 512 KiB are not read, and of the others, those that were there before and small ones first,
    8 MiB in all: a test that is not read although it could be counts as weakened.
    """
    concerned = [
        [
            *(raw for raw in diff if raw.old != raw.new and judges(path_text(raw.path))),
            *await asyncio.to_thread(_ending, tree, diff),
        ]
        for diff in diffs
    ]
    return [await asyncio.to_thread(find_test_changes, files) for files in await _both_sides(tree.git, concerned)]


async def _both_sides(git: Git, concerned: Sequence[Sequence[Raw]]) -> list[list[Changed]]:
    """The files of each difference, as they were and as they are; each has the bounds for itself."""
    if not any(concerned):
        return [[] for _ in concerned]
    sizes = await _sizes(git, [oid for part in concerned for raw in part for oid in _blobs(raw)])
    read = [_within(part, sizes) for part in concerned]
    wanted = [oid for part in read for raw in part for oid in _blobs(raw) if sizes.get(oid, _ALL) <= FILE_BYTES]
    texts = await read_blobs(git, list(dict.fromkeys(wanted)))
    return [
        [_changed(raw, texts, unread=raw not in kept) for raw in part]
        for part, kept in zip(concerned, read, strict=True)
    ]


def _within(concerned: Sequence[Raw], sizes: dict[str, int]) -> set[Raw]:
    """Those files that are read: an agent that adds much, or makes much of something, hides nothing else by it."""
    weights = {raw: sum(size for oid in _blobs(raw) if (size := sizes.get(oid, 0)) <= FILE_BYTES) for raw in concerned}
    found, room = set(), _TESTS
    for raw in sorted(concerned, key=lambda each: (not _is_file(each.old_mode), weights[each])):
        room -= weights[raw]
        if room < 0:
            break
        found.add(raw)
    return found


def _blobs(raw: Raw) -> list[str]:
    return [oid for mode, oid in ((raw.old_mode, raw.old), (raw.new_mode, raw.new)) if _is_file(mode)]


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


# -- silenced checks ------------------------------------------------------------------------------


async def silenced(tree: WorkTree, diffs: Sequence[Sequence[Raw]]) -> list[tuple[Silenced, ...]]:
    """Where each difference silences lint, types, formatting or coverage, in the same bounds (SPEC 3.7, item 4)."""
    suspects = [await asyncio.to_thread(_silencing, tree, diff) for diff in diffs]
    concerned = [[*each, *_others(each, diff)] for each, diff in zip(suspects, diffs, strict=True)]
    found = []
    for each, files in zip(suspects, await _both_sides(tree.git, concerned), strict=True):
        known = {path_text(raw.path) for raw in each}
        told = [file for file in files if file.path in known or not file.unread]
        found.append(await asyncio.to_thread(find_silenced, told))
    return found


def _others(suspects: Collection[Raw], diff: Iterable[Raw]) -> list[Raw]:
    """A comment that moved to another file is not new: so the other sides are read as well."""
    if not suspects:
        return []
    return [raw for raw in diff if raw not in suspects and _is_file(raw.old_mode) and may_suppress(path_text(raw.path))]


def _silencing(tree: WorkTree, diff: Iterable[Raw]) -> dict[Raw, None]:
    """Configuration of checks, and code with a word in it that may silence one."""
    found: dict[Raw, None] = {}
    for raw in diff:
        path = path_text(raw.path)
        if not _is_file(raw.new_mode) or raw.old == raw.new or not (may_suppress(path) or is_checker_config(path)):
            continue
        data = read_small(tree.path, os.fsdecode(raw.path), FILE_BYTES)
        if data is not None and (is_checker_config(path) or may_suppress(path, data)):
            found[raw] = None
    return found


# -- both sides -----------------------------------------------------------------------------------


async def _sizes(git: Git, oids: Sequence[str]) -> dict[str, int]:
    asked = "".join(f"{oid}\n" for oid in dict.fromkeys(oids)).encode()
    listed = (await git.run("cat-file", "--batch-check", stdin=asked)).stdout.decode("ascii", "replace")
    rows = (line.split() for line in listed.splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[1] == "blob"}


def _changed(raw: Raw, texts: dict[str, bytes], *, unread: bool) -> Changed:
    existed, exists = _is_file(raw.old_mode), _is_file(raw.new_mode)
    return Changed(
        path=path_text(raw.path),
        old=_text(texts.get(raw.old)) if existed and not unread else None,
        new=_text(texts.get(raw.new)) if exists and not unread else None,
        existed=existed,
        exists=exists,
        unread=unread,
    )


def _is_file(mode: str) -> bool:
    return mode.startswith("100")


def _text(data: bytes | None) -> str | None:
    return None if data is None or b"\0" in data[:8000] else data.decode("utf-8", "replace")
