"""One attempt on this machine, from the workspace to the sealed result (SPEC 3.5 to 3.7).

A workspace at the base, set up; the brief in a private folder; the agent confined to both; then what it reported,
and what it left, sealed. Everything that can come of it is a value or an AdapterError. An attempt that is torn
down with the program first ends every process and keeps what there is [I2, I11].
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agent_run import (
    ASK_AGAIN,
    AgentHome,
    AgentRun,
    as_stream,
    exit_of,
    furnish,
    how,
    is_beaten,
    notice_report,
)
from chargehand.adapters.answers import MAX_BYTES
from chargehand.adapters.attempt_note import AttemptNote, Stage, write_note
from chargehand.adapters.checkout_watch import Snapshot
from chargehand.adapters.confined import Call, mark_of, tell_lines
from chargehand.adapters.fleet_parts import FleetParts
from chargehand.adapters.folders import Room, read_regular, safe_name, write_below
from chargehand.adapters.output import Redactor, last_state, read_end
from chargehand.adapters.process import EndKind, ProcessEnd, Running
from chargehand.adapters.reports import read_report
from chargehand.adapters.scrubbing import scrubbed
from chargehand.adapters.secret_formats import without_secrets
from chargehand.adapters.setup import SetupCall, keep_patterns
from chargehand.adapters.text import clean_text
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import AttemptFinished
from chargehand.domain.ids import attempt_ref, integration_branch, rescue_prefix
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Report, Sealed, Usage
from chargehand.ports import Agent, AttemptSpec, Launch, Places, SealJob, Workspace

if TYPE_CHECKING:
    from chargehand.adapters.guarded import Guarded
    from chargehand.adapters.metering import Metered

__all__ = ["Attempt", "FleetParts"]

PATCH_BYTES = 1024 * 1024
OUTPUT_CHARS = 2_000
_KEPT_FILES = (
    *("attempt.json", "brief.md", "stdout.log", "stderr.log", "setup.log", "report.json", "previous.patch"),
    *("stream.jsonl", "again.jsonl", "again.log", "final.md"),
)
LEAST_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Where an attempt works."""

    workspace: Workspace
    room: Room
    port_base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """An agent that may start."""

    places: Places
    launch: Launch
    env: Mapping[str, str]
    run: AgentRun | None


