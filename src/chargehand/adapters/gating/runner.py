"""Runs the commands of one job, each in a site, and says what came of them.

Every run leaves its line in the audit before its result is given; a result whose line could not be written is none.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chargehand.adapters.confined import Call, mark_of, substitute, tell_lines
from chargehand.adapters.folders import safe_name
from chargehand.adapters.gate_audit import AUDIT_NAME, AuditLog, audit_line
from chargehand.adapters.gate_cache import Entry
from chargehand.adapters.gating.fingerprint import Fingerprint
from chargehand.adapters.gating.ids import read_ids, redacted_ids, vanished_tests, write_ids
from chargehand.adapters.gating.judging import judge
from chargehand.adapters.gating.parts import GateParts, Site
from chargehand.adapters.junit import TestIds, read_tests
from chargehand.adapters.output import Redactor, last_state, normalise_tail, read_end
from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.adapters.setup import SetupCall
from chargehand.adapters.text import clean_text, secret_values
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.ports import Check, GateJob

__all__ = ["Ran", "Runner"]

_TAIL_BYTES = 256 * 1024
_TOOL_S = 120.0
_TOOL_BYTES = 8 << 20
_DETAIL_CHARS = 2000
_NAMED = 10
_MOST_NAMED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run of a check: its result, the test ids it told of, and whether nothing at all was odd about it."""

    result: GateResult
    ids: TestIds | None = None
    is_clean: bool = False


class Runner:
    """The programs of one job: what they are given, and what their ends mean.

    `aside` names what the job is for when it is not on the commit itself: a folder of its own for the logs, and the
    first part of its ids in the audit.
    """

    def __init__(self, parts: GateParts, job: GateJob, aside: str = "") -> None:
        self._parts = parts
        self._job = job
        self._aside = aside
        fitted = (secret for check in job.checks for secret in secret_values(dict(check.env)))
        self.redactor = Redactor(parts.environment.vault(job.env, fitted))
        places = [*job.key.split("/"), *([aside] if aside else [])]
        self._log_name = "/".join(["gates", *map(safe_name, places)])
        self._logs = parts.folder / self._log_name
        self._audit = AuditLog(file=parts.folder / AUDIT_NAME)

    def open(self) -> None:
        """Make the folder of the logs."""
        self._logs.mkdir(parents=True, exist_ok=True)

    # -- running

    async def prepare(self, site: Site) -> GateResult | None:
        """Set the checkout up; None where nothing had to be run."""
        spec = self._job.setup
        if spec is None:
            return None
        check = Check(id="setup", run=spec.run, wall_s=self._parts.setup_wall_s)
        call = self._call(site, check, self._parts.environment.of_gate_setup(self._job, site.room, site.port_base))
        asked = SetupCall(spec=spec, env=self._job.env, workspace=site.workspace, call=call)
        started_at = time.time()
        step = await self._parts.setup.prepare(asked)
        if step.end is None:
            return None
        ran = await self._ran(site, check, call, step.end)
        return await self.told(ran.result, started_at)

    async def check(
        self, site: Site, check: Check, known: Fingerprint, *, again: bool = False, failed: GateResult | None = None
    ) -> Ran:
        """Run one check to its end; `again` in a second checkout, after it `failed` or for what follows it."""
        call = self._call(site, check, self._environment(site, check), again="@2" if again else "")
        call = replace(call, argv=substitute(check.run, call.env))
        started_at = time.time()
        ran = await self._ran(site, check, call, await self._parts.confined.run(call))
        result = replace(ran.result, environment=known.environment)
        if check.junit:
            result = await self._with_ids(check, result, ran.ids, call.stdout)
        if failed is not None:
            result = _settled(failed, result)
        told = await self.told(result, started_at)
        clean = ran.is_clean and failed is None and told.status is GateStatus.PASS
        return replace(ran, result=told, is_clean=clean)

    async def ask_tool(self, site: Site, argv: Sequence[str]) -> str | None:
        """What a tool of the syntax check prints; its output is bounded as all output is."""
        answer = site.room.root / "answer"
        call = replace(
            self._call(site, None, self._environment(site, None)),
            argv=tuple(argv),
            stdout=answer,
            stderr=self._logs / "syntax.log",
            wall_s=_TOOL_S,
        )
        end = await self._parts.confined.run(call)
        return read_end(answer, _TOOL_BYTES) if end.kind is EndKind.EXITED and end.code == 0 else None

    def _environment(self, site: Site, check: Check | None) -> dict[str, str]:
        junit = site.room.out / f"{safe_name(check.id if check else 'syntax')}.xml"
        built = self._parts.environment.of_check(self._job, site.room, site.port_base, junit)
        more = dict(check.env) if check else {}
        return built | {name: value for name, value in more.items() if not name.startswith("CHARGEHAND_")}

    def _call(self, site: Site, check: Check | None, env: Mapping[str, str], *, again: str = "") -> Call:
        parts, job = self._parts, self._job
        tell = parts.on_output
        return Call(
            argv=(),
            env=env,
            workspace=site.workspace.path,
            room=site.room,
            stdout=self._logs / f"{safe_name(check.id if check else 'syntax')}{again}.log",
            wall_s=check.wall_s if check else _TOOL_S,
            idle_s=check.idle_s if check else None,
            marker=f"{mark_of(parts.folder)}/{job.key}",
            vault=self.redactor.vault,
            attend=None if tell is None else lambda running: tell_lines(running, partial(tell, job.key)),
        )

    # -- results

    async def _ran(self, site: Site, check: Check, call: Call, end: ProcessEnd) -> Ran:
        await asyncio.to_thread(self.redactor.file, call.stdout)
        text = await asyncio.to_thread(read_end, call.stdout, _TAIL_BYTES)
        status, fault, detail = judge(check.run, end, text)
        ids: TestIds | None = None
        failed: tuple[str, ...] | None = None
        if check.junit and status is not GateStatus.FAULT:
            ids = await asyncio.to_thread(self._read_tests, Path(call.env["CHARGEHAND_JUNIT"]), site.paths)
            failed, told = _failed(ids, status)
            detail = detail or told
            status = GateStatus.FAIL if failed else status
        result = GateResult(
            gate=check.id,
            tree=self._job.tree,
            status=status,
            fault=fault,
            exit_code=end.code,
            command=self.redactor.text(clean_text(check.run.text)),
            detail=self.redactor.text(clean_text(detail))[:_DETAIL_CHARS],
            tail=normalise_tail(self.redactor.text(clean_text(last_state(text))), site.paths),
            failed_tests=failed,
            wall_s=end.wall_s,
            log=f"{self._log_name}/{call.stdout.name}",
            flaky=ids.flaky[:_MOST_NAMED] if ids else (),
            output_sha256=await asyncio.to_thread(_sha256, call.stdout),
        )
        clean = status is GateStatus.PASS and not detail and not result.flaky
        return Ran(result=result, ids=ids, is_clean=clean)

    def _read_tests(self, junit: Path, paths: Sequence[str]) -> TestIds | None:
        ids = read_tests(junit, paths)
        return None if ids is None else redacted_ids(ids, self.redactor.text)

    async def _with_ids(self, check: Check, result: GateResult, ids: TestIds | None, log: Path) -> GateResult:
        """The result with the file of its test ids, held against the tests of the tree before."""
        if result.status is GateStatus.FAULT:
            return result
        if ids is not None:
            file = log.with_suffix(".tests.json")
            await asyncio.to_thread(write_ids, file, ids)
            result = replace(result, tests=f"{self._log_name}/{file.name}")
        if not check.baseline or check.may_vanish:
            return result
        before = await asyncio.to_thread(read_ids, self._parts.folder, check.baseline)
        if before is None:
            text = f"The tests of before could not be read ({check.baseline}): nothing was compared."
            return replace(result, detail=_joined(result.detail, text))
        gone = vanished_tests(before, ids)
        if not gone:
            return result
        detail = _joined(result.detail, _told_of(gone))
        return replace(result, status=GateStatus.FAIL, vanished=gone[:_MOST_NAMED], detail=detail)

    # -- cached results

    async def from_cache(self, check: Check, entry: Entry) -> GateResult | None:
        """The result of another run as one of this job; None where it would not be green here."""
        result = GateResult(
            gate=check.id,
            tree=self._job.tree,
            status=GateStatus.PASS,
            exit_code=0,
            command=self.redactor.text(clean_text(check.run.text)),
            tail=self.redactor.text(clean_text(entry.tail)),
            failed_tests=() if check.junit else None,
            cached=entry.run,
            output_sha256=entry.output_sha256,
            environment=entry.environment,
        )
        if check.junit:
            if entry.tests is None:
                return None
            ids = redacted_ids(entry.tests, self.redactor.text)
            result = await self._with_ids(check, result, ids, self._logs / f"{safe_name(check.id)}.log")
        return result if result.status is GateStatus.PASS else None

    # -- the audit

    async def told(self, result: GateResult, started_at: float) -> GateResult:
        """The result, once its line is in the audit; else a fault."""
        named = replace(result, gate=f"{self._aside}/{result.gate}") if self._aside else result
        line = audit_line(self._job, named, started_at)
        try:
            await asyncio.to_thread(self._audit.append, line)
        except OSError as error:
            why = f"Its audit line could not be written: {error}."
            return replace(result, status=GateStatus.FAULT, fault=FaultKind.AMBIGUOUS, detail=why)
        return result


