"""What git tells of a run without its journal: what landed, and what attempts sealed.

Each landing is one commit on the first-parent line of the integration branch and carries its task as a trailer (SPEC
6). Commits of agents are never on that line, so no agent can have written one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chargehand.adapters.git.command import GitFailed
from chargehand.adapters.git.refs import ref_safe
from chargehand.adapters.integrator import CONVENTIONS
from chargehand.domain.ids import REF_ROOT, integration_branch

if TYPE_CHECKING:
    from chargehand.adapters.git import Repository

__all__ = ["Evidence", "FoundLanding", "gather", "landings_of"]

_TRAILERS = ("Chargehand-Run", "Chargehand-Task", "Chargehand-Attempt")
_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLanding:
    """One task on the branch: `commit` is on its first-parent line, `sealed` what was merged there."""

    task: str
    attempt: int
    commit: str
    tree: str
    sealed: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything git tells of a run, landings oldest first; `launches` are the sealed commits by task and launch."""

    landings: tuple[FoundLanding, ...]
    launches: Mapping[str, Mapping[int, str]]
    base_tree: str = ""
    conventions: tuple[str, ...] = ()


async def gather(repository: Repository, run: str, tasks: Sequence[str], base: str) -> Evidence:
    """Look at the branch from `base` on, and at the refs of the tasks."""
    landings = await landings_of(repository, run, base)
    listing = await repository.git().text("for-each-ref", "--format=%(refname) %(objectname)", _attempts(run))
    refs = dict(line.split(" ", 1) for line in listing.splitlines())
    names = {ref_safe(f"{_attempts(run)}{task}"): task for task in tasks}
    launches: dict[str, dict[int, str]] = {}
    for ref, commit in refs.items():
        folder, _, number = ref.rpartition("/")
        task = names.get(folder, folder.removeprefix(_attempts(run)))
        if number.isdecimal():
            launches.setdefault(task, {})[int(number)] = commit
    try:
        tree = await repository.tree(base)
        conventions = await repository.plumbing().text("ls-tree", "--name-only", base, "--", *CONVENTIONS)
    except GitFailed:
        return Evidence(landings=landings, launches=launches)
    return Evidence(landings=landings, launches=launches, base_tree=tree, conventions=tuple(conventions.splitlines()))


def _attempts(run: str) -> str:
    return f"{REF_ROOT}/attempts/{run}/"


async def landings_of(repository: Repository, run: str, base: str = "") -> tuple[FoundLanding, ...]:
    """The landings on a run's branch; of an unknown `base` all that name the run."""
    branch = f"refs/heads/{integration_branch(run)}"
    if await repository.ref(branch) is None:
        return ()
    fields = "%x00".join(f"%(trailers:key={key},valueonly,separator=%x2C)" for key in _TRAILERS)
    words = ("log", "--first-parent", "--reverse", f"--max-count={_MOST}", f"--format=%H%x00%T%x00%P%x00{fields}")
    try:
        got = await repository.plumbing().run(*words, await _tip(repository, branch), *([f"^{base}"] if base else []))
    except GitFailed:
        return ()
    found = [_parsed(line.split("\0"), run) for line in got.stdout.decode("utf-8", "replace").splitlines()]
    return tuple([await _with_files(repository, landing) for landing in found if landing is not None])


async def _tip(repository: Repository, branch: str) -> str:
    return await repository.ref(branch) or branch


def _parsed(fields: Sequence[str], run: str) -> FoundLanding | None:
    commit, tree, parents, *trailers = fields
    # our own block is the last: a title that looks like a trailer stands before it
    named, task, attempt = (value.rpartition(",")[2].strip() for value in trailers)
    sealed = parents.split(" ")[1:2]
    if named != run or not task or not attempt.isdecimal() or not sealed:
        return None
    return FoundLanding(task=task, attempt=int(attempt), commit=commit, tree=tree, sealed=sealed[0])


async def _with_files(repository: Repository, landing: FoundLanding) -> FoundLanding:
    words = ("diff-tree", "-r", "-z", "--name-only", f"{landing.commit}^1", landing.commit)
    try:
        got = await repository.plumbing().run(*words)
    except GitFailed:
        return landing
    return replace(landing, files=tuple(name.decode("utf-8", "replace") for name in got.stdout.split(b"\0") if name))