class Attempt:
    """One attempt; `run` is awaited once."""

    def __init__(self, parts: FleetParts, spec: AttemptSpec) -> None:
        self._parts = parts
        self._spec = spec
        self._name = f"attempts/{safe_name(spec.task)}/{spec.attempt}"
        self._files = parts.folder / self._name
        self._redactor = Redactor(parts.environment.vault(spec.env))
        self._marker = f"{mark_of(parts.folder)}/{spec.key}"
        self._ref = spec.ref or attempt_ref(spec.run, spec.task, spec.attempt)
        self._warnings: list[str] = []
        self._cancelled = False
        self._now = False
        self._running: Running | None = None
        self._metered: Metered | None = None
        self._guarded: Guarded | None = None
        self._preparing: asyncio.Future[_Ready | str] | None = None

    # -- control

    async def cancel(self, *, now: bool) -> None:
        """Ask for the end: what is being prepared is given up, a running program stopped."""
        self._cancelled = True
        self._now = self._now or now
        if self._running is not None:
            await self._running.stop(now=now)
        elif self._preparing is not None:
            self._preparing.cancel()

    def _is_cancelled(self) -> bool:
        return self._cancelled

    async def run(self) -> AttemptResult:
        """The attempt from start to end; AdapterError when the world could not carry it out."""
        spec = self._spec
        agent = self._parts.agents.get(spec.agent)
        why = f"There is no agent called {spec.agent}." if agent is None else agent.missing()
        if agent is None or why:
            return self._not_started(ExitKind.ENV_MISSING, why)
        if self._is_cancelled():
            return self._never_began()
        try:
            self._files.mkdir(parents=True, exist_ok=True)
            for name in _KEPT_FILES:
                (self._files / name).unlink(missing_ok=True)
            branch = f"{integration_branch(spec.run)}/{spec.task}"
            workspace = await self._parts.workspaces.acquire(
                spec.base,
                branch=branch,
                keep=keep_patterns(spec.setup),
                hide=[path for path, _ in spec.inputs],
                declared=spec.declared,
            )
            return await self._in(workspace, agent)
        except OSError as error:
            text = f"The attempt could not be carried out: {error}."
            raise AdapterError("fleet", text, retryable=True) from error

    async def _in(self, workspace: Workspace, agent: Agent) -> AttemptResult:
        """Work in a workspace, and give it back only when nothing in it can be lost [I2]."""
        parts = self._parts
        room: Room | None = None
        port_base = 0
        safe = False
        try:
            self._note(workspace, Stage.PREPARING)
            room = self._at_home(parts.folders.make())
            port_base = parts.ports.take()
            result = await self._work(_Site(workspace=workspace, room=room, port_base=port_base), agent)
            if self._metered is not None:
                result = self._metered.corrected(result)
            result = scrubbed(result, self._redactor.vault)
            # what was cancelled is sealed, but nobody judges it: people find it among the rescues
            to_rescue = bool(result.seal_problem) or result.exit.kind is ExitKind.CANCELLED
            safe = (await self._rescued(workspace) if to_rescue else True) or not result.seal_problem
            await asyncio.to_thread(self._note, workspace, Stage.ENDED, result)
            return result
        except BaseException:
            safe = await self._rescued(workspace)
            raise
        finally:
            parts.ports.give(port_base)
            if self._metered is not None:
                await self._metered.close()
            if self._guarded is not None:
                await self._guarded.stop()
            if room is not None:
                await parts.folders.remove(room)
            if safe:
                with suppress(AdapterError, OSError):  # the slot stays taken; the result counts all the same
                    await parts.workspaces.release(workspace)

    def _at_home(self, room: Room) -> Room:
        """The room with the HOME that is kept for the agent, if there is one."""
        kept = self._parts.homes.get(self._spec.agent, AgentHome()).kept
        if kept is None:
            return room
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        return replace(room, home=kept)

    def _note(self, workspace: Workspace, stage: Stage, result: AttemptResult | None = None) -> None:
        """Write down how far it has come; without the note, the attempt would merely be done again after a crash."""
        spec = self._spec
        note = AttemptNote(key=spec.key, run=spec.run, base=spec.base, ref=self._ref, slot=workspace.slot, stage=stage)
        if result is not None:
            note = note.ended(AttemptFinished(key=spec.key, task=spec.task, attempt=spec.attempt, result=result))
        with suppress(OSError):
            write_note(self._parts.folder, note)

    async def _rescued(self, workspace: Workspace) -> bool:
        """Keep what was not sealed; False when even that failed, and the workspace has to stay as it is."""
        prefix = rescue_prefix(self._spec.run, self._spec.task)
        try:
            await self._parts.workspaces.rescue(workspace, prefix, self._message())
        except (AdapterError, OSError):
            return False
        return True

    async def _work(self, site: _Site, agent: Agent) -> AttemptResult:
        ready = await self._readied(site, agent)
        if isinstance(ready, str):
            return self._not_started(ExitKind.ENV_MISSING, ready)
        if ready is None or self._is_cancelled():
            return self._never_began()
        before = None if self._parts.watch is None else await self._parts.watch.snapshot()
        self._note(site.workspace, Stage.RUNNING)
        end = await self._parts.confined.run(self._call(site, ready))
        if end.kind is EndKind.NOT_STARTED:
            return self._not_started(ExitKind.ENV_MISSING, end.detail)
        if ready.run is not None:
            ready.run.conclude(end)
            end = await self._ask_again(site, agent, ready, end)
        return await self._judge(site, ready, end, before)

    async def _ask_again(self, site: _Site, agent: Agent, ready: _Ready, end: ProcessEnd) -> ProcessEnd:
        """Ask once more, in the same session, for a report that is missing or malformed (SPEC 3.6)."""
        run, spec = ready.run, self._spec
        assert run is not None
        left_s = spec.wall_s - end.wall_s
        if self._is_cancelled() or left_s < LEAST_AGAIN_S or not run.may_be_asked(end):
            return end
        why = self._report(ready.places.result, run.end.final_text)
        if isinstance(why, Report):
            return end
        first = run.end
        again = replace(spec, session=first.session, brief=ASK_AGAIN.format(why=why))
        call = self._call(site, replace(ready, launch=agent.launch(again, ready.places)))
        call = replace(call, stdout=self._files / "again.jsonl", stderr=self._files / "again.log", wall_s=left_s)
        second = await self._parts.confined.run(call)
        run.conclude(second)
        if second.kind is not EndKind.EXITED or second.code != 0 or run.end.failed:
            run.forget_last(first)
        self._warnings.append(f"It was asked for its report once more: {why}")
        return replace(end, wall_s=end.wall_s + second.wall_s, dropped_bytes=end.dropped_bytes + second.dropped_bytes)

    # -- before

    async def _readied(self, site: _Site, agent: Agent) -> _Ready | str | None:
        """What `_prepare` says; None when the attempt was cancelled meanwhile."""
        if self._is_cancelled():
            return None
        self._preparing = asyncio.ensure_future(self._prepare(site, agent))
        try:
            return await self._preparing
        except asyncio.CancelledError:
            if self._is_cancelled():
                return None
            raise

    async def _prepare(self, site: _Site, agent: Agent) -> _Ready | str:
        """Set the workspace up and lay everything ready; a text says why there is nothing to start."""
        spec, room = self._spec, site.room
        problem = await self._set_up(site)
        if problem:
            return problem
        for path, text in spec.inputs:
            try:
                write_below(site.workspace.path, path, text)
            except AdapterError as error:
                self._warnings.append(error.message)
        places = Places(
            workspace=site.workspace.path,
            home=room.home,
            tmp=room.tmp,
            scratch=room.scratch,
            brief=room.given / "brief.md",
            result=room.out / "result.json",
            previous=await self._previous(room),
            port_base=site.port_base,
        )
        places = await self._meter(agent, places, room)
        places = await self._guard(agent, places, room)
        places.brief.write_text(spec.brief, "utf-8", errors="replace")
        (self._files / "brief.md").write_text(self._redactor.text(spec.brief), "utf-8", errors="replace")
        try:
            ready = self._launched(agent, places)
        except (UserError, AdapterError) as error:
            return error.message
        for file in room.given.iterdir():
            file.chmod(0o444)
        room.given.chmod(0o555)
        return ready

    def _launched(self, agent: Agent, places: Places) -> _Ready:
        """Everything the agent is started with; `UserError` when something is missing."""
        spec, parts = self._spec, self._parts
        launch = agent.launch(spec, places)
        furnish(places.home, launch, agent, parts.homes.get(spec.agent, AgentHome()))
        keys = parts.environment.keys(launch.keys)
        for name in launch.keys.keys() - keys.keys():
            text = f"The variable {launch.keys[name]}, which holds the key of agent {agent.name}, is not set."
            raise UserError(text, code="no_key")
        token = places.meter.token if places.meter is not None else ""
        self._redactor = Redactor(parts.environment.vault(spec.env, (*keys.values(), token)))
        return _Ready(places=places, launch=launch, env={**launch.env, **keys}, run=self._heard(agent, launch))

    async def _guard(self, agent: Agent, places: Places, room: Room) -> Places:
        """Judge the tool calls of an agent whose program can be made to ask before each of them."""
        stream, place_of = as_stream(agent), self._parts.place_of
        form = stream.capabilities.hook if stream is not None else ""
        if not form or place_of is None:
            return places
        from chargehand.adapters.guarded import Guarded

        self._guarded = Guarded(
            self._parts.calls, self._spec, form=form, folder=room.root / "hook", redactor=lambda: self._redactor
        )
        await self._guarded.start(place_of(places))
        return replace(places, hook=self._guarded.hook.argv)

    async def _meter(self, agent: Agent, places: Places, room: Room) -> Places:
        """Through the meter, when the agent is one of those that go there and can be told of it."""
        parts = self._parts
        if parts.meter is None or self._spec.agent not in parts.metered or as_stream(agent) is None:
            return places
        from chargehand.adapters.metering import Metered

        own = {"workspace": places.workspace, "home": places.home, "tmp": places.tmp, "room": room.root}
        spec = replace(self._spec, model=self._spec.model or parts.models.get(self._spec.agent))
        self._metered = Metered(parts.meter, spec, scrub=tuple((str(own[name]), f"<{name}>") for name in own))
        if parts.relays:
            await self._metered.listen(room.root / "meter")
        return replace(places, meter=self._metered.access)

    def _heard(self, agent: Agent, launch: Launch) -> AgentRun | None:
        stream, spec, on_output = as_stream(agent), self._spec, self._parts.on_output
        if stream is None:
            return None
        return AgentRun(
            stream,
            transcript=self._files / "stdout.log",
            redactor=self._redactor,
            tell=None if on_output is None else partial(on_output, spec.key),
            tokens=spec.tokens,
            usd=spec.usd,
            session=launch.session,
            heard=None if self._guarded is None else self._guarded.heard,
        )

    async def _set_up(self, site: _Site) -> str:
        """Run `setup`; what went wrong with it, or an empty string."""
        spec, parts = self._spec, self._parts
        if spec.setup is None:
            return ""
        log = self._files / "setup.log"
        call = Call(
            argv=(),
            env=parts.environment.of_setup(spec, site.room, site.port_base),
            workspace=site.workspace.path,
            room=site.room,
            stdout=log,
            wall_s=parts.setup_wall_s,
            marker=self._marker,
            attend=self._tell,
            vault=self._redactor.vault,
        )
        asked = SetupCall(spec=spec.setup, env=spec.env, workspace=site.workspace, call=call)
        end = (await parts.setup.prepare(asked)).end
        if end is None or (end.kind is EndKind.EXITED and end.code == 0):
            return ""
        await asyncio.to_thread(self._redactor.file, log)
        text = end.detail or f"It ended with {how(end)}."
        return f"setup could not prepare the workspace. {text}\n{_end_of(log, self._redactor, 1_000)}".strip()

    async def _previous(self, room: Room) -> Path | None:
        if self._spec.previous is None:
            return None
        target = room.given / "previous.patch"
        await self._parts.workspaces.patch(*self._spec.previous, target, PATCH_BYTES)
        await asyncio.to_thread(self._keep_patch, target)
        return target

    def _keep_patch(self, patch: Path) -> None:
        """Show the agent no secret that is known, and keep a copy without what only looks like one."""
        data = self._redactor.data(patch.read_bytes())
        patch.write_bytes(data)
        kept = without_secrets(data.decode("utf-8", "surrogateescape"))
        (self._files / patch.name).write_bytes(kept.encode("utf-8", "surrogateescape"))

    # -- while it runs

    def _call(self, site: _Site, ready: _Ready) -> Call:
        spec, places, run = self._spec, ready.places, ready.run
        reported = site.room.root / "reported"
        hook = self._guarded.hook if self._guarded is not None else None
        relay = self._metered.relay if self._metered is not None else None
        env = self._parts.environment.of_attempt(spec, places, ready.env)
        return Call(
            argv=ready.launch.argv,
            env=env if self._metered is None else {**env, **self._metered.variables(env)},
            workspace=places.workspace,
            room=site.room,
            stdin=ready.launch.stdin,
            stdout=self._files / ("stdout.log" if run is None else "stream.jsonl"),
            stderr=self._files / "stderr.log",
            wall_s=spec.wall_s,
            idle_s=spec.idle_s,
            marker=self._marker,
            done=reported,
            grace_s=self._parts.grace_s,
            attend=partial(self._attend, places.result, reported, run),
            tap=None if run is None else run.tap,
            vault=self._redactor.vault,
            readable=(*(hook.readable if hook else ()), *(relay.readable if relay else ())),
            also=hook.argv[:1] if hook else (),
            front=relay.front if relay else (),
        )

    async def _attend(self, result: Path, reported: Path, run: AgentRun | None, running: Running) -> None:
        self._running = running
        if self._cancelled:
            await running.stop(now=self._now)
        beside = [self._tell(running) if run is None else run.attend(running), notice_report(result, reported)]
        if self._metered is not None and run is not None:
            beside.append(self._metered.attend(running, run))
        if self._guarded is not None:
            beside.append(self._guarded.attend(running))
        await asyncio.gather(*beside)

    async def _tell(self, running: Running) -> None:
        if self._parts.on_output is not None:
            await tell_lines(running, partial(self._parts.on_output, self._spec.key))

    # -- after

    async def _judge(self, site: _Site, ready: _Ready, end: ProcessEnd, before: Snapshot | None) -> AttemptResult:
        stdout, stderr = self._files / "stdout.log", self._files / "stderr.log"
        told = None if ready.run is None else ready.run.end
        said = stdout if told is None else told.final_text
        found = await asyncio.to_thread(self._report, ready.places.result, said)
        report = found if isinstance(found, Report) else None
        if report is not None and is_beaten(end):
            self._warnings.append(f"The report counts, although the agent ended with {how(end)}.")
        elif report is not None and told is not None and told.failed:
            self._warnings.append(f"The report counts, although the agent failed in the end: {told.detail}")
        if end.dropped_bytes:
            self._warnings.append(f"{end.dropped_bytes} bytes of the agent's output were dropped.")
        if ready.run is not None:
            self._warnings += ready.run.warnings
            self._warnings += self._other_model(ready.run.end.model)
        if self._guarded is not None:
            self._warnings += self._guarded.in_vain
        was_stopped = ready.run is not None and ready.run.was_stopped
        ending = exit_of(end, told, has_report=report is not None, was_stopped=was_stopped)
        sealed, problem = await self._seal(site.workspace, report, before)
        for name in _KEPT_FILES:  # known secrets never got into them: this is for those that the change itself showed
            await asyncio.to_thread(self._redactor.file, self._files / name)
        used = told.usage if told is not None else None
        return AttemptResult(
            exit=replace(ending, detail=self._shown(ending.detail)),
            report=report,
            report_problem=found if isinstance(found, str) else "",
            sealed=sealed,
            seal_problem=problem,
            usage=Usage(tokens=used.tokens if used else None, usd=used.usd if used else None, wall_s=end.wall_s),
            output=self._output(stdout, stderr),
            log=f"{self._name}/{stdout.name}",
            warnings=tuple(self._shown(warning) for warning in self._warnings),
            session=self._shown(told.session) if told else "",
            model=self._shown(told.model) if told else "",
        )

    def _other_model(self, told: str) -> Iterator[str]:
        """What the program tells of its model, where no meter knows better."""
        if self._metered is None:
            from chargehand.adapters.metering import other_model

            yield from other_model(self._spec.model or self._parts.models.get(self._spec.agent, ""), told)

    def _report(self, result: Path, said: Path | str) -> Report | str:
        """The report, read from the copy that is kept when there is something to copy; else from what it `said`."""
        raw = read_regular(result, MAX_BYTES)
        if raw is not None:
            copy = self._files / "report.json"
            copy.write_bytes(self._redactor.data(raw))
            return read_report(copy)
        if isinstance(said, Path):
            return read_report(result, said)
        final = self._files / "final.md"
        final.write_text(self._redactor.text(said), "utf-8", errors="replace")
        return read_report(result, final)

    async def _seal(
        self, workspace: Workspace, report: Report | None, before: Snapshot | None
    ) -> tuple[Sealed | None, str]:
        spec = self._spec
        job = SealJob(
            workspace=workspace,
            ref=self._ref,
            message=self._message(),
            declared=spec.declared,
            claim=report.commit if report else None,
            inputs=tuple(path for path, _ in spec.inputs),
        )
        try:
            sealed = await self._sealed(job)
            if self._parts.watch is not None and before is not None:
                found = self._parts.watch.diff(before, await self._parts.watch.snapshot())
                sealed = replace(sealed, checkout_changed=found.checkout_changed, config_changed=found.config_changed)
        except AdapterError as error:
            return None, error.message
        except OSError as error:
            return None, f"The workspace could not be sealed: {error}."
        return sealed, ""

    async def _sealed(self, job: SealJob) -> Sealed:
        """Sealed at the second or third try where the first met a lock or a `gc`: that is no fault of the agent."""
        for pause_s in (0.2, 1.0):
            try:
                return await self._parts.workspaces.seal(job)
            except AdapterError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(pause_s)
        return await self._parts.workspaces.seal(job)

    def _message(self) -> str:
        spec = self._spec
        title = " ".join(spec.title.split())[:200]
        trailers = f"Chargehand-Run: {spec.run}\nChargehand-Task: {spec.task}\nChargehand-Attempt: {spec.attempt}\n"
        return f"{spec.task}: {title}\n\n{trailers}"

    def _output(self, stdout: Path, stderr: Path) -> str:
        """The end of what was printed; of both where there are both."""
        said = _end_of(stderr, self._redactor, OUTPUT_CHARS // 2)
        room = OUTPUT_CHARS - len(said) - 1 if said else OUTPUT_CHARS
        return "\n".join(filter(None, (_end_of(stdout, self._redactor, room), said)))

    def _shown(self, text: str) -> str:
        return self._redactor.text(clean_text(text))[:OUTPUT_CHARS]

    def _not_started(self, kind: ExitKind, detail: str) -> AttemptResult:
        return AttemptResult(
            exit=AgentExit(kind=kind, detail=self._shown(detail)),
            report_problem="The agent was not started.",
            warnings=tuple(self._warnings),
        )

    def _never_began(self) -> AttemptResult:
        return self._not_started(ExitKind.CANCELLED, "It was cancelled before the agent started.")


def _end_of(log: Path, redactor: Redactor, limit: int) -> str:
    """The end of a log, fit to be shown."""
    text = clean_text(last_state(read_end(log, 16 * 1024)))
    return redactor.text(text).strip()[-limit:]
