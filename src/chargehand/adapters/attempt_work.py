"""What an attempt is asked for: where it begins, which answer it owes, and what all of it comes to.

Implementers and fixers make something: `Making`, here. Those who only look stand in `looking`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from chargehand.adapters.answers import MAX_BYTES, read_end
from chargehand.adapters.attempt_ground import Ground, Ready, Site
from chargehand.adapters.checkout_watch import Snapshot
from chargehand.adapters.folders import read_regular, remove_tree
from chargehand.adapters.own_files import REPORT_BYTES, Found, keep_files, look_at
from chargehand.adapters.reports import NO_REPORT, read_own, read_report
from chargehand.adapters.text import clean_text
from chargehand.domain.errors import AdapterError
from chargehand.domain.line import Restoration
from chargehand.domain.outcome import AttemptResult, ExitKind, Report, Sealed
from chargehand.domain.review import Review, Verdict
from chargehand.ports import Left, SealJob

__all__ = ["Answer", "Ended", "Making", "Work", "kept_answer"]

LEFT_OUT = "left-out"
"""The folder of an attempt with what is no part of its change: files that only the coordinator writes."""

Answer = Report | Verdict | Restoration
"""What an agent hands in: a claim."""

_ASK_AGAIN = """\
Your work is over, but its report cannot be used: {why}

Change nothing more. Answer with the report alone: a block fenced with three backticks and tagged `chargehand-report`
that holds one JSON object, such as

```chargehand-report
{{"status": "DONE", "summary": "What was done, in one sentence."}}
```

