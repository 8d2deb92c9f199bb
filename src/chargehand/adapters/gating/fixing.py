"""Commands that mend a tree by themselves: what they make of the files of a change, and of nothing else (SPEC 5).

They run in one checkout, and their result is written into a second one, in which nothing ever ran: that is what gets
sealed. So whatever else they did, to files, to the repository or to its configuration, goes with the first one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.folders import relative_parts
from chargehand.adapters.gating.fingerprint import Fingerprint
from chargehand.adapters.gating.parts import GateParts, Site, open_site
from chargehand.adapters.gating.runner import Runner
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import FaultKind, GateStatus, Sealed
from chargehand.ports import FixJob, GateJob, SealJob

__all__ = ["fix"]

_LARGEST = 64 * 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNKNOWN = Fingerprint(key="", environment="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What lies at a path: a file, or with `is_link` a link and where it leads."""

    data: bytes
    is_link: bool = False
    is_executable: bool = False


_State = Mapping[str, _Content | None]
"""What lies at paths; None: nothing. Paths of which nothing can be taken are missing."""


async def fix(parts: GateParts, job: FixJob) -> Sealed | None:
    """What the commands make of `job.paths`, sealed on top of `job.commit`; None when that is nothing.

    A command that fails may have mended something; one that could not come to its end may have left half of it, and
    then nothing is taken.
    """
    inner = GateJob(
        key=job.key,
        run=job.run,
        task=job.task,
        attempt=job.attempt,
        commit=job.commit,
        tree=await parts.repository.tree(job.commit),
        base=job.base,
        checks=job.commands,
        setup=job.setup,
        env=job.env,
        cache=False,
    )
    async with open_site(parts, inner) as site:
        mended = await _mended(parts, inner, site, job.paths)
    if not mended:
        return None
    async with open_site(parts, inner) as site:
        await asyncio.to_thread(_lay_down, site.workspace.path, mended)
        declared = tuple(path for path in job.paths if not set(path) & set("*?[]\\!#"))
        asked = SealJob(
            workspace=site.workspace, ref=job.ref, message=job.message, declared=declared, origin=job.origin
        )
        sealed = await parts.workspaces.seal(asked)
    return None if sealed.commit == job.commit else sealed


async def _mended(parts: GateParts, job: GateJob, site: Site, paths: Iterable[str]) -> _State:
    runner = Runner(parts, job)
    runner.open()
    prepared = await runner.prepare(site)
    if prepared is not None and prepared.status is not GateStatus.PASS:
        return {}
    before = await asyncio.to_thread(_look, site.workspace.path, paths)
    for check in job.checks:
        result = (await runner.check(site, replace(check, junit=False), _UNKNOWN)).result
        if result.status is GateStatus.FAULT and result.fault is not FaultKind.ENV_MISSING:
            return {}
    after = await asyncio.to_thread(_look, site.workspace.path, paths)
    return {path: content for path, content in after.items() if path in before and before[path] != content}


# -- files that a program may have made something else of -----------------------------------------


def _look(root: Path, paths: Iterable[str]) -> _State:
    found: dict[str, _Content | None] = {}
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            found[path] = _content(root, relative_parts(path))
    return found


def _content(root: Path, parts: tuple[str, ...]) -> _Content | None:
    """What lies there, no link on the way followed; OSError for what is neither a file nor a link."""
    try:
        with _parent(root, parts) as folder:
            status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                return _Content(data=os.fsencode(os.readlink(parts[-1], dir_fd=folder)), is_link=True)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                raise OSError(f"{'/'.join(parts)} cannot be taken")
            descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return _Content(data=file.read(_LARGEST), is_executable=bool(status.st_mode & stat.S_IXUSR))


def _lay_down(root: Path, state: _State) -> None:
    """Write what was taken into a clean checkout; AdapterError when it does not fit there."""
    for path, content in state.items():
        try:
            _put(root, relative_parts(path), content)
        except OSError as error:
            raise AdapterError("gates", f"Cannot write the mended {path}: {error}.", retryable=True) from error


def _put(root: Path, parts: tuple[str, ...], content: _Content | None) -> None:
    with _parent(root, parts, make=content is not None) as folder:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(parts[-1], dir_fd=folder)
        if content is None:
            return
        if content.is_link:
            os.symlink(os.fsdecode(content.data), parts[-1], dir_fd=folder)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(parts[-1], flags, 0o755 if content.is_executable else 0o644, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.data)


@contextlib.contextmanager
def _parent(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """The folder in which a path lies, as a descriptor."""
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            below = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)
