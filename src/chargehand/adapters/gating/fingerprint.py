"""What a check depends on besides its tree, as hashes: the key of its cached result, and what a receipt tells.

A key errs on one side: whatever might matter is in it, so that a change of it is a miss. That are the command and its
environment with all values, the programs it names and those that PATH finds for the usual languages, with their size
and time, the folders on PATH and the package folders beside an interpreter (what is installed or upgraded there changes
their time), what the system's package manager installed, setup with the contents of its key files, how git checks files
out, the sandbox, the platform and this version. Not in it, because nobody can tell: what a check gets over the network,
and files elsewhere that it reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand import __version__
from chargehand.adapters.folders import Room, read_regular
from chargehand.adapters.gating.parts import GateParts
from chargehand.adapters.git import Repository
from chargehand.adapters.git.command import GitFailed
from chargehand.domain import scope
from chargehand.domain.errors import AdapterError
from chargehand.domain.plan import Command
from chargehand.ports import Check, GateJob

__all__ = ["Fingerprint", "TreeFacts", "fingerprints", "is_verify", "turns"]

_LANGUAGES = (
    *("sh", "bash", "env", "python", "python3", "node", "npm", "go", "cargo", "rustc", "java", "javac", "mvn"),
    *("gradle", "ruby", "php", "dotnet", "make", "cc", "gcc", "pytest", "git"),
)
_HISTORY = re.compile(r"\b(?:git|gitlint|commitlint|cog|cz)\b")
_ENDS = re.compile(r"[;&|()<>\n`]+")
_PYTHON = ("lib/python*/site-packages", "lib/python*/dist-packages")
_BESIDE = {
    "bin": (*_PYTHON, "lib/node_modules", "pyvenv.cfg"),
    "shims": (*(f"versions/*/{place}" for place in _PYTHON), "version", "versions/*", "installs/*/*"),
}
"""By the name of a folder of programs; shims stand for what a version manager (pyenv, asdf, mise) has chosen."""
_INSTALLED = ("/var/lib/dpkg/status", "/var/lib/rpm", "/var/lib/pacman/local", "/lib/apk/db/installed")
"""What changes whenever the system's package manager installs anything, libraries included."""

_CONFIG = ("core.", "filter.", "lfs.", "submodule.")
_INFO_BYTES = 1 << 20
_BASE = "CHARGEHAND_BASE"
_SEARCH_S = 5.0
_NOWHERE = Path("/chargehand/room")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """`key` is that of the cache, and never told to anybody; `environment` has no hash of a secret in it.

    `base` is the tree the change began at. It is in the key where the command asks for it; where a file of the tree
    does, an entry of another base does not count.
    """

    key: str
    environment: str
    base: str = ""


@dataclass(slots=True)
class TreeFacts:
    """What keys need to know of trees, found out once."""

    repository: Repository
    _files: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = field(default_factory=dict)
    _mentions: dict[str, bool] = field(default_factory=dict)
    _gave_up: bool = False

    async def key_files(self, tree: str, patterns: Sequence[str]) -> tuple[str, ...]:
        """The files of a tree that these patterns name, each with what is in it."""
        asked = (tree, tuple(patterns))
        if not patterns:
            return ()
        if asked not in self._files:
            self._files[asked] = await self._key_files(*asked)
        return self._files[asked]

    async def _key_files(self, tree: str, patterns: Sequence[str]) -> tuple[str, ...]:
        listed = await self.repository.plumbing().run("ls-tree", "-r", "-z", "--full-tree", tree)
        entries = (entry.partition(b"\t") for entry in listed.stdout.split(b"\0") if entry)
        named = ((meta.decode("ascii"), path.decode("utf-8", "surrogateescape")) for meta, _, path in entries)
        return tuple(f"{meta} {path}" for meta, path in named if scope.matches(patterns, path))

    async def mentions_base(self, tree: str) -> bool:
        """Whether a file of the tree asks where the change began; yes where that takes too long to find out."""
        if tree not in self._mentions and not self._gave_up:
            words = ("grep", "-q", "-a", "-F", "-e", _BASE, tree)
            try:
                got = await self.repository.plumbing().run(*words, ok=(0, 1), timeout_s=_SEARCH_S)
                self._mentions[tree] = got.code == 0
            except GitFailed:
                self._mentions[tree] = True
            except AdapterError:
                self._gave_up = True
        return self._mentions.get(tree, True)


def is_verify(check: Check) -> bool:
    """Whether it is one of a task's own commands, which share a checkout."""
    return check.id.startswith("verify-")


def turns(job: GateJob) -> list[tuple[Check, ...]]:
    """Which checks share a checkout: a task's verify commands build on each other, a gate has one of its own.

    What runs in a check was written by agents, and may write where the next one looks [I7]. Where setup keeps nothing
    it would run anew for every gate, so there they share one.
    """
    if job.setup is not None and not job.setup.keep:
        return [job.checks]
    verify = tuple(check for check in job.checks if is_verify(check))
    gates: list[tuple[Check, ...]] = [(check,) for check in job.checks if check not in verify]
    return [verify, *gates] if verify or not gates else gates


async def fingerprints(parts: GateParts, facts: TreeFacts, job: GateJob) -> dict[str, Fingerprint]:
    """The fingerprint of every check of a job, by id."""
    files = await facts.key_files(job.tree, job.setup.key if job.setup else ())
    base = await parts.repository.tree(job.base)
    return await asyncio.to_thread(_fingerprints, parts, job, files, base)


