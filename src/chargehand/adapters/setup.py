"""Prepares a checkout: `setup` runs once per slot and key, and what it keeps is shared where that is safe (SPEC 3.7).

The rule, in the order in which it is tried for a slot that was just cleaned:

1. Nothing is kept: setup runs in every checkout.
2. This slot was set up with the same key, and its kept folders are as setup left them (entries that others added
   are removed first): nothing to do.
3. Another slot was, nothing in its kept folders knows where it lies, and they are as setup left them before and
   after the copy: copied, as reflinks where the file system can. Virtual environments and editable installs
   know where they lie; a copy of one would run another workspace's code.
4. Else setup runs, in the sandbox, on its wall budget.

The key is made of the contents of the `key` files, the command, `keep`, `env.set`, the interpreters that PATH finds
and the platform. What was noted about a slot lies outside of it, where nothing that runs in it can write.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand.adapters.confined import Call, Confined, substitute
from chargehand.adapters.folders import read_regular, relative_parts, remove_tree, safe_name
from chargehand.adapters.kept import Table, anchored, found_roots, mentions, note_down, repair
from chargehand.adapters.process import EndKind, ProcessEnd, capture
from chargehand.domain.errors import AdapterError
from chargehand.domain.plan import EnvSpec, SetupSpec
from chargehand.ports import Workspace

__all__ = ["Setup", "SetupCall", "SetupStep", "keep_patterns", "setup_key"]

_KEY_FILE_BYTES = 64 * 1024 * 1024
_COPY_S = 600.0


def keep_patterns(spec: SetupSpec | None) -> tuple[str, ...]:
    """What `Workspaces.acquire` has to spare for this setup."""
    return () if spec is None else anchored(spec.keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupCall:
    """One checkout to be prepared; `call` holds everything of the process but its argv."""

    spec: SetupSpec
    env: EnvSpec
    workspace: Workspace
    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStep:
    """What was done: `end` is None when nothing had to be run; `how` says so in words."""

    how: str
    end: ProcessEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is known about a slot that was set up."""

    key: str
    workspace: Path
    places: tuple[Path, ...]
    roots: tuple[str, ...]
    table: Table


@dataclass(slots=True)
class _Known:
    """What this process remembers, so that it need not be read or found out again."""

    records: dict[Path, tuple[str, _Record]] = field(default_factory=dict)
    sharing: dict[tuple[Path, str], str] = field(default_factory=dict)
    firsts: dict[str, asyncio.Lock] = field(default_factory=dict)
    alone: set[str] = field(default_factory=set)


