"""Runs the commands of one job, each in a site, and says what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from chargehand.adapters.confined import Call, mark_of, substitute, tell_lines
from chargehand.adapters.folders import safe_name
from chargehand.adapters.gating.judging import judge
from chargehand.adapters.gating.parts import GateParts, Site
from chargehand.adapters.junit import failed_tests
from chargehand.adapters.output import Redactor, last_state, normalise_tail, read_end
from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.adapters.setup import SetupCall
from chargehand.adapters.text import clean_text
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.ports import Check, GateJob

__all__ = ["Runner"]

_TAIL_BYTES = 256 * 1024
_TOOL_S = 120.0
_TOOL_BYTES = 8 << 20


class Runner:
    """The programs of one job: what they are given, and what their ends mean."""

    def __init__(self, parts: GateParts, job: GateJob) -> None:
        self._parts = parts
        self._job = job
        self.redactor = Redactor(parts.environment.vault(job.env))
        self._log_name = "/".join(["gates", *(safe_name(part) for part in job.key.split("/"))])
        self._logs = parts.folder / self._log_name

    def open(self) -> None:
        """Make the folder of the logs."""
        self._logs.mkdir(parents=True, exist_ok=True)

    async def prepare(self, site: Site) -> GateResult | None:
        """Set the checkout up; None where nothing had to be run."""
        spec = self._job.setup
        if spec is None:
            return None
        check = Check(id="setup", run=spec.run, wall_s=self._parts.setup_wall_s)
        call = self._call(site, check, self._parts.environment.of_gate_setup(self._job, site.room, site.port_base))
        asked = SetupCall(spec=spec, env=self._job.env, workspace=site.workspace, call=call)
        step = await self._parts.setup.prepare(asked)
        return None if step.end is None else await self._result(site, check, call, step.end)

    async def check(self, site: Site, check: Check) -> GateResult:
        """Run one check to its end."""
        call = self._call(site, check, self._environment(site, check.id))
        call = replace(call, argv=substitute(check.run, call.env))
        return await self._result(site, check, call, await self._parts.confined.run(call))

    async def ask_tool(self, site: Site, argv: Sequence[str]) -> str | None:
        """What a tool of the syntax check prints; its output is bounded as all output is."""
        answer = site.room.root / "answer"
        call = replace(
            self._call(site, None, self._environment(site, "syntax")),
            argv=tuple(argv),
            stdout=answer,
            stderr=self._logs / "syntax.log",
            wall_s=_TOOL_S,
        )
        end = await self._parts.confined.run(call)
        return read_end(answer, _TOOL_BYTES) if end.kind is EndKind.EXITED and end.code == 0 else None

    def _environment(self, site: Site, check: str) -> dict[str, str]:
        junit = site.room.out / f"{safe_name(check)}.xml"
        return self._parts.environment.of_check(self._job, site.room, site.port_base, junit)

    def _call(self, site: Site, check: Check | None, env: Mapping[str, str]) -> Call:
        parts, job = self._parts, self._job
        tell = parts.on_output
        return Call(
            argv=(),
            env=env,
            workspace=site.workspace.path,
            room=site.room,
            stdout=self._logs / f"{safe_name(check.id if check else 'syntax')}.log",
            wall_s=check.wall_s if check else _TOOL_S,
            idle_s=check.idle_s if check else None,
            marker=f"{mark_of(parts.folder)}/{job.key}",
            vault=self.redactor.vault,
            attend=None if tell is None else lambda running: tell_lines(running, partial(tell, job.key)),
        )

    # -- results

    async def _result(self, site: Site, check: Check, call: Call, end: ProcessEnd) -> GateResult:
        await asyncio.to_thread(self.redactor.file, call.stdout)
        text = await asyncio.to_thread(read_end, call.stdout, _TAIL_BYTES)
        status, fault, detail = judge(check.run, end, text)
        failed = None
        if check.junit and status is not GateStatus.FAULT:
            failed, told = await self._tests(site, call, status)
            detail = detail or told
        return GateResult(
            gate=check.id,
            tree=self._job.tree,
            status=status,
            fault=fault,
            exit_code=end.code,
            command=self.redactor.text(clean_text(check.run.text)),
            detail=self.redactor.text(clean_text(detail))[:2000],
            tail=normalise_tail(self.redactor.text(clean_text(last_state(text))), site.paths),
            failed_tests=None if failed is None else tuple(map(self.redactor.text, failed)),
            wall_s=end.wall_s,
            log=f"{self._log_name}/{call.stdout.name}",
        )

    async def _tests(self, site: Site, call: Call, status: GateStatus) -> tuple[tuple[str, ...] | None, str]:
        """The failed tests of a gate that wrote JUnit XML, and what there is to say about it."""
        junit = Path(call.env["CHARGEHAND_JUNIT"])
        failed = await asyncio.to_thread(failed_tests, junit, site.paths)
        if failed is None:
            return None, "It left no JUnit XML that could be read at $CHARGEHAND_JUNIT."
        if status is GateStatus.FAIL and not failed:
            # Red for another reason than a test: nothing of this may be taken for an old failure.
            return None, "It failed, although its JUnit XML names no failed test."
        if status is GateStatus.PASS and failed:
            return (), f"It passed, although its JUnit XML names {len(failed)} failed tests."
        return failed, ""
