"""Whether a tool is one of the workspace's own, which `npx` runs without fetching it."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.place import Spot

__all__ = ["is_local_tool"]

_OWN = frozenset({Spot.INSIDE, Spot.ROOT})
_MOST_BYTES = 512 * 1024


def is_local_tool(name: str, call: Call, look: Look) -> bool:
    """Whether the workspace lists it among its dependencies, or has it in `node_modules/.bin`.

    A version behind the name may be another one than that, and a manifest that the command itself has written counts
    for nothing.
    """
    if not look.place.real or not re.fullmatch(r"(?:@[\w.-]+/)?[A-Za-z][\w.-]*", name):
        return False
    if look.script("package.json", call) is not None:
        return False
    folders = {*look.place.inside, *(cwd for cwd in call.scope.cwds if look.spot(cwd, call) in _OWN)}
    return any(_has(folder, name) for folder in folders)


def _has(folder: str, name: str) -> bool:
    if "/" not in name and Path(folder, "node_modules/.bin", name).exists():
        return True
    try:
        path = Path(folder, "package.json")
        found = path.lstat()
        return path.is_file() and found.st_size <= _MOST_BYTES and name in _listed(str(path), found.st_mtime_ns)
    except (OSError, ValueError, RecursionError):
        return False


@lru_cache(maxsize=32)
def _listed(path: str, _changed: int) -> frozenset[str]:
    with Path(path).open("rb") as file:
        given = json.loads(file.read(_MOST_BYTES))
    tables = [given.get(key) for key in ("dependencies", "devDependencies")] if isinstance(given, dict) else []
    return frozenset(name for table in tables if isinstance(table, dict) for name in table)
