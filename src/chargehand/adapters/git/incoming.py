"""Objects on their way into the user's repository, where no `git gc` finds them before a ref holds them.

To the user's git, what no ref names yet is garbage: `git gc --prune=now` beside a run deletes it between our writing
and our naming it. So objects are first written into a folder of our own, in which nobody collects. What a result
has beyond its base is then packed as a whole, also what lies in the repository already and which perhaps nothing
holds. The pack moves into the repository under a name that never was there, behind a `.keep` file, which goes when the
ref stands. `git repack` makes its list of packs without `.keep` before it reads the refs, and removes no others: a pack
on that list had lost its `.keep`, so its ref was there to be read. `git prune` does not touch packs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from chargehand.adapters.folders import read_regular
from chargehand.adapters.git.command import MIB, Git
from chargehand.adapters.git.packs import PACK_NAME, PARTS, Registry
from chargehand.domain.errors import AdapterError

__all__ = ["DURABLE", "Identity", "Incoming", "is_illegible", "listed", "sweep"]

_QUICK = ("-c", "core.fsync=none", "-c", "core.looseCompression=0")
DURABLE = ("-c", "core.fsync=committed,pack-metadata")
"""With these options what a command writes is on the disk when it ends, the index of a pack included."""
_PACK = (*DURABLE, "pack-objects", "-q", "--non-empty", "--no-use-bitmap-index", "--window=0")
_NOTE = "keeps"
_SAID = b"chargehand\n"
_BEGUN = re.compile(rb"[pack-]{0,5}[0-9a-f]{0,64}")
_CRUD = re.compile(r"^[\x00-\x20.,:;<>\"\\']+|[\x00-\x20.,:;<>\"\\']+$|[\x00\n<>]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who makes our commits: the repository's user, else Chargehand."""

    name: str
    email: str

    def environment(self) -> dict[str, str]:
        """The variables git and agents take it from (SPEC 3.5)."""
        return {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }

    def line(self, at: float) -> bytes:
        """As it stands in a commit made at a time (seconds since the epoch), without what git leaves out of a name."""
        name, email = _CRUD.sub("", self.name) or "Chargehand", _CRUD.sub("", self.email)
        return os.fsencode(f"{name} <{email}> {int(at)} {time.strftime('%z', time.localtime(at))}")


class Incoming:
    """A folder for the objects of one result on their way into `objects`; used as a context, by one process.

    `home` is where such folders lie: on the file system of `objects`, else packs are copied.
    """

    def __init__(self, objects: Path, home: Path, object_format: str) -> None:
        self._objects = objects
        self._home = home
        self._digest = hashlib.sha256 if object_format == "sha256" else hashlib.sha1
        self._folder = home / secrets.token_hex(8)
        self._lock = -1
        self._brought: set[str] = set()
        self._made: list[str] = []
        self._registry = Registry(home.parent / "packs", objects / "pack")

    def __enter__(self) -> Incoming:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            sweep(self._home, self._objects)
            self._lock = _locked(self._folder)
        except OSError as error:
            raise _unwritable(self._home, error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # what stays is swept by the next one
            _clear(self._folder, self._objects)
            self._registry.add(self._made)
        os.close(self._lock)

    # -- writing into it

    def over(self, git: Git) -> Git:
        """Git that writes objects here, and sees those of the repository."""
        env = {"GIT_OBJECT_DIRECTORY": str(self._folder), "GIT_ALTERNATE_OBJECT_DIRECTORIES": listed(self._objects)}
        return replace(git.on(**env), options=(*git.options, *_QUICK))

    def commit(self, tree: str, parents: Sequence[str], identity: Identity, message: str) -> str:
        """Make a commit of now; its name. `tree` and `parents` must exist."""
        who = identity.line(time.time())
        head = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines = [*(line.encode("ascii") for line in head), b"author " + who, b"committer " + who, b""]
        text = message.replace("\0", "").encode("utf-8", "replace")
        return self._write(b"commit", b"\n".join([*lines, text.rstrip(b"\n"), b""]))

    def _write(self, kind: bytes, data: bytes) -> str:
        whole = b"%b %d\0%b" % (kind, len(data), data)
        name = self._digest(whole, usedforsecurity=False).hexdigest()
        file = self._folder / name[:2] / name[2:]
        try:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(whole, 1))
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        return name

    def take(self, pack: Path, heads: Sequence[str]) -> None:
        """Move a checked pack here that holds all of `heads` beyond their base; its index lies beside it."""
        target = self._folder / "pack"
        target.mkdir(exist_ok=True)
        for suffix in PARTS:
            if pack.with_suffix(suffix).exists():
                _move(pack.with_suffix(suffix), target / f"{pack.stem}{suffix}")
        self._brought.update(heads)

    # -- into the repository

    async def hand_over(self, git: Git, heads: Sequence[str], base: Sequence[str]) -> None:
        """Bring everything into the repository that `heads` have beyond `base`, safe there until the context ends.

        `git` is one of `over`. By the end of the context a ref has to name the heads.
        """
        source = self._folder / "pack"
        if not set(heads) <= self._brought:
            source = self._folder / "out"
            await asyncio.to_thread(lambda: source.mkdir(exist_ok=True))
            wanted = "".join([*(f"{head}\n" for head in heads), *(f"^{known}\n" for known in base)])
            await git.run(*_PACK, "--revs", str(source / "pack"), stdin=wanted.encode())
        try:
            self._made += await asyncio.to_thread(self._install, source)
        except OSError as error:
            raise _unwritable(self._objects, error) from error
        with contextlib.suppress(AdapterError, OSError):  # another time
            await self._combine(git)

    async def _combine(self, git: Git) -> None:
        """Make one of many small packs of ours, now and then."""
        if not self._registry.may_be_due():
            return
        with self._registry.alone() as alone:
            if not alone:
                return
            due = self._registry.due()
            if due is None:
                self._registry.replace((), 0, ())
                return
            level, names = due
            source = self._folder / "all"
            source.mkdir()
            feed = "".join(f"{name}.pack\n" for name in names)
            await git.run(*_PACK, "--stdin-packs", str(source / "pack"), stdin=feed.encode())
            made = await asyncio.to_thread(self._install, source)
            self._registry.replace(names, level, made)

    def _install(self, source: Path) -> list[str]:
        made = []
        target = self._objects / "pack"
        target.mkdir(parents=True, exist_ok=True)
        for pack in sorted(source.glob("*.pack")):
            # Never the name git would give it: one that is there already may be on the list of a `repack`.
            name = f"pack-{self._digest(secrets.token_bytes(32), usedforsecurity=False).hexdigest()}"
            with (self._folder / _NOTE).open("a", encoding="ascii") as note:
                note.write(f"{name}\n")
            (target / f"{name}.keep").write_bytes(_SAID)
            for suffix in PARTS:
                if pack.with_suffix(suffix).exists():
                    _move(pack.with_suffix(suffix), target / f"{name}{suffix}")
            made.append(name)
        _sync(target)
        return made


