"""Questions about paths that others may have closed to us: "no" instead of PermissionError."""

from __future__ import annotations

import stat
from pathlib import Path

__all__ = ["is_file", "is_folder", "is_socket", "is_there"]


def is_there(path: Path) -> bool:
    """Whether something is there that we can reach."""
    return _mode(path) != 0


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link to one."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Whether it is a regular file, or a link to one."""
    return stat.S_ISREG(_mode(path))


def is_socket(path: Path) -> bool:
    """Whether it is a Unix socket."""
    return stat.S_ISSOCK(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
