"""Builds merge candidates and lands them, without a work tree (SPEC 6, ARCHITECTURE 3.3)."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from chargehand.adapters.git.command import Git
from chargehand.adapters.git.partial import complete
from chargehand.adapters.git.raw import path_text
from chargehand.adapters.git.reading import read_texts
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.process import Captured
from chargehand.domain.errors import AdapterError
from chargehand.domain.ids import REF_ROOT
from chargehand.domain.outcome import Candidate, Conflict, HeadMoved, Landed, LandResult, MergeResult
from chargehand.ports import LandJob, MergeJob, Opened

__all__ = ["GitIntegrator", "merge_trees"]

CONVENTIONS = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", "CONTRIBUTING.md", ".github/copilot-instructions.md")
"""Files in which repositories keep what their authors expect of a change (SPEC 3.4)."""

_MERGE = ("merge-tree", "--write-tree", "-z", "--messages")
_ATTRIBUTES = ".gitattributes"
_DETAIL = 6000
_SIDE = 1200
_HUNK = re.compile(
    r"^(?P<open><{7} [^\n]*\n)(?P<ours>.*?)^={7}\n(?P<theirs>.*?)^(?P<close>>{7} [^\n]*)$", re.MULTILINE | re.DOTALL
)


class GitIntegrator:
    """Implements `ports.Integrator`. Where the user has the branch checked out, only the ref moves."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._landed: dict[str, LandJob] = {}

    async def open(self, branch: str, base: str) -> Opened:
        """Create the branch at `base` unless it exists; answer where it stands."""
        repository = self._repository
        ref = f"refs/heads/{branch}"
        made = await repository.set_ref(ref, base, repository.zero, why="chargehand: start of the run")
        head = base if made else await repository.ref(ref) or base
        # Attempts go on from here even when people move every branch that holds it.
        await repository.set_ref(f"{REF_ROOT}/bases/{branch.rpartition('/')[2]}", base, why="chargehand: base")
        await complete(repository, head)
        listed = await repository.plumbing().text("ls-tree", "--name-only", head, "--", *CONVENTIONS)
        return Opened(head=head, tree=await repository.tree(head), conventions=tuple(listed.splitlines()))

    async def head(self, branch: str) -> str | None:
        """Where the branch stands, or None."""
        return await self._repository.ref(f"refs/heads/{branch}")

    async def contains(self, branch: str, commit: str) -> bool:
        """Whether the commit is on the first-parent line of the branch."""
        head = await self.head(branch)
        if head is None:
            return False
        line = ("rev-list", "--first-parent", head, f"^{commit}^@")
        got = await self._repository.plumbing().run(*line, ok=(0, 128))  # 128: there is no such commit
        return commit.encode() in got.stdout.split()

    async def merge(self, job: MergeJob) -> MergeResult:
        """Build the candidate and keep it under `job.ref`; a conflict keeps nothing."""
        repository = self._repository
        with repository.incoming() as incoming:
            git = incoming.over(repository.plumbing())
            merged = await merge_trees(git, job.head, job.commit)
            if isinstance(merged, Conflict):
                return merged
            parents = (job.head, job.commit)
            commit = incoming.commit(merged, parents, repository.identity, job.message)
            await incoming.hand_over(git, [commit], parents)
            await repository.set_ref(job.ref, commit, why="chargehand: candidate")
        repository.remember_tree(commit, merged)
        self._remember_layout(job, commit)
        return Candidate(commit=commit, tree=merged, head=job.head)

    def _remember_layout(self, job: MergeJob, commit: str) -> None:
        layouts = self._repository.layouts
        ours, theirs = layouts.get(job.head), layouts.get(job.commit)
        if ours is not None and theirs is not None:
            layouts.add(commit, ours.merged(theirs))

    async def land(self, job: LandJob) -> LandResult:
        """Compare-and-swap; landing a commit on which the branch already stands is `Landed` again.

        The candidate that landed before is no longer kept by a ref of its own: this one holds it, should somebody move
        the branch away.
        """
        repository = self._repository
        ref = f"refs/heads/{job.branch}"
        if await repository.set_ref(ref, job.commit, job.expect, why=f"chargehand: land {job.ref}"):
            before = self._landed.get(job.branch)
            if before is not None and before.ref != job.ref:
                repository.drop_ref(before.ref, before.commit)
            self._landed[job.branch] = job
            return Landed(commit=job.commit)
        actual = await repository.ref(ref)
        return Landed(commit=job.commit) if actual == job.commit else HeadMoved(actual=actual)


