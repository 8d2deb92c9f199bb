"""What was rescued: listed, shown, and brought back (SPEC 7.5)."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git.command import MIB, QUIET, Git, plain_environment
from chargehand.adapters.git.owned import own_directory
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.git.work import AS_IT_IS
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.ids import REF_ROOT

__all__ = ["Rescued", "find_rescue", "list_rescues", "restore_to_branch", "restore_to_folder", "show_rescue"]

_ROOT = f"{REF_ROOT}/rescue/"
_KEPT = ("core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode")
_FIELDS = "%(refname)%00%(objectname)%00%(committerdate:unix)%00%(contents:subject)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """One rescue: `name` is `<run>/<task>/<n>`, `at` in seconds since the epoch, `message` its first line."""

    name: str
    run: str
    task: str
    commit: str
    at: float
    message: str

    @property
    def ref(self) -> str:
        """The ref that keeps it."""
        return _ROOT + self.name


async def list_rescues(repository: Repository, run: str = "") -> list[Rescued]:
    """Every rescue, of one run or of all, oldest first."""
    got = await repository.git().run("for-each-ref", f"--format={_FIELDS}", f"{_ROOT}{run}".rstrip("/"))
    found = []
    for line in got.stdout.decode("utf-8", "replace").splitlines():
        ref, commit, at, message = line.split("\0", 3)
        name = ref.removeprefix(_ROOT)
        parts = name.split("/")
        if len(parts) >= 3:
            task = "/".join(parts[1:-1])
            found.append(Rescued(name=name, run=parts[0], task=task, commit=commit, at=float(at or 0), message=message))
    return sorted(found, key=lambda rescued: (rescued.at, rescued.name))


async def show_rescue(repository: Repository, name: str, *, limit: int = MIB) -> str:
    """What a rescue holds beyond what it stood on: message, summary and patch, cut at `limit` characters."""
    rescued = await find_rescue(repository, name)
    flags = ("--no-color", "--no-ext-diff", "--no-textconv", "--first-parent", "-m", "--format=fuller")
    git = repository.plumbing()
    try:
        got = await git.run("show", *flags, "--stat=120", "--patch", rescued.commit)
    except AdapterError:  # more than fits into memory
        got = await git.run("show", *flags, "--stat=120", "--stat-count=2000", rescued.commit)
    return got.stdout.decode("utf-8", "replace")[:limit]


async def restore_to_branch(repository: Repository, name: str, branch: str) -> str:
    """Make a new branch at a rescue; its commit. UserError when the branch exists or its name is no branch name."""
    rescued = await find_rescue(repository, name)
    checked = await repository.git().run("check-ref-format", "--branch", branch, ok=(0, 1, 128))
    if checked.code != 0:
        hint = "Letters, digits, `-`, `.` and `/` are safe."
        raise UserError(f"{branch!r} is no name for a branch.", code="bad_branch", hint=hint)
    ref = f"refs/heads/{branch}"
    try:
        made = await repository.set_ref(ref, rescued.commit, repository.zero, why=f"chargehand: restore {rescued.name}")
    except AdapterError as error:  # a branch `a` leaves no place for one called `a/b`
        text = f"The branch {branch!r} cannot be made: {error.message}"
        raise UserError(text, code="bad_branch", hint="Give another name with --branch.") from error
    if not made:
        hint = "Give another name with --branch."
        raise UserError(f"The branch {branch!r} exists already.", code="branch_exists", hint=hint)
    return rescued.commit


async def restore_to_folder(repository: Repository, name: str, folder: Path) -> Path:
    """Write the files of a rescue into a new or empty folder, as they were (no filters run)."""
    rescued = await find_rescue(repository, name)
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "Give a folder that does not exist yet."
        raise UserError(f"{folder} is not an empty folder.", code="folder_not_empty", hint=hint)
    try:
        await asyncio.to_thread(lambda: folder.mkdir(parents=True, exist_ok=True))
    except OSError as error:
        text = f"{folder} cannot be made: {error.strerror}."
        raise UserError(text, code="folder_unwritable", hint="Give a folder where you may write.") from error
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch)
        kept = {key: value for key, value in repository.config.items() if key in _KEPT}
        shallow, form = repository.shallow_file, repository.object_format
        own_directory(own, kept, form, work=folder, shallow=shallow, attributes=AS_IT_IS)
        env = plain_environment(repository.environ) | {"GIT_OBJECT_DIRECTORY": str(repository.objects)}
        options = (*QUIET, "--git-dir", str(own), "--work-tree", os.fspath(folder))
        await Git(cwd=folder, env=env, options=options).run("read-tree", "-u", "--reset", rescued.commit)
    return folder


async def find_rescue(repository: Repository, name: str) -> Rescued:
    """The rescue that a name means: whole, its ref, its end (`api/1`), or its commit. UserError: none, or several."""
    wanted = name.strip().removeprefix(_ROOT).strip("/")
    found = await list_rescues(repository)
    fitting = [rescued for rescued in found if rescued.name == wanted]
    if not fitting and wanted:
        by_commit = len(wanted) >= 7 and wanted == wanted.lower()
        fitting = [
            rescued
            for rescued in found
            if rescued.name.endswith(f"/{wanted}") or (by_commit and rescued.commit.startswith(wanted))
        ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(rescued.name for rescued in fitting[:10])
        hint = f"Give one of them whole: {names}."
        raise UserError(f"{name!r} means {len(fitting)} rescues.", code="ambiguous_rescue", hint=hint)
    raise UserError(f"There is no rescue {name!r}.", code="unknown_rescue", hint="`chargehand rescue list` shows them.")