def _failed(ids: TestIds | None, status: GateStatus) -> tuple[tuple[str, ...] | None, str]:
    """The failed tests of a gate that wrote JUnit XML, and what there is to say about it."""
    if ids is None:
        return None, "It left no JUnit XML that could be read at $CHARGEHAND_JUNIT."
    if status is GateStatus.FAIL and not ids.failed:
        # Red for another reason than a test: nothing of this may be taken for an old failure.
        return None, "It failed, although its JUnit XML names no failed test."
    if status is GateStatus.PASS and ids.failed:
        count = len(ids.failed)
        return ids.failed, f"It ended with exit code 0, although its JUnit XML names {count} failed tests."
    return ids.failed, ""


def _settled(first: GateResult, second: GateResult) -> GateResult:
    """What a failure and a second, unchanged run of the same check come to."""
    before, now = set(first.failed_tests or ()), set(second.failed_tests or ())
    if second.status is GateStatus.FAULT:
        text = f"When it was run once more it could not judge ({second.fault}): {second.detail}"
        return replace(first, detail=_joined(first.detail, text))
    if second.status is GateStatus.FAIL:
        told = before - now if second.failed_tests is not None else set()
        return replace(second, flaky=tuple(sorted({*second.flaky, *told}))[:_MOST_NAMED])
    text = f"It failed at first ({first.log}), and passed when it was run once more, unchanged."
    flaky = tuple(sorted({*second.flaky, *(before or {first.gate})}))
    return replace(second, flaky=flaky[:_MOST_NAMED], detail=_joined(second.detail, text))


def _told_of(gone: Sequence[str]) -> str:
    some = ", ".join(gone[:_NAMED])
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    return f"Tests that passed before were not run: {some}{more}."


def _joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)[:_DETAIL_CHARS]


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
