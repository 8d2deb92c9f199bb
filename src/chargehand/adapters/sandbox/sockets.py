"""Unix sockets with a path that some program of this machine listens on."""

from __future__ import annotations

import os
from pathlib import Path

from chargehand.adapters.process.paths import is_socket

__all__ = ["pathname_sockets"]

TABLE = Path("/proc/net/unix")
PATH_FIELD = 7


def pathname_sockets() -> tuple[Path, ...]:
    """Absolute paths of the bound sockets; abstract ones (`@…`) and relative names are left out."""
    try:
        lines = TABLE.read_bytes().splitlines()[1:]
    except OSError:
        return ()
    names = {fields[PATH_FIELD] for line in lines if len(fields := line.split(None, PATH_FIELD)) > PATH_FIELD}
    paths = (Path(os.fsdecode(name)) for name in names if name.startswith(b"/"))
    return tuple(sorted(path for path in paths if is_socket(path)))
