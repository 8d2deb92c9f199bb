"""Files of a workspace that another system keeps of its runs: read where they are a report, and kept where left out.

An agent may have put anything there: links are not followed, nothing blocks, and sizes are bounded. What cannot be
copied into the folder of the attempt is for a rescue of the workspace to keep [I2].
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.folders import write_below
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.output import Redactor
from chargehand.domain.errors import AdapterError

__all__ = ["REPORT_BYTES", "Found", "keep_files", "look_at"]

REPORT_BYTES = 256 * 1024
"""The largest file that is read as a report."""
_FILE_BYTES = 1024 * 1024
_ALL_BYTES = 8 * 1024 * 1024
_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is at some paths: contents, and of those that are there and cannot be read, why."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


def look_at(root: Path, paths: Iterable[str]) -> Found:
    """The files at these paths below `root`, of at most REPORT_BYTES each."""
    files, unread = dict[str, bytes](), dict[str, str]()
    for path in paths:
        kind = _kind(root, path)
        if kind is None:
            continue
        data = read_small(root, path, REPORT_BYTES + 1) if kind == stat.S_IFREG else None
        if data is None:
            unread[path] = "it is no regular file in real folders, or may not be read"
        elif len(data) > REPORT_BYTES:
            unread[path] = f"it is larger than {REPORT_BYTES} bytes"
        else:
            files[path] = data
    return Found(files=files, unread=unread)


def keep_files(root: Path, paths: Sequence[str], folder: Path, redactor: Redactor) -> bool:
    """Copy the files at these paths below `folder`, without known secrets; False when one is not kept that way.

    What is not there needs no copy: an agent deleted what the base has.
    """
    if len(paths) > _MOST:
        return False
    room = _ALL_BYTES
    for path in paths:
        if _kind(root, path) is None:
            continue
        data = read_small(root, path, _FILE_BYTES + 1)
        room -= len(data or b"")
        if data is None or len(data) > _FILE_BYTES or room < 0:
            return False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_below(folder, path, redactor.data(data).decode("utf-8", "surrogateescape"))
        except (AdapterError, OSError):
            return False
    return True


def _kind(root: Path, path: str) -> int | None:
    """The type bits of what is there; None when nothing is."""
    try:
        return stat.S_IFMT(os.lstat(root / path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return 0
