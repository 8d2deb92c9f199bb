"""How git is called: a fixed program, a whole environment, nothing inherited.

Every other module of this package says *what* git does; this one makes sure that it does nothing else. Two
kinds of callers exist (SPEC 3.7.1): one on the user's repository, one on a git directory that the runtime
owns. Both see neither the machine's nor a person's configuration unless it is asked for by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.process import Captured, capture
from chargehand.domain.errors import AdapterError

__all__ = ["GIB", "MIB", "QUIET", "Git", "GitFailed", "plain_environment", "user_environment"]

MIB = 1024 * 1024
GIB = 1024 * MIB

QUIET = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    # A sealed commit that the journal names must be there after a power cut: objects and refs reach the disk.
    "-c",
    "core.fsync=committed",
    "-c",
    "core.fsyncMethod=batch",
)
_PASSING = (
    "File exists",
    "cannot lock ref",
    "nable to create",
    "bad object",
    "not a valid object",
    "nonexistent object",
)

_LOCK = re.compile(r"Unable to create '(.+?\.lock)': File exists")
_OF_OURS = re.compile(r"/refs/(?:heads/)?chargehand/|/packed-refs\.lock\Z")
"""Locks that the doctor looks for."""

_OF_THE_USER = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")


class GitFailed(AdapterError):
    """A git command ended with a status nobody expected; `code` and `stderr` are what it left."""

    def __init__(self, args: Sequence[str], code: int, stderr: str) -> None:
        said = _locked(stderr) or stderr.strip()[-2000:] or "it said nothing"
        retryable = any(sign in stderr for sign in _PASSING)  # a lock, or a `gc` between two commands
        super().__init__("git", f"git {_subcommand(args)} ended with status {code}: {said}", retryable=retryable)
        self.code = code
        self.stderr = stderr


def _locked(stderr: str) -> str:
    """What is to be done about a lock that is in the way; empty when none is. Git's own advice knows no doctor."""
    found = _LOCK.search(stderr)
    if found is None:
        return ""
    text = f"the lock {found[1]} is in the way: another git is at work, or was killed. Wait a moment and try again"
    if _OF_OURS.search(found[1]):
        return f"{text}; a lock that is still there after a minute goes with `chargehand doctor --repair`"
    return f"{text}; when no git is at work, remove it"


def _subcommand(args: Sequence[str]) -> str:
    skip = False
    for arg in args:
        if skip or arg.startswith("-"):
            skip = arg == "-c"
            continue
        return arg
    return " ".join(args)


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git reads no configuration but that of the repository it works on.

    A relative entry of PATH would mean the workspace, where an agent may have put a program called git: it is left out.
    """
    path = environ.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(os.pathsep)
    return {
        "PATH": os.pathsep.join(folder for folder in path if Path(folder).is_absolute()),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def user_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The same, but with the configuration of the person and the machine: to read it, and to fetch."""
    env = plain_environment(environ)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        del env[name]
    env.update({name: environ[name] for name in _OF_THE_USER if name in environ})
    return env


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """One way to call git: `options` stand before the subcommand, `env` is the whole environment."""

    cwd: Path
    env: Mapping[str, str]
    options: tuple[str, ...] = QUIET

    def on(self, **env: str) -> Git:
        """The same caller with more environment."""
        return replace(self, env={**self.env, **env})

    async def run(
        self,
        *args: str,
        stdin: bytes = b"",
        ok: Sequence[int] = (0,),
        timeout_s: float = 600.0,
        limit: int = 256 * MIB,
    ) -> Captured:
        """Run one git command; a status outside `ok` raises `GitFailed`."""
        argv = ("git", *self.options, *args)
        got = await capture(argv, cwd=self.cwd, env=self.env, stdin=stdin, timeout_s=timeout_s, limit=limit)
        if got.code not in ok:
            raise GitFailed(args, got.code, got.stderr.decode("utf-8", "replace"))
        return got

    async def text(self, *args: str, stdin: bytes = b"") -> str:
        """The output of a command that prints one line."""
        return (await self.run(*args, stdin=stdin)).stdout.decode("utf-8", "replace").strip()
