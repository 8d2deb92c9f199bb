"""Runs checks on a commit in a clean checkout that is thrown back afterwards (SPEC 5).

Nothing that runs here can change what is judged [I7]: the checkouts belong to a pool of their own that no agent sees,
each job starts from a cleaned one, and what is read back are exit codes, logs and JUnit XML.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chargehand.adapters.confined import Call, Confined, mark_of, substitute, tell_lines
from chargehand.adapters.environment import Environment, Ports
from chargehand.adapters.folders import PrivateFolders, Room, safe_name, write_below
from chargehand.adapters.git import Repository
from chargehand.adapters.junit import failed_tests
from chargehand.adapters.output import Redactor, last_state, normalise_tail, read_end
from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.adapters.scrubbing import scrubbed
from chargehand.adapters.setup import Setup, SetupCall, keep_patterns
from chargehand.adapters.syntax import SyntaxReport, check_syntax, is_parsed, needs_tool
from chargehand.adapters.text import clean_text
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.domain.plan import Command
from chargehand.ports import Check, GateJob, OnOutput, Workspace, Workspaces

__all__ = ["CommandGates", "GateParts", "changed_paths"]

_TAIL_BYTES = 256 * 1024
_SYNTAX_S = 120.0
_DETAIL_LINES = 50
_TEXT_CHARS = 1_000_000
_MARKS = {EndKind.TIMEOUT: FaultKind.TIMEOUT, EndKind.STALL: FaultKind.STALL, EndKind.OVER_DISK: FaultKind.AMBIGUOUS}


async def changed_paths(repository: Repository, base: str, commit: str) -> tuple[str, ...]:
    """The paths that `commit` has and `base` has not, or has otherwise; nothing of the checkout is looked at."""
    args = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d", base, commit)
    got = await repository.plumbing().run(*args)
    return tuple(path.decode("utf-8", "surrogateescape") for path in got.stdout.split(b"\0") if path)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateParts:
    """What gates are made of. `workspaces` is a pool of their own; `folder` is the run's folder, for the logs.

    `changed` tells what is to be parsed (`changed_paths` of the repository).
    """

    workspaces: Workspaces
    confined: Confined
    environment: Environment
    folders: PrivateFolders
    ports: Ports
    setup: Setup
    changed: Callable[[str, str], Awaitable[Sequence[str]]]
    folder: Path
    setup_wall_s: float = 900.0
    on_output: OnOutput | None = None


class CommandGates:
    """Implements `ports.Gates` with the commands of the plan."""

    def __init__(self, parts: GateParts) -> None:
        self._parts = parts
        self._jobs: dict[str, asyncio.Task[tuple[GateResult, ...]]] = {}

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check that was run (`setup` and `syntax` included, in front), in order.

        `setup` has a result only when it had to run. AdapterError when no checkout could be made.
        """
        if job.key in self._jobs:
            raise AdapterError("gates", f"The job {job.key} is running already.")
        task = asyncio.ensure_future(_Job(self._parts, job).run())
        self._jobs[job.key] = task
        try:
            return await task  # whoever cancels this cancels the task, and waits until it has cleaned up
        except OSError as error:
            raise AdapterError("gates", f"The job {job.key} could not be run: {error}.", retryable=True) from error
        finally:
            del self._jobs[job.key]

    async def cancel(self, key: str) -> None:
        """End the job and every process of it, and wait for that; harmless for a job that is not there."""
        task = self._jobs.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Where a job works."""

    workspace: Workspace
    room: Room
    port_base: int

    @property
    def paths(self) -> tuple[str, ...]:
        """What differs from job to job and is to be left out of tails and test ids."""
        found = (self.workspace.path, self.room.root, self.room.tmp)
        return tuple({str(path) for path in found} | {str(path.resolve()) for path in found})


class _Job:
    """One job from checkout to results."""

    def __init__(self, parts: GateParts, job: GateJob) -> None:
        self._parts = parts
        self._job = job
        self._redactor = Redactor(parts.environment.vault(job.env))
        self._log_name = "/".join(["gates", *(safe_name(part) for part in job.key.split("/"))])
        self._logs = parts.folder / self._log_name

    async def run(self) -> tuple[GateResult, ...]:
        self._logs.mkdir(parents=True, exist_ok=True)
        alone = await self._syntax_alone()
        if alone is not None:
            return (alone,)
        results: list[GateResult] = []
        for number, checks in enumerate(_turns(self._job)):
            if any(_broke_off(result) for result in results) or (self._job.stop_early and _stops(results)):
                break
            async with self._site() as site:
                await self._take_turn(site, checks, results, first=number == 0)
        return tuple(results)

    async def _take_turn(self, site: _Site, checks: Sequence[Check], results: list[GateResult], *, first: bool) -> None:
        prepared = await self._prepare(site)
        if prepared is not None and (first or prepared.status is not GateStatus.PASS):
            results.append(prepared)
        if prepared is not None and prepared.status is not GateStatus.PASS:
            return
        parsed = await self._syntax(site) if first else None
        if parsed is not None:
            results.append(parsed)
        for check in checks:
            if self._job.stop_early and _stops(results):
                return
            results.append(await self._check(site, check))

    @asynccontextmanager
    async def _site(self) -> AsyncIterator[_Site]:
        parts, job = self._parts, self._job
        branch = f"chargehand/{job.run}/gates"
        workspace = await parts.workspaces.acquire(job.commit, branch=branch, keep=keep_patterns(job.setup))
        try:
            room = parts.folders.make()
            try:
                port_base = parts.ports.take()
                try:
                    yield _Site(workspace=workspace, room=room, port_base=port_base)
                finally:
                    parts.ports.give(port_base)
            finally:
                await parts.folders.remove(room)
        finally:
            await parts.workspaces.release(workspace)

    # -- steps

    async def _prepare(self, site: _Site) -> GateResult | None:
        spec = self._job.setup
        if spec is None:
            return None
        check = Check(id="setup", run=spec.run, wall_s=self._parts.setup_wall_s)
        call = self._call(site, check, self._parts.environment.of_gate_setup(self._job, site.room, site.port_base))
        asked = SetupCall(spec=spec, env=self._job.env, workspace=site.workspace, call=call)
        step = await self._parts.setup.prepare(asked)
        return None if step.end is None else await self._result(site, check, call, step.end)

    async def _syntax(self, site: _Site) -> GateResult | None:
        job = self._job
        if not job.syntax or job.base == job.commit:
            return None
        started = asyncio.get_running_loop().time()
        paths = await self._parts.changed(job.base, job.commit)
        report = await check_syntax(site.workspace.path, paths, partial(self._ask_tool, site))
        wall_s = asyncio.get_running_loop().time() - started
        return self._of_syntax(report, wall_s)

    async def _syntax_alone(self) -> GateResult | None:
        """The syntax check by itself, on the changed files as the commit has them.

        A checkout for it would look at every file of the tree. None where it needs one: other checks follow, a tool has
        to look, a file is no plain text, or something is wrong and the project's own tools should say so.
        """
        job, parts = self._job, self._parts
        if not job.syntax or job.checks or job.setup is not None or job.base == job.commit:
            return None
        started = asyncio.get_running_loop().time()
        paths = await parts.changed(job.base, job.commit)
        if any(needs_tool(path) or not path.isprintable() for path in paths):
            return None
        parsed = [path for path in paths if is_parsed(path)]
        texts = await parts.workspaces.read(job.commit, parsed, _TEXT_CHARS)
        if len(texts) < len(parsed) or any("\ufffd" in text or len(text) == _TEXT_CHARS for text in texts.values()):
            return None
        room = parts.folders.make()
        try:
            for path in paths:
                write_below(room.out, path, texts.get(path, ""))
            report = await check_syntax(room.out, paths, _no_tool)
        finally:
            await parts.folders.remove(room)
        wall_s = asyncio.get_running_loop().time() - started
        return None if report.problems else self._of_syntax(report, wall_s)

    async def _ask_tool(self, site: _Site, argv: Sequence[str]) -> str | None:
        """Run a tool of the syntax check; its output is bounded as all output is."""
        answer = site.room.root / "answer"
        call = replace(
            self._call(site, None, self._environment(site, "syntax")),
            argv=tuple(argv),
            stdout=answer,
            stderr=self._logs / "syntax.log",
            wall_s=_SYNTAX_S,
        )
        end = await self._parts.confined.run(call)
        return read_end(answer, 8 << 20) if end.kind is EndKind.EXITED and end.code == 0 else None

    async def _check(self, site: _Site, check: Check) -> GateResult:
        call = self._call(site, check, self._environment(site, check.id))
        call = replace(call, argv=substitute(check.run, call.env))
        return await self._result(site, check, call, await self._parts.confined.run(call))

    def _environment(self, site: _Site, check: str) -> dict[str, str]:
        junit = site.room.out / f"{safe_name(check)}.xml"
        return self._parts.environment.of_check(self._job, site.room, site.port_base, junit)

    def _call(self, site: _Site, check: Check | None, env: Mapping[str, str]) -> Call:
        parts, job = self._parts, self._job
        tell = parts.on_output
        return Call(
            argv=(),
            env=env,
            workspace=site.workspace.path,
            room=site.room,
            stdout=self._logs / f"{safe_name(check.id if check else 'syntax')}.log",
            wall_s=check.wall_s if check else _SYNTAX_S,
            idle_s=check.idle_s if check else None,
            marker=f"{mark_of(parts.folder)}/{job.key}",
            vault=self._redactor.vault,
            attend=None if tell is None else lambda running: tell_lines(running, partial(tell, job.key)),
        )

    # -- results

    async def _result(self, site: _Site, check: Check, call: Call, end: ProcessEnd) -> GateResult:
        await asyncio.to_thread(self._redactor.file, call.stdout)
        text = await asyncio.to_thread(read_end, call.stdout, _TAIL_BYTES)
        status, fault, detail = _judge(check.run, end, text)
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
            command=self._redactor.text(clean_text(check.run.text)),
            detail=self._redactor.text(clean_text(detail))[:2000],
            tail=normalise_tail(self._redactor.text(clean_text(last_state(text))), site.paths),
            failed_tests=None if failed is None else tuple(map(self._redactor.text, failed)),
            wall_s=end.wall_s,
            log=f"{self._log_name}/{call.stdout.name}",
        )

    def _of_syntax(self, report: SyntaxReport, wall_s: float) -> GateResult:
        return scrubbed(_syntax_result(report, self._job.tree, wall_s), self._redactor.vault)

    async def _tests(self, site: _Site, call: Call, status: GateStatus) -> tuple[tuple[str, ...] | None, str]:
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


def _turns(job: GateJob) -> list[tuple[Check, ...]]:
    """Which checks share a checkout: a task's verify commands build on each other, a gate has one of its own.

    What runs in a check was written by agents, and may write where the next one looks [I7]. Where setup keeps nothing
    it would run anew for every gate, so there they share one.
    """
    if job.setup is not None and not job.setup.keep:
        return [job.checks]
    verify = tuple(check for check in job.checks if check.id.startswith("verify-"))
    gates: list[tuple[Check, ...]] = [(check,) for check in job.checks if check not in verify]
    return [verify, *gates] if verify or not gates else gates


def _broke_off(result: GateResult) -> bool:
    return result.gate == "setup" and result.status is not GateStatus.PASS


def _stops(results: Sequence[GateResult]) -> bool:
    return any(result.status in (GateStatus.FAIL, GateStatus.FAULT) for result in results)


def _judge(command: Command, end: ProcessEnd, output: str) -> tuple[GateStatus, FaultKind | None, str]:
    """What an end means: exit 0 passes, what could not judge is a fault, everything else fails."""
    if end.kind is EndKind.CANCELLED:
        raise asyncio.CancelledError
    if end.kind in _MARKS:
        return GateStatus.FAULT, _MARKS[end.kind], end.detail
    if end.kind is EndKind.NOT_STARTED:
        return GateStatus.FAULT, FaultKind.ENV_MISSING, end.detail
    if end.kind is EndKind.EXITED and end.code == 0:
        return GateStatus.PASS, None, end.detail
    missing = _missing_program(command, end, output)
    if missing:
        return GateStatus.FAULT, FaultKind.ENV_MISSING, missing
    how = f"signal {end.signal}" if end.signal is not None else f"exit code {end.code}"
    return GateStatus.FAIL, None, f"It ended with {how}."


_NOT_FOUND = re.compile(r"^(?:\S*/)?(?:ba|da|z|k|a)?sh: (?:line )?(?:\d+: )?(?P<name>.+?): (?:command )?not found$")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_TOOLS = frozenset(
    {
        *("pytest", "mypy", "ruff", "coverage", "tox", "nox", "flake8", "black", "isort", "pylint", "pyright", "build"),
        *("pip", "uv", "behave", "robot", "bandit", "hatch", "poetry", "pre_commit", "unittest"),
    }
)


def _missing_program(command: Command, end: ProcessEnd, output: str) -> str:
    """Why a command that did run could not judge: a program was missing. An empty string when none was.

    For a string that is what the shell says about its first word; a known tool that `python -m` cannot find counts,
    too, because `No module named` about anything else may well be what the check is about.
    """
    first = _first_word(command)
    if end.code == 126:
        return f"The program {first} cannot be executed: look at its permissions."
    lines = [line.strip() for line in clean_text(output).split("\n") if line.strip()]
    if command.shell and end.code == 127:
        names = {found["name"] for line in lines if (found := _NOT_FOUND.match(line))}
        if first in names:
            return f"The program {first} was not found on PATH: install it or name it by its full path."
    argv = command.argv
    is_tool = not command.shell and len(argv) > 2 and argv[1] == "-m" and argv[2] in _TOOLS
    if is_tool and end.code == 1 and lines and lines[-1].endswith(f"No module named {argv[2]}"):
        return f"{argv[0]} has no module {argv[2]}: install it where {argv[0]} finds it, for example in `setup`."
    return ""


def _first_word(command: Command) -> str:
    if not command.shell:
        return command.argv[0]
    try:
        words = shlex.split(command.argv[0], comments=True)
    except ValueError:
        words = command.argv[0].split()
    return next((word for word in words if not _ASSIGNMENT.match(word)), "")


async def _no_tool(_argv: Sequence[str]) -> str | None:
    return None


def _syntax_result(report: SyntaxReport, tree: str, wall_s: float) -> GateResult:
    lines = [str(problem) for problem in report.problems]
    skipped = [f"skipped {clean_text(path)}: {why}" for path, why in report.skipped]
    good = GateStatus.PASS if report.parsed else GateStatus.SKIPPED
    return GateResult(
        gate="syntax",
        tree=tree,
        status=GateStatus.FAIL if lines else good,
        detail="\n".join([*lines, *skipped][:_DETAIL_LINES]),
        tail="\n".join(lines[:_DETAIL_LINES]),
        wall_s=wall_s,
    )