def sweep(home: Path, objects: Path) -> None:
    """Remove the folders of processes that are gone, and give up what they kept."""
    for folder in _entries(home):
        with contextlib.suppress(OSError):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear(folder, objects)
            finally:
                os.close(fd)


def listed(*paths: Path) -> str:
    """Folders as the list that git reads from its environment."""
    escaped = (str(path).replace("\\", "\\\\").replace('"', '\\"') for path in paths)
    return ":".join(f'"{path}"' for path in escaped)


def _entries(home: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(home) as entries:
        yield from [Path(entry.path) for entry in entries]


def _locked(folder: Path) -> int:
    """Make a folder and lock it; another process may sweep it away before the lock is there."""
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), folder.stat()):
                return fd
        os.close(fd)


def is_illegible(folder: Path) -> bool:
    """Whether nobody can say which packs a folder keeps: then it stays, and so do they."""
    return _kept(folder) is None


def _clear(folder: Path, objects: Path) -> None:
    names = _kept(folder)
    if names is None:
        return
    for name in names:
        keep = objects / "pack" / f"{name}.keep"
        said = read_regular(keep, len(_SAID))
        begun = said == b"" and not keep.with_suffix(".pack").exists()  # ended between making and writing it
        if said == _SAID or begun:
            keep.unlink(missing_ok=True)
    shutil.rmtree(folder)


def _kept(folder: Path) -> list[str] | None:
    """The packs that the note in a folder names; None where the note is not one that we wrote."""
    note = folder / _NOTE
    data = read_regular(note, MIB)
    if data is None:
        return None if os.path.lexists(note) else []
    lines = data.split(b"\n")
    whole, begun = lines[:-1], lines[-1]  # the last line was cut short: its pack never had a `.keep`
    if not all(PACK_NAME.fullmatch(line) for line in whole) or not _BEGUN.fullmatch(begun):
        return None
    return [line.decode("ascii") for line in whole]


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    aside = target.with_name(f"chargehand-{target.name}.new")  # git removes what is called tmp_
    try:
        with source.open("rb") as read, aside.open("wb") as write:
            shutil.copyfileobj(read, write, MIB)
            write.flush()
            os.fsync(write.fileno())
        aside.chmod(0o444)
        aside.rename(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unwritable(place: Path, error: OSError) -> AdapterError:
    return AdapterError("git", f"{place} cannot be written to: {error.strerror or error}.", retryable=True)
