"""Trees that nobody committed: the tests of one commit laid over another, for red first and overlay (SPEC 3.7, item 4).

They are built in an index of our own, without a work tree. The commit is kept from every `git gc` as long as it is
used, and by nothing afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git import Repository
from chargehand.adapters.git.raw import Raw, parse_raw, path_text
from chargehand.domain import scope
from chargehand.domain.test_changes import is_test
from chargehand.ports import GateJob

__all__ = ["Laid", "lay_over", "tests_of_base", "tests_of_change"]

_FILES = ("100644", "100755", "120000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A commit that stands for a tree; it exists only as long as the context it came from."""

    commit: str
    tree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    mode: str
    oid: str
    path: bytes


async def tests_of_change(repository: Repository, job: GateJob) -> tuple[_Entry, ...]:
    """The test files that the change adds or alters, as it leaves them: those of `job.tests`, else all it has."""
    wanted: Callable[[str], bool] = (lambda path: scope.matches(job.tests, path)) if job.tests else is_test
    return tuple(
        _Entry(mode=raw.new_mode, oid=raw.new, path=raw.path)
        for raw in await _changes(repository, job)
        if raw.new_mode in _FILES and wanted(path_text(raw.path))
    )


async def tests_of_base(repository: Repository, job: GateJob) -> tuple[_Entry, ...]:
    """The test files of the base that the change alters or deletes, as the base has them."""
    return tuple(
        _Entry(mode=raw.old_mode, oid=raw.old, path=raw.path)
        for raw in await _changes(repository, job)
        if raw.old_mode in _FILES and _is_wanted(job.tests, path_text(raw.path))
    )


def _is_wanted(patterns: Sequence[str], path: str) -> bool:
    return is_test(path) or (bool(patterns) and scope.matches(patterns, path))


async def _changes(repository: Repository, job: GateJob) -> tuple[Raw, ...]:
    args = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", job.base, job.commit)
    return parse_raw((await repository.plumbing().run(*args)).stdout)


@asynccontextmanager
async def lay_over(repository: Repository, onto: str, entries: Sequence[_Entry], message: str) -> AsyncIterator[Laid]:
    """The tree of the commit `onto` with these entries in it, as a commit on top of it."""
    with repository.incoming() as incoming:
        git = incoming.over(repository.plumbing())
        index = Path(git.env["GIT_OBJECT_DIRECTORY"], "index")  # goes with the folder, also when we are killed
        indexed = git.on(GIT_INDEX_FILE=str(index))
        await indexed.run("read-tree", onto)
        feed = b"".join(f"{entry.mode} {entry.oid}\t".encode("ascii") + entry.path + b"\0" for entry in entries)
        await indexed.run("update-index", "--add", "--replace", "-z", "--index-info", stdin=feed)
        tree = await indexed.text("write-tree")
        commit = incoming.commit(tree, (onto,), repository.identity, message)
        await incoming.hand_over(git, [commit], [onto])
        repository.remember_tree(commit, tree)
        yield Laid(commit=commit, tree=tree)
