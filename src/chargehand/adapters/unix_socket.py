"""Unix sockets of ours that programs in a sandbox are meant to reach."""

from __future__ import annotations

import os
import socket
from pathlib import Path

__all__ = ["bound"]

_BACKLOG = 64


def bound(path: Path) -> socket.socket:
    """A listening socket at `path`, however long its folder's name is, for this user only; OSError where none can be.

    It is bound under another name and then renamed: a sandbox covers every socket that the system knows by its name.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        first = f"/proc/self/fd/{folder}/.{path.name}.{os.getpid()}"
        Path(first).unlink(missing_ok=True)
        listening.bind(first)
        os.chmod(first, 0o600)  # noqa: PTH101
        Path(first).rename(f"/proc/self/fd/{folder}/{path.name}")
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    finally:
        os.close(folder)
    return listening
