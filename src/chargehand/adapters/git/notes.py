"""Notes on commits under a ref of ours: many at once, by one git, and never at the cost of somebody else's.

Git has a format for notes that tools show and fetch (`git log --notes=chargehand`). A batch goes through one
`git fast-import` into a folder of incoming objects, and the ref moves by compare-and-swap: who comes second reads what
the first has written and tries again. Neither an index nor a branch is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping

from chargehand.adapters.git.command import MIB
from chargehand.adapters.git.incoming import Incoming
from chargehand.adapters.git.reading import read_blobs
from chargehand.adapters.git.repository import Repository
from chargehand.domain.errors import AdapterError

__all__ = ["NOTES", "edit_notes", "read_notes"]

NOTES = "refs/notes/chargehand"
"""Where the notes are; `git push origin refs/notes/chargehand` takes them elsewhere."""

_LARGEST = 64 * MIB
_ROUNDS = 20
_PAUSE_S = 0.05
_IMPORT = ("-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--date-format=raw-permissive")
"""Without a child that unpacks what is packed again anyway."""

Edit = Callable[[str, str], str]
"""From a commit and the note it has (empty: none) to the note it should have; called again when somebody was faster."""


async def read_notes(repository: Repository, commits: Collection[str] | None = None) -> dict[str, str]:
    """The notes of those of `commits` that have one, by commit; with None all there are."""
    tip = await repository.ref(NOTES)
    return {} if tip is None else await _read(repository, tip, commits)


async def edit_notes(repository: Repository, commits: Collection[str], edit: Edit, *, why: str) -> int:
    """Bring the notes of `commits`, which exist, to what `edit` says; how many were changed.

    AdapterError when others kept being faster, or the repository cannot be written.
    """
    problem = AdapterError("git", f"{NOTES} was moved by others each time it was to be written.", retryable=True)
    for turn in range(_ROUNDS):
        tip = await repository.ref(NOTES)
        old = {} if tip is None else await _read(repository, tip, commits)
        new = {commit: edit(commit, old.get(commit, "")) for commit in commits}
        changed = {commit: text for commit, text in new.items() if text != old.get(commit, "")}
        try:
            if not changed or await _write(repository, tip, changed, why):
                return len(changed)
        except AdapterError as error:
            if not error.retryable:
                raise
            problem = error
        await asyncio.sleep(random.uniform(0, _PAUSE_S * (turn + 1)))  # noqa: S311 - spreads those who compete
    raise problem


async def _read(repository: Repository, tip: str, commits: Collection[str] | None) -> dict[str, str]:
    git = repository.plumbing()
    wanted = None if commits is None else set(commits)
    listed = (await git.run("ls-tree", "-r", "-z", "-l", "--full-tree", tip)).stdout.decode("utf-8", "replace")
    blobs: dict[str, str] = {}
    for entry in filter(None, listed.split("\0")):
        facts, _, path = entry.partition("\t")
        _, kind, oid, size = facts.split()
        commit = path.replace("/", "")
        is_note = kind == "blob" and len(commit) == len(repository.zero) and int(size) <= _LARGEST
        if is_note and (wanted is None or commit in wanted):
            blobs[commit] = oid
    found = await read_blobs(git, list(dict.fromkeys(blobs.values())))
    return {commit: found[oid].decode("utf-8", "surrogateescape") for commit, oid in blobs.items()}


async def _write(repository: Repository, tip: str | None, notes: Mapping[str, str], why: str) -> bool:
    """Make a commit of notes on top of `tip` and point the ref there; False where it stood elsewhere by then."""
    with repository.incoming() as incoming:
        made = await _import(repository, incoming, tip, notes, why)
        await incoming.hand_over(incoming.over(repository.plumbing()), [made], [tip] if tip else [])
        return await repository.set_ref(NOTES, made, tip or repository.zero, why=why)


async def _import(
    repository: Repository, incoming: Incoming, tip: str | None, notes: Mapping[str, str], why: str
) -> str:
    """The commit that fast-import makes; the ref it insists on lies in our own git directory and goes at once."""
    plumbing = repository.plumbing()
    name = f"refs/notes/{secrets.token_hex(8)}"
    stream = _stream(name, repository.identity.line(time.time()), tip, notes, why)
    try:
        return await incoming.over(plumbing).text(*_IMPORT, stdin=stream)
    finally:
        with contextlib.suppress(OSError):
            (plumbing.cwd / name).unlink()


def _stream(name: str, who: bytes, tip: str | None, notes: Mapping[str, str], why: str) -> bytes:
    message = f"{why}\n".encode("utf-8", "replace")
    lines = [
        b"commit " + name.encode("ascii"),
        b"mark :1",
        b"committer " + who,
        b"data %d\n%b" % (len(message), message),
        *([b"from " + tip.encode("ascii")] if tip else []),
    ]
    for commit, text in notes.items():
        if not text:
            lines.append(b"N " + b"0" * len(commit) + b" " + commit.encode("ascii"))
            continue
        data = text.encode("utf-8", "surrogateescape")
        lines.append(b"N inline " + commit.encode("ascii") + b"\ndata %d\n%b" % (len(data), data))
    return b"\n".join([*lines, b"get-mark :1", b""])
