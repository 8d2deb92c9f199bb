"""Where the objects of a repository and of its submodules lie: what a sandbox has to show to git."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from chargehand.adapters.git.refs import is_plain_directory, read_small

__all__ = ["module_folders", "with_alternates"]

_MOST = 200
_PATH = re.compile(r"^\s*path\s*=\s*(\S.*?)\s*$", re.MULTILINE)


def with_alternates(stores: Iterable[Path]) -> list[Path]:
    """Object folders and every folder they borrow from."""
    found = list(stores)
    for _, store in zip(range(_MOST), found, strict=False):  # grows while it is walked
        try:
            lines = (store / "info" / "alternates").read_bytes().splitlines()
        except OSError:
            continue
        others = (Path(os.path.normpath(store / os.fsdecode(line))) for line in lines if line[:1] not in (b"", b"#"))
        found += [other for other in others if other not in found]
    return found


def module_folders(root: Path | None, git_dirs: Iterable[Path]) -> list[Path]:
    """The repositories of the submodules that are filled, nested ones too."""
    found: list[Path] = []
    pending = [git_dir / "modules" for git_dir in dict.fromkeys(git_dirs)]
    while pending and len(found) < _MOST:
        folder = pending.pop()
        if is_plain_directory(folder / "objects"):
            found.append(folder)
            pending.append(folder / "modules")
        elif is_plain_directory(folder):  # a name with a slash in it
            pending += sorted(folder.iterdir(), reverse=True)
    if root is not None:
        text = (read_small(root, ".gitmodules", 1024 * 1024) or b"").decode("utf-8", "surrogateescape")
        inside = [root / path / ".git" for path in _PATH.findall(text) if ".." not in path.split("/")]
        found += [folder for folder in inside if is_plain_directory(folder)]
    return found
