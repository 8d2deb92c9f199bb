"""Large files kept by git LFS, without its program: filled in at checkout, turned back into pointers at sealing.

A pointer is a small text file that names the content; format: the specification of git LFS, version 1. The
content lies in the user's LFS storage. An agent works on real files; what it changed is stored there, and
the sealed tree holds pointers, as the user's own commits do.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.checkout import Checkout
from chargehand.adapters.git.command import MIB
from chargehand.adapters.git.raw import Raw, path_text
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.slots import file_identity
from chargehand.domain.errors import AdapterError

__all__ = ["LargeFiles", "Missing"]

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>\d+)\n?"
)
_SMALL = 1024
_CLONE = 0x40049409  # FICLONE: share the blocks, copy when one side writes


class Missing(AdapterError):
    """Content of a large file is not in the user's storage; making the checkout again would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeFiles:
    """The large files of one checkout; `storage` is where the user's git LFS keeps their content."""

    checkout: Checkout
    storage: Path

    @classmethod
    def of(cls, checkout: Checkout) -> LargeFiles | None:
        """None where the user's repository has no LFS storage: then their checkout has pointers as well."""
        storage = _storage(checkout.repository)
        return cls(checkout=checkout, storage=storage) if storage.is_dir() else None

    @property
    def _record(self) -> Path:
        return self.checkout.git_dir / "lfs.json"

    # -- at checkout

    async def let_go(self) -> None:
        """Have git check these files out anew next time, whatever it was told about them before."""
        record = self._read_record()
        if record and (self.checkout.git_dir / "index").exists():
            gone = b"0 " + self.checkout.repository.zero.encode() + b"\t"
            feed = b"".join(gone + os.fsencode(path) + b"\0" for path in record)
            await self.checkout.tree.git.run("update-index", "-z", "--index-info", stdin=feed)

    async def fill(self) -> None:
        """Put content where pointers were checked out; `Missing` when the storage does not have it."""
        listed = (await self.checkout.tree.run("ls-files", "-z", "--", ":(top,attr:filter=lfs)")).stdout
        paths = [path for path in listed.split(b"\0") if path]
        if not paths and not self._record.exists():
            return
        record = await asyncio.to_thread(self._fill, paths)
        self._record.write_text(json.dumps(record), encoding="utf-8")
        if record:
            # Neither the runtime's index nor the agent's copy of it shall call these files changed.
            feed = b"".join(os.fsencode(path) + b"\0" for path in record)
            await self.checkout.tree.run("update-index", "--assume-unchanged", "-z", "--stdin", stdin=feed)

    def _fill(self, paths: Iterable[bytes]) -> dict[str, list[str]]:
        record = {}
        for path in paths:
            name = os.fsdecode(path)
            pointer = _parse(read_small(self.checkout.work, name, _SMALL))
            if pointer is not None:
                file = self.checkout.work / name
                self._place(pointer, file, path)
                record[name] = [pointer, file_identity(file)]
        return record

    def _place(self, oid: str, file: Path, path: bytes) -> None:
        content = self._object(oid)
        if not content.is_file():
            text = f"the content of {path_text(path)} is not in {self.storage}: run `git lfs fetch`."
            raise Missing("workspaces", text)
        mode = stat.S_IMODE(file.lstat().st_mode)
        file.unlink()
        _copy(content, file)
        file.chmod(mode)

    # -- at sealing

    async def turn(self, paths: Sequence[bytes]) -> tuple[list[bytes], list[Raw]]:
        """Split changed paths: those to be staged as they are, and pointers for those that LFS keeps."""
        record = self._read_record()
        plain = [path for path in paths if os.fsdecode(path) not in record]
        filtered = await self._filtered(plain)
        candidates = dict.fromkeys([*(os.fsencode(name) for name in record), *filtered])
        return await self._pointers([path for path in plain if path not in filtered], candidates, record)

    async def _pointers(
        self, plain: list[bytes], candidates: Iterable[bytes], record: dict[str, list[str]]
    ) -> tuple[list[bytes], list[Raw]]:
        texts: dict[bytes, bytes] = {}
        for path in candidates:
            _, identity = record.get(os.fsdecode(path), ["", "-"])
            file = self.checkout.work / os.fsdecode(path)
            if self.checkout.tree.kind(path) != stat.S_IFREG:
                plain.append(path)
            elif file_identity(file) != identity:
                texts[path] = await asyncio.to_thread(self._pointer, file)
        oids = await self._write_blobs(list(texts.values()))
        entries = [
            Raw(old_mode=self._mode(path), new_mode="", old=oid, new="", path=path)
            for path, oid in zip(texts, oids, strict=True)
        ]
        return plain, entries

    async def _filtered(self, paths: Sequence[bytes]) -> set[bytes]:
        """The regular files among `paths` that the workspace's attributes give to LFS."""
        files = [path for path in paths if self.checkout.tree.kind(path) == stat.S_IFREG]
        if not files:
            return set()
        feed = b"".join(path + b"\0" for path in files)
        got = await self.checkout.tree.run("check-attr", "-z", "--stdin", "filter", stdin=feed)
        words = got.stdout.split(b"\0")
        return {path for path, value in zip(words[0::3], words[2::3], strict=False) if value == b"lfs"}

    def _pointer(self, file: Path) -> bytes:
        """The pointer for a file, whose content is then in the user's storage; a pointer is its own."""
        with file.open("rb") as source:
            head = source.read(_SMALL)
            if _parse(head) is not None or not head:
                return head
            source.seek(0)
            digest, size = hashlib.sha256(), 0
            while chunk := source.read(MIB):
                digest.update(chunk)
                size += len(chunk)
        oid = digest.hexdigest()
        self._store(file, oid)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()

    def _store(self, file: Path, oid: str) -> None:
        target = self._object(oid)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        fd, aside = tempfile.mkstemp(dir=target.parent, prefix="new-")
        os.close(fd)
        try:
            _copy(file, Path(aside))
            Path(aside).chmod(0o644)
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise

    async def _write_blobs(self, texts: Sequence[bytes]) -> list[str]:
        if not texts:
            return []
        with tempfile.TemporaryDirectory(dir=self.checkout.scratch, prefix="pointers-") as folder:
            names = []
            for number, text in enumerate(texts):
                file = Path(folder, str(number))
                file.write_bytes(text)
                names.append(f"{file}\n")
            args = ("hash-object", "-w", "--no-filters", "--stdin-paths")
            return (await self.checkout.tree.git.text(*args, stdin="".join(names).encode())).split()

    def _mode(self, path: bytes) -> str:
        executable = (self.checkout.work / os.fsdecode(path)).lstat().st_mode & stat.S_IXUSR
        return "100755" if executable else "100644"

    def _object(self, oid: str) -> Path:
        return self.storage / "objects" / oid[:2] / oid[2:4] / oid

    def _read_record(self) -> dict[str, list[str]]:
        with contextlib.suppress(FileNotFoundError):
            data: dict[str, list[str]] = json.loads(self._record.read_bytes())
            return data
        return {}


def _storage(repository: Repository) -> Path:
    configured = repository.config.get("lfs.storage")
    return repository.common_dir / (Path(configured).expanduser() if configured else "lfs")


def _parse(text: bytes | None) -> str | None:
    match = _POINTER.fullmatch(text) if text is not None and len(text) < _SMALL else None
    return match["oid"].decode("ascii") if match else None


def _copy(source: Path, target: Path) -> None:
    """Copy a file, sharing blocks where the file system can; never a hard link, which an agent could write through."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _CLONE, read.fileno())
        except OSError as error:
            if error.errno not in (
                errno.EOPNOTSUPP,
                errno.EXDEV,
                errno.EINVAL,
                errno.ENOTTY,
                errno.ENOSYS,
                errno.EPERM,
            ):
                raise
            shutil.copyfileobj(read, write, MIB)
