"""From a plan, settings and flags to the first event of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chargehand.adapters.git import Repository
from chargehand.adapters.git.reading import read_texts
from chargehand.domain.errors import ChargehandError, UserError
from chargehand.domain.events import RunStarted
from chargehand.domain.ids import REF_ROOT, integration_branch
from chargehand.domain.options import RunOptions
from chargehand.domain.plan import Plan
from chargehand.engine.service import Service
from chargehand.ports import RunStore

__all__ = ["begin", "refuse_second_run", "renamed"]

_INPUT_CHARS = 1_000_000


async def begin(
    repository: Repository,
    store: RunStore,
    plan: Plan,
    options: RunOptions,
    *,
    base: str | None,
    run_id: str | None,
    files: Sequence[Path],
) -> RunStarted:
    """The event that starts a run; changes nothing yet. `files` are the plan and spec files the plan was read from."""
    commit = await repository.resolve(base or "HEAD")
    run = run_id or await _free_id(repository, store, plan.plan)
    branch = integration_branch(run)
    await _refuse_taken(repository, branch)
    if not store.folder(run).exists():  # else the store refuses it, and says how to take it up
        await _refuse_kept(repository, run)
    options = replace(options, inputs=await _inputs(repository, commit, files))
    return RunStarted(run=run, plan=plan, options=options, base=commit, branch=branch)


async def _refuse_taken(repository: Repository, branch: str) -> None:
    """`UserError` when the branch is there, or a branch whose name leaves no room for it."""
    above = branch.partition("/")[0]
    listed = await repository.git().text("for-each-ref", "--format=%(refname:short)", f"refs/heads/{branch}")
    taken = [above] if await repository.ref(f"refs/heads/{above}") is not None else listed.splitlines()
    if taken:
        rename = f"Rename it (`git branch -m {above} …`): git cannot keep {branch} beside it."
        hint = (
            rename if taken == [above] else "Choose another --run-id, or delete the branch if nothing on it is needed."
        )
        raise UserError(f"Branch {taken[0]} exists already.", code="branch_exists", hint=hint)


async def _refuse_kept(repository: Repository, run: str) -> None:
    """`UserError` when refs keep work of a run of that name, whose folder may be gone: it would be overwritten [I2]."""
    if run in await _runs_with_refs(repository):
        hint = (
            f"Choose another --run-id; `chargehand rescue list {run}` and `git for-each-ref '{REF_ROOT}/*/{run}/**'` "
            "show what is kept."
        )
        raise UserError(f"Refs keep work of an earlier run {run}.", code="run_refs_exist", hint=hint)


async def _runs_with_refs(repository: Repository) -> frozenset[str]:
    """The ids of all runs of which a ref keeps something: `refs/chargehand/<kind>/<run>[/…]`."""
    listed = await repository.git().text("for-each-ref", "--format=%(refname)", f"{REF_ROOT}/")
    parts = (ref.removeprefix(f"{REF_ROOT}/").split("/") for ref in listed.splitlines())
    return frozenset(part[1] for part in parts if len(part) > 1)


async def renamed(repository: Repository, store: RunStore, event: RunStarted) -> RunStarted:
    """The same start under the next free id."""
    run = await _free_id(repository, store, event.plan.plan)
    return replace(event, run=run, branch=integration_branch(run))


async def _free_id(repository: Repository, store: RunStore, plan: str) -> str:
    """`<plan>-<n>`, the first that names neither a run nor a branch, and of which no ref keeps work [I2]."""
    kept = await _runs_with_refs(repository)
    number = 1
    while True:
        run = f"{plan}-{number}"
        branch = f"refs/heads/{integration_branch(run)}"
        if run not in kept and not store.folder(run).exists() and await repository.ref(branch) is None:
            return run
        number += 1


async def _inputs(repository: Repository, base: str, files: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Plan and spec files of the work tree that the base does not hold as they are: (path, text)."""
    if repository.root is None:
        return ()
    found: dict[str, str] = {}
    for file in files:
        try:
            path = file.resolve().relative_to(repository.root.resolve()).as_posix()
            found[path] = file.read_text(encoding="utf-8")
        except (ValueError, OSError):
            continue  # outside the work tree, or not text: nothing a workspace could show
    known = await read_texts(repository.plumbing(), base, list(found), _INPUT_CHARS)
    return tuple((path, text) for path, text in found.items() if known.get(path) != text)


def refuse_second_run(service: Service, store: RunStore, plan: Plan) -> None:
    """`UserError` naming `resume` when a run of this plan is not finished (SPEC 10.1)."""
    for run in reversed(store.runs()):
        try:
            state = service.look(run).state
        except ChargehandError:
            continue  # a journal that cannot be read is no reason to start nothing: `doctor` tells of it
        if state.plan.plan == plan.plan and state.finished is None:
            raise UserError(
                f"Run {run} of plan {plan.plan} is not finished.",
                code="unfinished_run",
                hint=f"Take it up with `chargehand resume {run}`, or start another with --new.",
            )