class Setup:
    """Prepares the checkouts of one pool; `state` is where it notes down, one file per slot.

    `peers` are the `state` folders of pools it may copy from. Gates have none: what agents could have written to is
    never copied to where their work is judged.
    """

    def __init__(self, *, confined: Confined, state: Path, peers: Sequence[Path] = ()) -> None:
        self._confined = confined
        self._state = state
        self._peers = tuple(peers)
        self._known = _Known()

    async def prepare(self, asked: SetupCall) -> SetupStep:
        """Make the checkout ready; the caller looks at `end` to see whether setup passed."""
        spec, workspace = asked.spec, asked.workspace
        if not anchored(spec.keep):
            return await self._run(asked)
        key = await asyncio.to_thread(setup_key, spec, asked.env, workspace.path, asked.call.env)
        if await asyncio.to_thread(self._is_ready, workspace, spec, key):
            return SetupStep(how="kept from before")
        await asyncio.to_thread(self._clear, workspace, spec)
        # One slot at a time for a key, as long as nobody knows whether the others can copy from the first.
        async with self._known.firsts.setdefault(key, asyncio.Lock()):
            if await self._copied(workspace, key):
                return SetupStep(how="copied from another workspace")
            if key not in self._known.alone:
                return await self._run_and_note(asked, key)
        return await self._run_and_note(asked, key)

    async def _run(self, asked: SetupCall) -> SetupStep:
        call = replace(asked.call, argv=substitute(asked.spec.run, asked.call.env))
        return SetupStep(how="run", end=await self._confined.run(call))

    async def _run_and_note(self, asked: SetupCall, key: str) -> SetupStep:
        step = await self._run(asked)
        if step.end is not None and step.end.kind is EndKind.EXITED and step.end.code == 0:
            places = (asked.workspace.path.parent, asked.call.room.root, asked.call.room.tmp)
            await asyncio.to_thread(self._note, asked.workspace, key, asked.spec, places)
        return step

    # -- this slot

    def _is_ready(self, workspace: Workspace, spec: SetupSpec, key: str) -> bool:
        record = self._read(self._file(workspace))
        if record is None or record.key != key or record.workspace != workspace.path:
            return False
        others = set(found_roots(workspace.path, spec.keep)).difference(record.roots)
        _remove_roots(workspace.path, others)  # made by somebody else at a place that `keep` spares
        return repair(workspace.path, record.roots, record.table)

    def _clear(self, workspace: Workspace, spec: SetupSpec) -> None:
        """Forget the slot and remove what was kept: setup starts from a clean checkout."""
        self._file(workspace).unlink(missing_ok=True)
        _remove_roots(workspace.path, found_roots(workspace.path, spec.keep))

    def _note(self, workspace: Workspace, key: str, spec: SetupSpec, places: tuple[Path, ...]) -> None:
        roots = tuple(found_roots(workspace.path, spec.keep))
        table = note_down(workspace.path, roots)
        record = _Record(key=key, workspace=workspace.path, places=places, roots=roots, table=table)
        _write(self._file(workspace), record)

    def _file(self, workspace: Workspace) -> Path:
        return self._state / f"{safe_name(workspace.slot)}.json"

    # -- other slots

    async def _copied(self, workspace: Workspace, key: str) -> bool:
        for file in self._others(workspace):
            record = await asyncio.to_thread(self._read, file)
            if record is None or record.key != key or not record.roots:
                continue
            if await self._place_bound(file, record):
                self._known.alone.add(key)
            elif await self._copy(record, workspace):
                roots, places = record.roots, (*record.places, workspace.path.parent)
                table = await asyncio.to_thread(note_down, workspace.path, roots)
                copy = _Record(key=key, workspace=workspace.path, places=places, roots=roots, table=table)
                await asyncio.to_thread(_write, self._file(workspace), copy)
                return True
        return False

    def _others(self, workspace: Workspace) -> list[Path]:
        own = self._file(workspace)
        return [file for state in (self._state, *self._peers) for file in sorted(state.glob("*.json")) if file != own]

    async def _place_bound(self, file: Path, record: _Record) -> str:
        """What in a slot's kept folders knows where it lies; found out once."""
        asked = (file, f"{record.key} {_identity(file)}")
        if asked not in self._known.sharing:
            self._known.sharing[asked] = await asyncio.to_thread(
                mentions, record.workspace, record.table, record.places
            )
        return self._known.sharing[asked]

    async def _copy(self, record: _Record, workspace: Workspace) -> bool:
        """Copy another slot's kept folders; what is half copied is removed again."""
        if not await asyncio.to_thread(_unchanged, record):
            return False
        try:
            for root in record.roots:
                await _copy_tree(record.workspace / root, workspace.path / root)
            good = await asyncio.to_thread(_unchanged, record) and await asyncio.to_thread(_same, record, workspace)
        except (AdapterError, OSError):
            good = False
        except asyncio.CancelledError:
            await asyncio.to_thread(_remove_roots, workspace.path, record.roots)
            raise
        if not good:
            await asyncio.to_thread(_remove_roots, workspace.path, record.roots)
        return good

    # -- what was noted

    def _read(self, file: Path) -> _Record | None:
        identity = _identity(file)
        known = self._known.records.get(file)
        if known is not None and known[0] == identity:
            return known[1]
        record = _load(file)
        if record is not None:
            self._known.records[file] = (identity, record)
        return record