`status` is DONE, DONE_WITH_CONCERNS, NEEDS_CONTEXT, BLOCKED or FAILED. Say what is true.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What an attempt came to, besides how its process ended; the fields are those of `AttemptResult`."""

    report: Report | None = None
    report_problem: str = ""
    sealed: Sealed | None = None
    seal_problem: str = ""
    review: Review | None = None
    restoration: Restoration | None = None


class Work(Protocol):
    """One kind of attempt. `name` is what its answer is called, `nothing` what is said when there is none at all."""

    name: str
    nothing: str

    @property
    def start(self) -> str:
        """The commit that the workspace begins at."""
        ...

    def read(self, result: Path, said: Path | str) -> Answer | str:
        """The answer in the file, else in what was said last; else why there is none."""
        ...

    async def doubt(self, site: Site, found: Answer) -> str:
        """Why an answer that can be read does not hold together, or an empty string."""
        ...

    def ask_again(self, why: str) -> str:
        """The brief that asks for the answer once more."""
        ...

    def unstarted(self, why: str) -> Ended:
        """What an attempt without an agent comes to."""
        ...

    async def begin(self, site: Site) -> None:
        """Look at how things are, right before the agent starts."""
        ...

    async def finish(self, site: Site, ready: Ready, found: Answer | str) -> Ended:
        """Establish what is true, after the agent has ended; `found` is what `read` says."""
        ...

    def is_unkept(self, result: AttemptResult) -> bool:
        """Whether the workspace holds what would be lost with it."""
        ...

    def to_rescue(self, result: AttemptResult) -> bool:
        """Whether what the workspace holds is to be found among the rescues."""
        ...


def kept_answer(ground: Ground, result: Path, said: Path | str, name: str) -> tuple[Path, Path | None]:
    """Where an answer is read: in a copy of the file, kept as `name`, when there is one; else in what was said."""
    raw = read_regular(result, MAX_BYTES)
    if raw is not None:
        copy = ground.files / name
        copy.write_bytes(ground.redactor.data(raw))
        return copy, None
    if isinstance(said, Path):
        return result, said
    final = ground.files / "final.md"
    final.write_text(ground.redactor.text(said), "utf-8", errors="replace")
    return result, final


class Making:
    """The work of those who change files: a report, and whatever they leave, sealed."""

    name = "report"
    nothing = NO_REPORT

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._before: Snapshot | None = None
        self._root: Path | None = None
        self._given = Found()
        self._is_spilt = False

    @property
    def start(self) -> str:
        """The base of the attempt."""
        return self._ground.spec.base

    def read(self, result: Path, said: Path | str) -> Report | str:
        """The report; where there is none, that in the form of the plan's system."""
        found = read_report(*kept_answer(self._ground, result, said, "report.json"))
        own = self._ground.parts.own_report
        if found != NO_REPORT or own is None or self._root is None:
            return found
        wrote, spec = self._changed(self._root), self._ground.spec
        words = read_end(said, REPORT_BYTES) if isinstance(said, Path) else said[-REPORT_BYTES:]
        left = Left(
            task=spec.task,
            said=clean_text(words),
            files=wrote.files,
            before=self._given.files,
            unread=wrote.unread,
        )
        return read_own(own, left)

    def _changed(self, root: Path) -> Found:
        """What the agent wrote where the plan's system wants a report."""
        own, before = self._ground.parts.own_report, self._given
        now = Found() if own is None else look_at(root, own.paths(self._ground.spec.task))
        files = {path: data for path, data in now.files.items() if before.files.get(path) != data}
        return Found(files=files, unread={path: why for path, why in now.unread.items() if path not in before.unread})

    async def doubt(self, site: Site, found: Answer) -> str:
        """A report is a claim, and evidence is what decides."""
        del site, found
        return ""

    def ask_again(self, why: str) -> str:
        """Asks for the report alone."""
        return _ASK_AGAIN.format(why=why)

    def unstarted(self, why: str) -> Ended:
        """No report."""
        return Ended(report_problem=why)

    async def begin(self, site: Site) -> None:
        """Look at what is there already, and at the user's repository where no sandbox hides it."""
        parts = self._ground.parts
        self._root, watch = site.workspace.path, parts.watch
        if parts.own_report is not None:
            paths = parts.own_report.paths(self._ground.spec.task)
            self._given = await asyncio.to_thread(look_at, self._root, paths)
        self._before = None if watch is None else await watch.snapshot()

    async def finish(self, site: Site, ready: Ready, found: Answer | str) -> Ended:
        """Seal what is there."""
        del ready
        report = found if isinstance(found, Report) else None
        sealed, problem = await self._seal(site, report)
        return Ended(
            report=report,
            report_problem=found if isinstance(found, str) else "",
            sealed=sealed,
            seal_problem=problem,
        )

    def is_unkept(self, result: AttemptResult) -> bool:
        """What could not be sealed, and what was left out and could not be copied."""
        return bool(result.seal_problem) or self._is_spilt

    def to_rescue(self, result: AttemptResult) -> bool:
        """Also what was cancelled: it is sealed, but nobody judges it."""
        return self.is_unkept(result) or result.exit.kind is ExitKind.CANCELLED

    async def _seal(self, site: Site, report: Report | None) -> tuple[Sealed | None, str]:
        ground, watch = self._ground, self._ground.parts.watch
        job = SealJob(
            workspace=site.workspace,
            ref=ground.ref,
            message=ground.message,
            declared=ground.spec.declared,
            claim=report.commit if report else None,
            inputs=tuple(path for path, _ in ground.spec.inputs),
            artifacts=ground.spec.artifacts,
            origin=ground.spec.origin,
        )
        try:
            sealed = await self._sealed(job)
            await asyncio.to_thread(self._keep, site, sealed)
            if watch is not None and self._before is not None:
                found = watch.diff(self._before, await watch.snapshot())
                sealed = replace(sealed, checkout_changed=found.checkout_changed, config_changed=found.config_changed)
        except AdapterError as error:
            return None, error.message
        except OSError as error:
            return None, f"The workspace could not be sealed: {error}."
        return sealed, ""

    def _keep(self, site: Site, sealed: Sealed) -> None:
        """Keep what is no part of the change, with a report that git ignores, beside the attempt's other files."""
        ground, root = self._ground, site.workspace.path
        folder = ground.files / LEFT_OUT
        remove_tree(folder)
        wrote = self._changed(root)
        paths = tuple(dict.fromkeys((*sealed.left_out, *wrote.files, *wrote.unread)))
        self._is_spilt = not keep_files(root, paths, folder, ground.redactor)

    async def _sealed(self, job: SealJob) -> Sealed:
        """Sealed at the second or third try where the first met a lock or a `gc`: that is no fault of the agent."""
        workspaces = self._ground.parts.workspaces
        for pause_s in (0.2, 1.0):
            try:
                return await workspaces.seal(job)
            except AdapterError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(pause_s)
        return await workspaces.seal(job)
