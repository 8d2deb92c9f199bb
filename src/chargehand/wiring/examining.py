"""What `doctor` looks at: everything a run needs of this machine and this repository."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agents import make_agent
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain.check import programs_of
from chargehand.domain.errors import ChargehandError, UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.plan import Plan

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Finding", "examine", "why_not"]

_LOW_DISK = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `ok` True, False (a run would fail), or None (it works, with a remark)."""

    name: str
    ok: bool | None
    text: str
    hint: str = ""


async def examine(shop: Workshop, plan: Plan | None) -> list[Finding]:
    """Look at git, sandboxes, state folder, disk, locks, agents and the programs of a plan."""
    return [
        await _git(shop),
        *[await _sandbox(shop, kind) for kind in ("bwrap", "landlock")],
        _journal(shop),
        _disk(shop),
        *_runs(shop),
        *_agents(shop),
        *(await _programs(shop, plan) if plan else []),
    ]


async def _git(shop: Workshop) -> Finding:
    version = await shop.repository.git().text("--version")
    return Finding(name="git", ok=True, text=f"{version}; {shop.repository.common_dir}")


async def _sandbox(shop: Workshop, kind: str) -> Finding:
    try:
        choice = await shop.sandbox(kind)
    except UserError as error:
        return Finding(name=f"sandbox {kind}", ok=None, text=error.message, hint=error.hint)
    return Finding(name=f"sandbox {kind}", ok=True, text=choice.announcement)


def _journal(shop: Workshop) -> Finding:
    """Whether a journal can be written where the journals are."""
    shop.state.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=shop.state) as folder:
            SqliteJournal.create(Path(folder) / "journal.db").close()
    except (ChargehandError, OSError) as error:
        hint = "Put the state elsewhere: --state-dir DIR."
        return Finding(name="journal", ok=False, text=f"{shop.state} cannot hold a journal: {error}.", hint=hint)
    return Finding(name="journal", ok=True, text=f"journals lie in {shop.places.runs}")


def _disk(shop: Workshop) -> Finding:
    place = shop.places.agents
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 1024**3:.1f} GiB are free for workspaces in {shop.places.agents}"
    if free < _LOW_DISK:
        return Finding(name="disk", ok=None, text=text, hint="`chargehand clean` removes idle workspaces.")
    return Finding(name="disk", ok=True, text=text)


def _runs(shop: Workshop) -> list[Finding]:
    found = []
    for run in shop.store.runs():
        try:
            summary = shop.service.look(run)
        except ChargehandError as error:
            found.append(Finding(name=f"run {run}", ok=False, text=str(error), hint="Keep a copy of its folder."))
            continue
        if summary.state.finished is None and not summary.held:
            hint = f"Take it up with `chargehand resume {run}`."
            found.append(
                Finding(name=f"run {run}", ok=None, text="it is not finished, and nobody drives it", hint=hint)
            )
    return found


def _agents(shop: Workshop) -> list[Finding]:
    found = []
    for definition in shop.settings.agents:
        why = why_not(definition)
        found.append(Finding(name=f"agent {definition.name}", ok=not why, text=why or definition.command))
    return found


def why_not(definition: AgentDef) -> str:
    """Why an agent cannot run here; empty when nothing speaks against it."""
    try:
        return make_agent(definition).missing()
    except UserError as error:
        return error.message


async def _programs(shop: Workshop, plan: Plan) -> list[Finding]:
    """Programs of the plan that are missing, or that the sandbox would hide."""
    from chargehand.adapters.sandbox import Confinement

    choice = await shop.sandbox(shop.settings.sandbox.kind)
    path = shop.environ.get("PATH", "")
    environment = {"PATH": path, "HOME": "/nonexistent"}
    shop.places.agents.mkdir(parents=True, exist_ok=True)
    hidden = tuple(p for p in (shop.repository.root, shop.repository.common_dir) if p is not None)
    confinement = Confinement(workspace=shop.places.agents, hidden=hidden, env=environment)
    found = []
    for program in programs_of(plan):
        if "/" in program:
            continue
        if shutil.which(program, path=path) is None:
            text = "it is not on PATH"
            found.append(
                Finding(name=f"program {program}", ok=None, text=text, hint="Unless setup or the plan makes it.")
            )
        elif why := choice.sandbox.explain(program, confinement):
            hint = "Name its folder in sandbox.read."
            found.append(Finding(name=f"program {program}", ok=False, text=why, hint=hint))
        else:
            found.append(Finding(name=f"program {program}", ok=True, text="found, and visible in the sandbox"))
    return found