async def merge_trees(
    git: Git, ours: str, theirs: str, *, labels: tuple[str, str] = ("the integration branch", "this change")
) -> str | Conflict:
    """The tree of the merge of two commits, by git's own drivers only; or where it does not apply.

    `labels` name the two sides in the detail of a conflict.
    """
    got = await git.run(*_MERGE, ours, theirs, ok=(0, 1))
    if got.code == 1:
        got = await _by_attributes(git, ours, theirs) or got
    tree, _, rest = got.stdout.partition(b"\0")
    if got.code == 0:
        return tree.decode("ascii")
    paths = _conflicted(rest)
    if not paths:  # an object that is gone is told like a conflict, with nothing in it
        said = got.stderr.decode("utf-8", "replace").strip()
        raise AdapterError("git", f"git merge-tree could not merge {theirs}: {said}", retryable=True)
    detail = await _detail(git, tree.decode("ascii"), paths, rest)
    for commit, label in zip((ours, theirs), labels, strict=True):
        detail = detail.replace(commit, label)
    return Conflict(head=ours, paths=tuple(path_text(path) for path in paths), detail=detail[:_DETAIL])


async def _by_attributes(git: Git, ours: str, theirs: str) -> Captured | None:
    """Merge again as the repository's own `.gitattributes` ask (`merge=union`, say); None when they ask nothing.

    Our git directory knows no driver that runs a program, so only those built into git can be meant.
    """
    text = (await read_texts(git, ours, [_ATTRIBUTES], 1_000_000)).get(_ATTRIBUTES, "")
    if "merge" not in text:
        return None
    with tempfile.TemporaryDirectory(dir=git.cwd, prefix="attributes-") as folder:
        Path(folder, _ATTRIBUTES).write_text(text, encoding="utf-8")
        inside = replace(git.on(GIT_WORK_TREE=folder), cwd=Path(folder))
        return await inside.run("-c", "core.bare=false", *_MERGE, ours, theirs, ok=(0, 1))


def _conflicted(rest: bytes) -> tuple[bytes, ...]:
    """The paths of the conflicted-file section, which an empty entry ends."""
    section = rest.split(b"\0\0", 1)[0]
    entries = (entry.partition(b"\t")[2] for entry in section.split(b"\0"))
    return tuple(dict.fromkeys(entry for entry in entries if entry))


async def _detail(git: Git, tree: str, paths: tuple[bytes, ...], rest: bytes) -> str:
    """What git said, then the conflicting parts of each file with both sides."""
    said = rest.split(b"\0\0", 1)[1].split(b"\0") if b"\0\0" in rest else []
    texts = [text.decode("utf-8", "replace") for text in said]
    lines = [text.strip() for text in texts if text.startswith("CONFLICT") and text.endswith("\n")]
    shown = await read_texts(git, tree, [path.decode("utf-8", "surrogateescape") for path in paths], 200_000)
    for path, text in shown.items():
        hunks = [_shorten(match) for match in _HUNK.finditer(text)]
        if hunks:
            lines += [f"--- {path_text(path.encode('utf-8', 'surrogateescape'))}", *hunks]
    return "\n".join(lines)


def _shorten(hunk: re.Match[str]) -> str:
    """A hunk in which each side keeps its beginning."""
    sides = [side if len(side) <= _SIDE else f"{side[:_SIDE]}\n…\n" for side in (hunk["ours"], hunk["theirs"])]
    return f"{hunk['open']}{sides[0]}=======\n{sides[1]}{hunk['close']}"
