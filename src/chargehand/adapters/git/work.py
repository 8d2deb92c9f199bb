"""A workspace seen through the runtime's git directory: listed, written into a tree, cleaned.

The index in the runtime's git directory is the stat cache of the workspace; it is kept when a slot is
recycled, and no agent can reach it, so flags set on an agent's own index hide nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.git.command import MIB, Git, GitFailed
from chargehand.adapters.git.index_tree import tree_of_index
from chargehand.adapters.git.raw import Pending, Raw, parse_raw, parse_status, path_text
from chargehand.adapters.git.refs import is_plain_directory
from chargehand.adapters.process import Captured
from chargehand.adapters.slots import open_up
from chargehand.domain.errors import AdapterError

__all__ = ["AS_IT_IS", "FILES", "WorkTree"]

FILES = (stat.S_IFREG, stat.S_IFLNK)
_COMPARED = 16 * MIB
_PATIENCE_S = 60.0
_READ_BY_GIT = (".gitignore", ".gitattributes", ".gitmodules")

_UNSEEN = re.compile(rb"^warning: could not open directory '(.*?)(?:/*': .*)?$", re.MULTILINE)  # it may be cut off
_IGNORED = re.compile(rb"^Ignoring path (.*)$", re.MULTILINE)
AS_IT_IS = b"* !filter !working-tree-encoding !text !eol !crlf !ident\n"
"""Attributes that have git take and give files byte for byte, in a git directory of our own."""
_NO_CRLF = "[core]\n\tautocrlf = false\n"
_RACE = ("invalid object", "unable to read", "not a valid object", "bad object")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTree:
    """The workspace `path`, the runtime's `git_dir` for it, git bound to both, and the name of no object."""

    path: Path
    git_dir: Path
    git: Git
    zero: str

    async def run(self, *args: str, stdin: bytes = b"", ok: Sequence[int] = (0,)) -> Captured:
        """A git command that reads files of the workspace, and does not wait for ever for one that is a pipe."""
        try:
            return await self.git.run(*args, stdin=stdin, ok=ok, timeout_s=_PATIENCE_S)
        except GitFailed:
            raise
        except AdapterError as error:
            if not error.retryable:
                raise
            await asyncio.to_thread(remove_pipes, self.path)
            self.unlock()
            return await self.git.run(*args, stdin=stdin, ok=ok)

    # -- making it

    async def check_out(self, commit: str, keep: Sequence[str]) -> None:
        """Make the files those of `commit`, and remove everything else that `keep` does not name."""
        self.unlock()
        self.stand_on(commit)
        # What `read-tree --reset -u` does, at two thirds of its cost: the files are looked at by several threads.
        await self.run("-c", "core.logAllRefUpdates=false", "checkout", "-q", "-f", "--detach", commit)
        await self.clean(keep)

    async def clean(self, keep: Sequence[str]) -> None:
        """Remove what is not tracked, ignored files included; `keep` patterns survive."""
        args = ("clean", "-ffdxq", *(word for pattern in keep for word in ("-e", pattern)))
        got = await self.run(*args, ok=(0, 1))
        if got.code != 0 or got.stderr:
            await asyncio.to_thread(open_up, self.path)
            await self.run(*args)

    def stand_on(self, commit: str) -> None:
        """Tell the runtime's git directory which commit its index belongs to."""
        (self.git_dir / "HEAD").write_text(f"{commit}\n", encoding="ascii")

    async def rewind(self, commit: str) -> None:
        """Bring the index to a commit without touching a file; what it knows of unchanged files stays."""
        self.stand_on(commit)
        await self.git.run("read-tree", "--reset", "-i", commit)

    def ignore_attributes(self) -> None:
        """Take files byte for byte from here on, whatever a `.gitattributes` says, until the next checkout."""
        (self.git_dir / "info" / "attributes").write_bytes(AS_IT_IS)
        settings = self.git_dir / "config"
        text = settings.read_text(encoding="utf-8", errors="surrogateescape")
        if _NO_CRLF not in text:
            settings.write_text(text + _NO_CRLF, encoding="utf-8", errors="surrogateescape")
        self.forget()

    def forget(self) -> None:
        """Know nothing of the files any more."""
        self.unlock()
        (self.git_dir / "index").unlink(missing_ok=True)

    def unlock(self) -> None:
        """Remove the lock of a git that was killed; only the holder of the slot may."""
        for name in ("index.lock", "HEAD.lock"):
            (self.git_dir / name).unlink(missing_ok=True)

    # -- looking at it

    async def pending(self) -> Pending:
        """What the work tree has that the index does not, ignored files left out."""
        args = ("status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
        got = await self.run(*args)
        if got.stderr:
            # A folder that cannot be read is left out with a warning only.
            await asyncio.to_thread(open_up, self.path)
            got = await self.run(*args)
        return replace(parse_status(got.stdout), unseen=tuple(_UNSEEN.findall(got.stderr)))

    async def are_ignored(self, paths: Sequence[bytes]) -> set[bytes]:
        """Which of these paths git would ignore, whether they exist or not."""
        feed = b"".join(path + b"\0" for path in paths)
        got = await self.run("check-ignore", "-z", "--no-index", "--stdin", stdin=feed, ok=(0, 1))
        return {path for path in got.stdout.split(b"\0") if path}

    async def ignored(self, globs: Sequence[str]) -> tuple[bytes, ...]:
        """The untracked, ignored files that pathspecs select."""
        args = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", *globs)
        found = (await self.run(*args)).stdout.split(b"\0")
        return tuple(path for path in found if path and not path.endswith(b"/"))

    async def staged(self, commit: str, tree: str) -> tuple[bytes, ...]:
        """Files that the agent's own index has beyond `commit` (whose `tree` that is).

        Ignored ones may have been added by force.
        """
        index = self.path / ".git" / "index"
        if not is_plain_directory(index.parent) or index.is_symlink() or not index.is_file():
            return ()
        if await asyncio.to_thread(tree_of_index, index.parent, self.zero) == tree:
            return ()
        args = ("diff-index", "--cached", "-z", "--name-only", "--diff-filter=A", "--no-renames", commit)
        try:
            got = await self.git.on(GIT_INDEX_FILE=str(index)).run(*args)
        except GitFailed:  # an index nobody can read says nothing
            return ()
        return tuple(path for path in got.stdout.split(b"\0") if path and self.kind(path) in FILES)

    async def diff(self, old: str, new: str) -> tuple[Raw, ...]:
        """The difference of two trees or commits, renames as deletion and addition."""
        args = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", old, new)
        return parse_raw((await self.git.run(*args)).stdout)

    def is_as(self, raw: Raw, zero: str) -> bool:
        """Whether a path of the workspace is byte for byte what a difference made of it; in doubt, no."""
        kind = self.kind(raw.path)
        path = os.fsencode(self.path) + b"/" + raw.path
        if raw.new_mode == "000000":
            return kind not in FILES
        try:
            if raw.new_mode == "120000" and kind == stat.S_IFLNK:
                return _blob_name(os.readlink(path), zero) == raw.new  # noqa: PTH115 (a Path is not byte for byte)
            if raw.new_mode not in ("100644", "100755") or kind != stat.S_IFREG:
                return False
            found = os.lstat(path)
            executable = bool(found.st_mode & stat.S_IXUSR)
            if found.st_size > _COMPARED or executable != (raw.new_mode == "100755"):
                return False
            return _blob_name(Path(os.fsdecode(path)).read_bytes(), zero) == raw.new
        except OSError:
            return False

    def kind(self, path: bytes) -> int | None:
        """The type bits of a path of the workspace; None when it is not there, or reached through a link."""
        full = os.fsencode(self.path)
        parts = path.split(b"/")
        try:
            for part in parts[:-1]:
                full = full + b"/" + part
                if not stat.S_ISDIR(os.lstat(full).st_mode):
                    return None
            return stat.S_IFMT(os.lstat(full + b"/" + parts[-1]).st_mode)
        except (OSError, ValueError):
            return None

    # -- writing it down

    async def stage(self, paths: Iterable[bytes], restore: Iterable[Raw] = ()) -> None:
        """Bring paths of the workspace into the index; `restore` entries go back to their old state."""
        plain: list[bytes] = []
        lines: list[bytes] = []
        for path in paths:
            if self.kind(path) in FILES or self._is_gone(path):
                plain.append(path)
            else:
                lines.append(b"0 %s\t%s" % (self.zero.encode(), path))
        for raw in restore:
            mode = raw.old_mode.lstrip("0") or "0"
            lines.append(f"{mode} {raw.old}\t".encode() + raw.path)
        if lines:
            await self.git.run("update-index", "-z", "--index-info", stdin=b"\0".join([*lines, b""]))
        if plain:
            await self._add(plain)

    def _is_gone(self, path: bytes) -> bool:
        """Whether nothing is there, and no link on the way."""
        full = os.fsencode(self.path)
        for part in path.split(b"/"):
            full = full + b"/" + part
            try:
                if not stat.S_ISDIR(os.lstat(full).st_mode):
                    return False
            except FileNotFoundError:
                return True
            except OSError:
                return False
        return False

    async def _add(self, paths: list[bytes]) -> None:
        args = ("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
        feed = b"\0".join([*paths, b""])
        try:
            got = await self.run(*args, stdin=feed)
        except GitFailed as error:
            if "ermission denied" not in error.stderr:
                raise
            self.unlock()
            await asyncio.to_thread(open_up, self.path)
            got = await self.run(*args, stdin=feed)
        ignored = _IGNORED.findall(got.stderr)
        if ignored:
            some = ", ".join(path_text(path)[:200] for path in ignored[:5])
            raise AdapterError("workspaces", f"git refuses the names of {len(ignored)} files: {some}. Rename them.")

    async def write_tree(self) -> str | None:
        """The tree of the index; None when objects it names are gone (a `gc` ran in between)."""
        try:
            return await self.git.text("write-tree")
        except GitFailed as error:
            if any(sign in error.stderr for sign in _RACE):
                return None
            raise


def _blob_name(data: bytes, zero: str) -> str:
    digest = hashlib.sha256 if len(zero) == 64 else hashlib.sha1
    return digest(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def remove_pipes(root: Path) -> None:
    """Remove what git would open and wait for: files it reads in every folder that are no files."""
    pending = [root]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif entry.name in _READ_BY_GIT and not (entry.is_symlink() or entry.is_file(follow_symlinks=False)):
                    Path(entry.path).unlink()