def setup_key(spec: SetupSpec, env: EnvSpec, workspace: Path, environ: Mapping[str, str]) -> str:
    """What setup depends on, as one hash; a `key` file that is missing counts as that."""
    parts: list[str] = ["chargehand-setup/1", *spec.run.to_argv(), "|keep", *spec.keep, "|env"]
    parts += [f"{name}={value}" for name, value in sorted(env.values)]
    parts += ["|on", platform.system(), platform.machine(), environ.get("VIRTUAL_ENV", "")]
    parts += [_program(name, environ) for name in ("python", "python3", "node")]
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"))
    for path in _key_files(workspace, spec.key):
        data = read_regular(workspace / path, _KEY_FILE_BYTES)
        content = "missing" if data is None else hashlib.sha256(data).hexdigest()
        digest.update(f"\0{path}\0{content}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _program(name: str, environ: Mapping[str, str]) -> str:
    """Which program a name stands for, so that a new interpreter is a new key."""
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None:
        return f"{name}: none"
    real = Path(found).resolve()
    return f"{real} {real.stat().st_mtime_ns}"


def _key_files(workspace: Path, patterns: Iterable[str]) -> list[str]:
    found: set[str] = set()
    for pattern in patterns:
        try:
            parts = relative_parts(pattern)
        except ValueError:
            continue
        if set("*?[").intersection(pattern):
            found.update(path.relative_to(workspace).as_posix() for path in workspace.glob("/".join(parts)))
        else:
            found.add("/".join(parts))
    return sorted(found)


async def _copy_tree(source: Path, target: Path) -> None:
    """Copy a file or folder as it is; sharing blocks where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = ("cp", "-a", "--reflink=auto", "--", str(source), str(target))
    done = await capture(argv, cwd=target.parent, env={"PATH": os.defpath, "LC_ALL": "C"}, timeout_s=_COPY_S)
    if done.code != 0:
        raise AdapterError("setup", f"cp ended with {done.code}: {done.stderr.decode('utf-8', 'replace')[:500]}")


def _unchanged(record: _Record) -> bool:
    """Whether every noted entry is as setup left it; others may have been added, they are not copied."""
    try:
        now = note_down(record.workspace, record.roots)
    except OSError:
        return False
    return all(now.get(path) == entry for path, entry in record.table.items())


def _same(record: _Record, workspace: Workspace) -> bool:
    """Whether a copy has what was noted, and nothing else; what others had added is removed from it."""
    copied = note_down(workspace.path, record.roots)
    for path in [path for path in copied if path not in record.table]:
        remove_tree(workspace.path / path)
    shapes = {path: entry[:2] for path, entry in record.table.items()}
    return shapes == {path: entry[:2] for path, entry in note_down(workspace.path, record.roots).items()}


def _remove_roots(workspace: Path, roots: Iterable[str]) -> None:
    """Remove kept folders, and the folders above them that held nothing else."""
    for root in roots:
        path = workspace / root
        remove_tree(path)
        with suppress(OSError):
            while path.parent != workspace:
                path = path.parent
                path.rmdir()


def _identity(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _write(file: Path, record: _Record) -> None:
    """Write in one step: a record is there as a whole or not at all."""
    data = {
        "version": 1,
        "key": record.key,
        "workspace": str(record.workspace),
        "places": [str(place) for place in record.places],
        "roots": record.roots,
        "table": record.table,
    }
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(json.dumps(data), "utf-8")
    aside.replace(file)


def _load(file: Path) -> _Record | None:
    try:
        data = json.loads(file.read_bytes())
        if data["version"] != 1:
            return None
        return _Record(
            key=data["key"],
            workspace=Path(data["workspace"]),
            places=tuple(Path(place) for place in data["places"]),
            roots=tuple(data["roots"]),
            table={path: (a, b, c, d) for path, (a, b, c, d) in data["table"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
