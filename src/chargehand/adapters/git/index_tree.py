"""Reads from the end of an index file which tree it is, without listing a single entry.

Git notes in an index the tree it would write (extension `TREE`), and where asked to (`index.threads`), where its
extensions begin (`EOIE`). An agent may have written this file: whatever does not fit is no answer. An answer is
believed as far as git itself believes it, which compares by the same note.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from chargehand.adapters.git.refs import read_tail

__all__ = ["tree_of_index"]

_MOST = 4 * 1024 * 1024


def tree_of_index(git_dir: Path, zero: str) -> str | None:
    """The tree that the index in `git_dir` is, where the file says so; `zero` tells the kind of object names."""
    size = len(zero) // 2
    make = hashlib.sha256 if size == 32 else hashlib.sha1
    data, at = read_tail(git_dir, "index", _MOST)
    mark = len(data) - size - (8 + 4 + size)  # the last extension, before the checksum of the file
    if mark < 0 or data[mark : mark + 8] != b"EOIE" + struct.pack(">I", 4 + size):
        return None
    (begin,) = struct.unpack_from(">I", data, mark + 8)
    here, headers, found = begin - at, make(usedforsecurity=False), None
    while 0 <= here <= mark - 8:
        headers.update(data[here : here + 8])
        name, (length,) = data[here : here + 4], struct.unpack_from(">I", data, here + 4)
        if name == b"TREE" and here + 8 + length <= mark:
            found = _root(data[here + 8 : here + 8 + length], size)
        here += 8 + length
    return found if here == mark and headers.digest() == data[mark + 12 : mark + 12 + size] else None


def _root(tree: bytes, size: int) -> str | None:
    """The first entry is the root: an empty path, how many files, how many folders, and its name if it is valid."""
    path, _, rest = tree.partition(b"\0")
    counts, end, names = rest.partition(b"\n")
    valid = path == b"" and end == b"\n" and counts.split(b" ")[0].isdigit() and len(names) >= size
    return names[:size].hex() if valid else None
