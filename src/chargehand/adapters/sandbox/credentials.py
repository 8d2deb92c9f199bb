"""Files that hold credentials, by name: covered wherever a folder is bound back. The one list."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["credential_files", "holds_credential"]

NAMES = re.compile(
    r"""\.npmrc | npmrc | \.yarnrc(\.yml)? | \.pypirc | \.netrc | _netrc | \.git-credentials | \.pgpass | \.my\.cnf
    | \.dockercfg | \.htpasswd | \.env(\..+)? | \.?credentials(\..+)? | auth\.json | id_(rsa|dsa|ecdsa|ed25519|xmss)\w*
    | .*\.(pem|key|p12|pfx|keystore|jks)""",
    re.VERBOSE,
)
# Certificates share their endings with private keys.
ENDINGS_TO_READ = (".pem", ".key")
HARMLESS = re.compile(r"\.env\.(example|sample|template|dist)")
PRIVATE_KEY = b"PRIVATE KEY-----"
KEY_BYTES = 64 * 1024
DEPTH = 2
MOST_ENTRIES = 5_000
# Great folders without credentials that would only cost time.
NOT_SEARCHED = frozenset({"objects", "node_modules", "site-packages", "lib", "lib64", "include", "man"})


def credential_files(root: Path) -> list[Path]:
    """Files near the top of `root` whose name, or for keys whose content, says that they hold a credential."""
    if root.name in NOT_SEARCHED:
        return []
    return [path for path in _files(root) if holds_credential(path)]


def _files(root: Path) -> Iterator[Path]:
    """The files near the top whose names are suspect."""
    left = MOST_ENTRIES
    waiting = [(os.fspath(root), 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        return
                    if entry.is_file(follow_symlinks=False):
                        if _is_suspect(entry.name):
                            yield Path(entry.path)
                    elif depth < DEPTH and entry.name not in NOT_SEARCHED and entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
        except OSError:
            continue


def holds_credential(path: Path) -> bool:
    """Whether the name of a file, or for keys its content, says that it holds a credential."""
    if not _is_suspect(path.name):
        return False
    if not path.name.lower().endswith(ENDINGS_TO_READ):
        return True
    try:
        with path.open("rb") as file:
            return PRIVATE_KEY in file.read(KEY_BYTES)
    except OSError:
        return True


def _is_suspect(name: str) -> bool:
    name = name.lower()
    return NAMES.fullmatch(name) is not None and HARMLESS.fullmatch(name) is None