def _fingerprints(parts: GateParts, job: GateJob, files: Iterable[str], base: str) -> dict[str, Fingerprint]:
    around = _around(parts, job, files)
    asks_base = any(_BASE in value for _, value in job.env.values)
    found: dict[str, Fingerprint] = {}
    for turn in turns(job):
        before: list[str] = []  # in the same checkout: what they make may be there
        for check in turn:
            own = _of_check(check, around.path)
            command = [
                f"junit {check.junit}",
                f"verify {is_verify(check)}",
                *_command(check.run),
                *own.lines,
                *own.values,
            ]
            material = [f"tree {job.tree}", *command, *(f"after {line}" for line in before)]
            if asks_base or _BASE in check.run.text:
                material.append(f"base {base}")
            if _HISTORY.search(check.run.text):
                material.append(f"commit {job.commit}")
            found[check.id] = Fingerprint(
                key=_digest([*material, *around.lines, *around.values]),
                environment=_digest([*around.lines, *own.lines]),
                base=base,
            )
            before += command
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """Lines that may be told as a hash, and `values` that may not: short secrets can be guessed."""

    lines: tuple[str, ...]
    values: tuple[str, ...]
    path: str = ""


def _around(parts: GateParts, job: GateJob, key_files: Iterable[str]) -> _Material:
    """What all checks of a job have in common."""
    confined, spec = parts.confined, job.setup
    room = Room(**dict.fromkeys(("root", "home", "tmp", "scratch", "out", "given"), _NOWHERE))
    facts = replace(job, tree="", base="")
    env = parts.environment.of_gate_setup(facts, room, 0)
    path = env.get("PATH", os.defpath)
    secret = frozenset(parts.environment.secrets(job.env))
    lines = [f"chargehand {__version__}", f"on {platform.system()} {platform.release()} {platform.machine()}"]
    lines += [f"sandbox {confined.sandbox.kind} {confined.network}"]
    lines += [f"may {kind} {place}" for kind in ("readable", "writable") for place in getattr(confined, kind)]
    if spec is not None:
        lines += [
            "setup",
            *_command(spec.run),
            *(f"key {name}" for name in spec.key),
            *(f"keep {x}" for x in spec.keep),
        ]
        lines += [f"file {entry}" for entry in key_files]
    lines += _folders(path)
    packages: dict[Path, list[str]] = {}
    programs = (*_LANGUAGES, *(_words(spec.run) if spec is not None else ()))
    lines += [line for name in dict.fromkeys(programs) for line in _program(name, path, packages)]
    lines += [f"installed {place} {_stamp(Path(place))}" for place in _INSTALLED]
    lines += _of_repository(parts.repository)
    lines += [f"env {name}={'' if value in secret else value}" for name, value in sorted(env.items())]
    values = tuple(f"env {name}={value}" for name, value in sorted(env.items()) if value in secret)
    return _Material(lines=tuple(lines), values=values, path=path)


def _of_repository(repository: Repository) -> list[str]:
    """What makes other files, or another status, of the same tree."""
    lines = [f"config {key}={value}" for key, value in sorted(repository.config.items()) if key.startswith(_CONFIG)]
    for name in ("attributes", "exclude"):
        data = read_regular(repository.common_dir / "info" / name, _INFO_BYTES)
        lines.append(f"info {name} {'' if data is None else hashlib.sha256(data).hexdigest()}")
    return lines


def _folders(path: str) -> list[str]:
    return [f"on PATH {folder} {_stamp(Path(folder))}" for folder in path.split(os.pathsep)]


def _of_check(check: Check, path: str) -> _Material:
    """What a check adds: its own variables, whose values are not told, and the programs it names."""
    lines = [f"with {name}" for name, _ in sorted(check.env)]
    own_path = dict(check.env).get("PATH")
    if own_path is not None:
        path = own_path
        lines += _folders(path)
    packages: dict[Path, list[str]] = {}
    for word in dict.fromkeys(_words(check.run)):
        lines += _program(word, path, packages)
    return _Material(lines=tuple(lines), values=tuple(f"with {name}={value}" for name, value in sorted(check.env)))


def _command(command: Command) -> list[str]:
    return [f"shell {command.shell}", *(f"word {word}" for word in command.argv)]


def _words(command: Command) -> Iterator[str]:
    """Everything in a command that may be a program, also inside of a shell's text."""
    for word in command.argv:
        yield word
        for part in _ENDS.split(word):
            try:
                yield from shlex.split(part)
            except ValueError:
                yield from part.split()


def _program(name: str, path: str, packages: dict[Path, list[str]]) -> list[str]:
    """Which file a word stands for, and what would change with it; nothing for one that is no program.

    `packages` remembers what was found beside other programs.
    """
    if not name or "\0" in name or name.startswith("-") or len(name) > 4096:
        return []
    found = name if "/" in name else shutil.which(name, path=path)
    if found is None or not Path(found).is_absolute():  # a relative one is in the tree, or made by setup
        return []
    here = Path(found)
    try:
        real = here.resolve()
        lines = [f"program {name} {here} {real} {_stamp(real)}"]
        for folder in (here.parent, real.parent):
            if folder not in packages:
                packages[folder] = _packages(folder)
            lines += packages[folder]
    except (OSError, RuntimeError):
        return [f"program {name} {here}"]
    return lines


def _packages(folder: Path) -> list[str]:
    """What lies beside the programs of a folder and changes with an installation: packages, versions, toolchains."""
    home = folder.parent
    found = [(home, pattern) for pattern in _BESIDE.get(folder.name, ())]
    if home.name == ".cargo":
        found += [(home.parent / ".rustup", pattern) for pattern in ("toolchains/*", "settings.toml")]
    places = sorted(place for root, pattern in found for place in root.glob(pattern))
    return [f"beside {place} {_stamp(place)}" for place in places]


def _stamp(path: Path) -> str:
    """Size, time and number of a file or folder; a link counts as what it leads to."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        data = line.encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()
