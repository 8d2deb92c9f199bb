"""Hermetic git repositories for tests: real git, no configuration but what a test writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Repo", "hermetic_environment"]


def hermetic_environment(home: Path) -> dict[str, str]:
    """The environment git runs in: no login, no machine configuration, fixed dates not needed."""
    source = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}  # of another checkout
    return {
        **source,
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


@dataclass
class Repo:
    """A repository at `path`; `environ` is what git runs in."""

    path: Path
    environ: Mapping[str, str] = field(repr=False)

    def git(self, *args: str, cwd: Path | None = None, stdin: bytes = b"", ok: tuple[int, ...] = (0,)) -> str:
        """Run git and return its output without the last newline."""
        got = subprocess.run(
            ["git", *args], cwd=cwd or self.path, env=dict(self.environ), input=stdin, capture_output=True, check=False
        )
        assert got.returncode in ok, (args, got.returncode, got.stderr.decode(errors="replace"))
        return os.fsdecode(got.stdout).removesuffix("\n")

    def init(self, *args: str) -> Repo:
        """Create it, with a user of its own."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *args)
        self.git("config", "user.name", "Uma User")
        self.git("config", "user.email", "uma@example.org")
        return self

    def write(self, path: str, text: str | bytes, *, mode: int | None = None) -> Path:
        """Write a file of the work tree, folders included."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        if mode is not None:
            file.chmod(mode)
        return file

    def commit(self, message: str = "change", /, **files: str) -> str:
        """Commit everything, after writing `files` (name without suffix → `name.txt`); the new commit."""
        for name, text in files.items():
            self.write(f"{name}.txt", text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self, rev: str = "HEAD") -> str:
        """The full name of a commit."""
        return self.git("rev-parse", "--verify", f"{rev}^{{commit}}")

    def files(self, rev: str) -> dict[str, str]:
        """Every file of a commit with its content."""
        listing = self.git("ls-tree", "-r", "-z", "--name-only", rev)
        return {path: self.git("cat-file", "blob", f"{rev}:{path}") for path in listing.split("\0") if path}
