"""Rows out of the pages of a SQLite file, without SQLite: for files it no longer opens.

Only what sits in the cells of table leaf pages is looked for, page by page, so neither the header nor any inner page
is needed. What comes out is a guess until somebody vouches for it: a damaged page may yield anything, or nothing.
The format is https://www.sqlite.org/fileformat2.html (sections 1.3, 1.5, 1.6, 2.1 and 4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["Row", "is_cut_short", "read_pages", "rows"]

Value = int | float | str | bytes | None
Row = tuple[int, tuple[Value, ...]]
"""The rowid, and the columns; an INTEGER PRIMARY KEY column is None: the rowid stands for it."""

_DEFAULT_PAGE = 4096
_LEAF = 0x0D
_WAL_MAGIC = (0x377F0682, 0x377F0683)
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def read_pages(path: Path) -> dict[int, bytes]:
    """Page number → the page as SQLite would see it: the file, and over it what the write-ahead log has committed."""
    data = path.read_bytes()
    log = path.with_name(f"{path.name}-wal")
    wal = log.read_bytes() if log.is_file() else b""
    size = _page_size(data, wal)
    pages = {number + 1: data[number * size : (number + 1) * size] for number in range((len(data) + size - 1) // size)}
    return pages | _committed(wal, size)


def is_cut_short(pages: Mapping[int, bytes]) -> bool:
    """Whether the header tells of more pages than there are: what was on them left no trace."""
    head = pages.get(1, b"")
    return head.startswith(b"SQLite format 3\0") and int.from_bytes(head[28:32], "big") > max(pages)


def _page_size(data: bytes, wal: bytes) -> int:
    stated = [int.from_bytes(data[16:18], "big"), int.from_bytes(wal[8:12], "big")]
    sizes = [65536 if size == 1 else size for size in stated]
    return next((size for size in sizes if 512 <= size <= 65536 and size & (size - 1) == 0), _DEFAULT_PAGE)


def _committed(wal: bytes, size: int) -> dict[int, bytes]:
    """The frames up to the last commit; those of an older round of the log carry another salt."""
    if len(wal) < 32 or int.from_bytes(wal[:4], "big") not in _WAL_MAGIC:
        return {}
    salt, step = wal[16:24], 24 + size
    pages: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    for start in range(32, len(wal) - step + 1, step):
        number, commit = struct.unpack_from(">II", wal, start)
        if wal[start + 8 : start + 16] != salt:
            break
        waiting[number] = wal[start + 24 : start + step]
        if commit:
            pages |= waiting
            waiting.clear()
    return pages


# -- cells ----------------------------------------------------------------------------------------


def rows(pages: Mapping[int, bytes]) -> Iterator[Row]:
    """Everything that looks like a row of a table, in the order of the pages; cells that make no sense are left out."""
    for number, page in sorted(pages.items()):
        start = 100 if number == 1 else 0
        if len(page) < start + 8 or page[start] != _LEAF:
            continue
        (count,) = struct.unpack_from(">H", page, start + 3)
        for index in range(min(count, (len(page) - start - 8) // 2)):
            (at,) = struct.unpack_from(">H", page, start + 8 + 2 * index)
            try:
                yield _row(pages, page, at)
            except (IndexError, ValueError, struct.error):
                continue


def _row(pages: Mapping[int, bytes], page: bytes, at: int) -> Row:
    length, at = _varint(page, at)
    rowid, at = _varint(page, at)
    usable = len(page)
    room = usable - 35
    if length <= room:
        payload = page[at : at + length]
    else:
        least = (usable - 12) * 32 // 255 - 23
        kept = least + (length - least) % (usable - 4)
        kept = kept if kept <= room else least
        (more,) = struct.unpack_from(">I", page, at + kept)
        payload = page[at : at + kept] + _overflow(pages, more, length - kept)
    if len(payload) != length:
        raise ValueError("a part of the row is missing")
    return _signed(rowid), _columns(payload)


def _overflow(pages: Mapping[int, bytes], number: int, length: int) -> bytes:
    found = bytearray()
    seen: set[int] = set()
    while len(found) < length and number in pages and number not in seen:
        seen.add(number)
        page = pages[number]
        (following,) = struct.unpack_from(">I", page, 0)
        found += page[4:]
        number = following
    return bytes(found[:length])


def _columns(payload: bytes) -> tuple[Value, ...]:
    size, at = _varint(payload, 0)
    kinds = []
    while at < size:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise ValueError("the columns do not fill the row")
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind < 12:
        raise ValueError("no such kind of value")
    end = at + (kind - 12) // 2
    return (payload[at:end].decode("utf-8") if kind % 2 else payload[at:end]), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Up to nine bytes, seven bits of each but the ninth, the highest first; and where it ends."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
