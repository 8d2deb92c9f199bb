"""What the parts of one attempt have in common: who asked for what, where it works, what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agent_run import AgentRun
from chargehand.adapters.attempt_note import attempt_folder
from chargehand.adapters.confined import mark_of, tell_lines
from chargehand.adapters.fleet_parts import FleetParts
from chargehand.adapters.folders import Room
from chargehand.adapters.output import Redactor, last_state, read_end
from chargehand.adapters.process import Running
from chargehand.adapters.text import clean_text
from chargehand.domain.ids import attempt_ref, integration_branch
from chargehand.ports import AttemptSpec, Launch, Places, Workspace

if TYPE_CHECKING:
    from chargehand.adapters.guarded import Guarded
    from chargehand.adapters.metering import Metered
    from chargehand.adapters.overheard import Overheard

__all__ = ["OUTPUT_CHARS", "PATCH_BYTES", "Ground", "Ready", "Site"]

PATCH_BYTES = 1024 * 1024
OUTPUT_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an attempt works."""

    workspace: Workspace
    room: Room
    port_base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An agent that may start."""

    places: Places
    launch: Launch
    env: Mapping[str, str]
    run: AgentRun | None


@dataclass(slots=True, kw_only=True)
class Ground:
    """What one attempt stands on; `redactor` learns keys on the way; `metered`, and `guarded` or `overheard`, come
    with the agent.

    `name` is the folder of its files below the run's, `files` the folder itself, `ref` where it is sealed. `running` is
    the program of it that was started last; `at_once`: it is to be killed without being asked first.
    """

    parts: FleetParts
    spec: AttemptSpec
    name: str
    files: Path
    ref: str
    marker: str
    redactor: Redactor
    warnings: list[str] = field(default_factory=list)
    metered: Metered | None = None
    guarded: Guarded | None = None
    overheard: Overheard | None = None
    running: Running | None = None
    is_cancelled: bool = False
    at_once: bool = False

    @classmethod
    def of(cls, parts: FleetParts, spec: AttemptSpec) -> Ground:
        """The ground of an attempt that was asked for."""
        name = attempt_folder(spec.key)
        return cls(
            parts=parts,
            spec=spec,
            name=name,
            files=parts.folder / name,
            ref=spec.ref or attempt_ref(spec.run, spec.task, spec.attempt),
            marker=f"{mark_of(parts.folder)}/{spec.key}",
            redactor=Redactor(parts.environment.vault(spec.env)),
        )

    @property
    def branch(self) -> str:
        """What its workspaces stand on: it tells who takes the run up whose they are, by the first part of the key."""
        return f"{integration_branch(self.spec.run)}/{self.spec.key.partition('/')[0]}"

    # -- control

    async def cancel(self, *, now: bool) -> None:
        """Stop the running program, and every one that is started after it."""
        self.is_cancelled = True
        self.at_once = self.at_once or now
        if self.running is not None:
            await self.running.stop(now=now)

    async def hold(self, running: Running) -> None:
        """Take a program that was started; it is stopped at once when the attempt was cancelled meanwhile."""
        self.running = running
        if self.is_cancelled:
            await running.stop(now=self.at_once)

    async def attend(self, running: Running) -> None:
        """Both `hold` and `tell`."""
        await self.hold(running)
        await self.tell(running)

    # -- words

    @property
    def message(self) -> str:
        """The message of commits that keep what the attempt left."""
        spec = self.spec
        title = " ".join(spec.title.split())[:200]
        trailers = f"Chargehand-Run: {spec.run}\nChargehand-Task: {spec.task}\nChargehand-Attempt: {spec.attempt}\n"
        return f"{spec.task}: {title}\n\n{trailers}"

    def shown(self, text: str) -> str:
        """A text of others, fit to be kept."""
        return self.redactor.text(clean_text(text))[:OUTPUT_CHARS]

    def end_of(self, log: Path, limit: int) -> str:
        """The end of a log, fit to be shown."""
        text = clean_text(last_state(read_end(log, 16 * 1024)))
        return self.redactor.text(text).strip()[-limit:]

    async def tell(self, running: Running) -> None:
        """Tell whoever looks on what a program prints, until it has ended."""
        if self.parts.on_output is not None:
            await tell_lines(running, partial(self.parts.on_output, self.spec.key))
