"""One attempt on this machine, from the workspace to the result (SPEC 3.5 to 3.7, 4).

A workspace, set up; the brief in a private folder; the agent confined to both; then what it answered, and what is true
of it. Everything that can come of it is a value or an AdapterError. An attempt that is torn down with the program first
ends every process and keeps what there is [I2, I11].
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from chargehand.adapters.agent_run import AgentHome, AgentRun, exit_of, how, is_beaten, notice_report
from chargehand.adapters.attempt_ground import OUTPUT_CHARS, Ground, Ready, Site
from chargehand.adapters.attempt_note import AttemptNote, Stage, write_note
from chargehand.adapters.attempt_start import Preparation
from chargehand.adapters.attempt_work import Answer, Making, Work
from chargehand.adapters.confined import Call
from chargehand.adapters.fleet_parts import FleetParts
from chargehand.adapters.folders import Room, remove_tree
from chargehand.adapters.process import EndKind, ProcessEnd, Running
from chargehand.adapters.scrubbing import scrubbed
from chargehand.adapters.setup import keep_patterns
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import AttemptFinished
from chargehand.domain.ids import rescue_prefix
from chargehand.domain.outcome import LOOKERS, AgentExit, AttemptResult, ExitKind, Role, Usage
from chargehand.domain.runtimes import other_mode, other_model
from chargehand.ports import Agent, AttemptSpec, StreamEnd, Workspace

__all__ = ["Attempt", "FleetParts"]

_KEPT_FILES = (
    *("attempt.json", "brief.md", "stdout.log", "stderr.log", "setup.log", "report.json", "previous.patch"),
    *("stream.jsonl", "again.jsonl", "again.log", "final.md", "change.patch", "verdict.json", "restoration.json"),
)
LEAST_AGAIN_S = 5.0


class Attempt:
    """One attempt; `run` is awaited once."""

    def __init__(self, parts: FleetParts, spec: AttemptSpec) -> None:
        self._parts = parts
        self._spec = spec
        self._ground = Ground.of(parts, spec)
        self._work = _work_of(self._ground)
        self._preparing: asyncio.Future[Ready | str] | None = None
        self._rescues: tuple[str, ...] = ()

    # -- control

    async def cancel(self, *, now: bool) -> None:
        """Ask for the end: what is being prepared is given up, a running program stopped."""
        await self._ground.cancel(now=now)
        if self._ground.running is None and self._preparing is not None:
            self._preparing.cancel()

    def _is_cancelled(self) -> bool:
        return self._ground.is_cancelled

    async def run(self) -> AttemptResult:
        """The attempt from start to end; AdapterError when the world could not carry it out."""
        spec, ground = self._spec, self._ground
        agent = self._parts.agents.get(spec.agent)
        why = f"There is no agent called {spec.agent}." if agent is None else agent.missing()
        if agent is None or why:
            return self._not_started(ExitKind.ENV_MISSING, why)
        if self._is_cancelled():
            return self._never_began()
        try:
            ground.files.mkdir(parents=True, exist_ok=True)
            for name in _KEPT_FILES:
                (ground.files / name).unlink(missing_ok=True)
            workspace = await self._parts.workspaces.acquire(
                self._work.start,
                branch=ground.branch,
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
        parts, ground = self._parts, self._ground
        room: Room | None = None
        port_base = 0
        safe = False
        try:
            self._note(workspace, Stage.PREPARING)
            room = self._at_home(parts.folders.make())
            port_base = parts.ports.take()
            result = await self._carried_out(Site(workspace=workspace, room=room, port_base=port_base), agent)
            safe = await self._kept(workspace, result)
            result = replace(result, warnings=(*result.warnings, *self._rescues))
            if safe or self._spec.role not in LOOKERS:  # who takes the run up rescues what could not be rescued here
                await asyncio.to_thread(self._note, workspace, Stage.ENDED, result)
            return result
        except BaseException:
            safe = await self._rescued(workspace)
            raise
        finally:
            parts.ports.give(port_base)
            if ground.metered is not None:
                await ground.metered.close()
            if ground.guarded is not None:
                await ground.guarded.stop()
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
        spec, ref = self._spec, self._ground.ref
        note = AttemptNote(
            key=spec.key,
            run=spec.run,
            base=spec.base,
            ref=ref,
            slot=workspace.slot,
            stage=stage,
            looks=spec.role in LOOKERS,
        )
        if result is not None:
            note = note.ended(AttemptFinished(key=spec.key, task=spec.task, attempt=spec.attempt, result=result))
        with suppress(OSError):
            write_note(self._parts.folder, note)

    async def _kept(self, workspace: Workspace, result: AttemptResult) -> bool:
        """Whether the workspace may be given back, once what has to be rescued is."""
        kept = await self._rescued(workspace) if self._work.to_rescue(result) else True
        return kept or not self._work.is_unkept(result)

    async def _rescued(self, workspace: Workspace) -> bool:
        """Keep what was not sealed; False when even that failed, and the workspace has to stay as it is."""
        prefix = rescue_prefix(self._spec.run, self._spec.task)
        try:
            ref = await self._parts.workspaces.rescue(workspace, prefix, self._ground.message)
        except (AdapterError, OSError):
            return False
        if ref is not None and self._spec.role in LOOKERS:
            self._rescues = (f"What the {self._spec.role} changed is kept in {ref}.",)
        return True

    async def _carried_out(self, site: Site, agent: Agent) -> AttemptResult:
        """The result with what the meter knows, and without secrets."""
        result = await self._worked(site, agent)
        if self._ground.metered is not None:
            result = self._ground.metered.corrected(result)
        return scrubbed(result, self._ground.redactor.vault)

    async def _worked(self, site: Site, agent: Agent) -> AttemptResult:
        ready = await self._readied(site, agent)
        if isinstance(ready, str):
            return self._not_started(ExitKind.ENV_MISSING, ready)
        if ready is None or self._is_cancelled():
            return self._never_began()
        await self._work.begin(site)
        self._note(site.workspace, Stage.RUNNING)
        end = await self._parts.confined.run(self._call(site, ready))
        if end.kind is EndKind.NOT_STARTED:
            return self._not_started(ExitKind.ENV_MISSING, end.detail)
        first = ""
        if ready.run is not None:
            ready.run.conclude(end)
            end, first = await self._ask_again(site, agent, ready, end)
        return await self._judge(site, ready, end, first)

    async def _readied(self, site: Site, agent: Agent) -> Ready | str | None:
        """What the preparation says; None when the attempt was cancelled meanwhile."""
        if self._is_cancelled():
            return None
        self._preparing = asyncio.ensure_future(Preparation(self._ground, agent).run(site))
        try:
            return await self._preparing
        except asyncio.CancelledError:
            if self._is_cancelled():
                return None
            raise

    async def _ask_again(self, site: Site, agent: Agent, ready: Ready, end: ProcessEnd) -> tuple[ProcessEnd, str]:
        """Ask once more, in the same session, for an answer that is missing or malformed (SPEC 3.6).

        How all of it ended, and what was wrong with the first answer.
        """
        run, spec, work = ready.run, self._spec, self._work
        assert run is not None
        left_s = spec.wall_s - end.wall_s
        if self._is_cancelled() or left_s < LEAST_AGAIN_S or not run.may_be_asked(end):
            return end, ""
        found = await asyncio.to_thread(work.read, ready.places.result, run.end.final_text)
        why = found if isinstance(found, str) else await work.doubt(site, found)
        if not why:
            return end, ""
        for old in (ready.places.result, _reported(site)):  # what counts is the answer to come
            with suppress(AdapterError):
                await asyncio.to_thread(remove_tree, old)
        first = run.end
        again = replace(spec, session=first.session, brief=work.ask_again(why))
        call = self._call(site, replace(ready, launch=agent.launch(again, ready.places)))
        files = self._ground.files
        call = replace(call, stdout=files / "again.jsonl", stderr=files / "again.log", wall_s=left_s)
        second = await self._parts.confined.run(call)
        run.conclude(second)
        if second.kind is not EndKind.EXITED or second.code != 0 or run.end.failed:
            run.forget_last(first)
        self._ground.warnings.append(f"It was asked for its {work.name} once more: {why}")
        dropped = end.dropped_bytes + second.dropped_bytes
        return replace(end, wall_s=end.wall_s + second.wall_s, dropped_bytes=dropped), why

    # -- while it runs

    def _call(self, site: Site, ready: Ready) -> Call:
        spec, places, run, ground = self._spec, ready.places, ready.run, self._ground
        hook = ground.guarded.hook if ground.guarded is not None else None
        relay = ground.metered.relay if ground.metered is not None else None
        env = self._parts.environment.of_attempt(spec, places, ready.env)
        return Call(
            argv=ready.launch.argv,
            env=env if ground.metered is None else {**env, **ground.metered.variables(env)},
            workspace=places.workspace,
            room=site.room,
            stdin=ready.launch.stdin,
            stdout=ground.files / ("stdout.log" if run is None else "stream.jsonl"),
            stderr=ground.files / "stderr.log",
            wall_s=spec.wall_s,
            idle_s=spec.idle_s,
            marker=ground.marker,
            done=_reported(site),
            grace_s=self._parts.grace_s,
            attend=partial(self._attend, places.result, _reported(site), run),
            tap=None if run is None else run.tap,
            vault=ground.redactor.vault,
            readable=(*(hook.readable if hook else ()), *(relay.readable if relay else ())),
            also=hook.argv[:1] if hook else (),
            front=relay.front if relay else (),
        )

    async def _attend(self, result: Path, reported: Path, run: AgentRun | None, running: Running) -> None:
        ground = self._ground
        await ground.hold(running)
        beside = [ground.tell(running) if run is None else run.attend(running), notice_report(result, reported)]
        if ground.metered is not None and run is not None:
            beside.append(ground.metered.attend(running, run))
        if ground.guarded is not None:
            beside.append(ground.guarded.attend(running))
        await asyncio.gather(*beside)

    # -- after

    async def _judge(self, site: Site, ready: Ready, end: ProcessEnd, first: str) -> AttemptResult:
        """What the attempt came to; `first` is what was wrong with an answer that was asked for again."""
        ground, work = self._ground, self._work
        stdout, stderr = ground.files / "stdout.log", ground.files / "stderr.log"
        told = None if ready.run is None else ready.run.end
        said = stdout if told is None else told.final_text
        if told is None and self._spec.role in LOOKERS and is_beaten(end):
            said = ""  # what a program printed before it failed may be anybody's words: a file it showed, a log
        found = await asyncio.to_thread(work.read, ready.places.result, said)
        if found == work.nothing and first:
            found = first
        ground.warnings += self._of_end(end, ready, found)
        was_stopped = ready.run is not None and ready.run.was_stopped
        ending = exit_of(end, told, has_report=not isinstance(found, str), was_stopped=was_stopped)
        ended = await work.finish(site, ready, found)
        for name in _KEPT_FILES:  # known secrets never got into them: this is for those that the change itself showed
            await asyncio.to_thread(ground.redactor.file, ground.files / name)
        used = told.usage if told is not None else None
        ran = () if ground.overheard is None else await asyncio.to_thread(ground.overheard.violations)
        return AttemptResult(
            exit=replace(ending, detail=ground.shown(ending.detail)),
            report=ended.report,
            report_problem=ended.report_problem,
            sealed=ended.sealed,
            seal_problem=ended.seal_problem,
            usage=Usage(tokens=used.tokens if used else None, usd=used.usd if used else None, wall_s=end.wall_s),
            output=self._output(stdout, stderr),
            log=f"{ground.name}/{stdout.name}",
            warnings=tuple(ground.shown(warning) for warning in ground.warnings),
            session=ground.shown(told.session) if told else "",
            model=ground.shown(told.model) if told else "",
            mode=ground.shown(told.mode) if told else "",
            review=ended.review,
            restoration=ended.restoration,
            violations=tuple(ground.shown(text) for text in ran),
        )

    def _of_end(self, end: ProcessEnd, ready: Ready, found: Answer | str) -> Iterator[str]:
        """What is worth a warning about how it ended."""
        told: StreamEnd | None = None if ready.run is None else ready.run.end
        if not isinstance(found, str) and is_beaten(end):
            yield f"The {self._work.name} counts, although the agent ended with {how(end)}."
        elif not isinstance(found, str) and told is not None and told.failed:
            yield f"The {self._work.name} counts, although the agent failed in the end: {told.detail}"
        if end.dropped_bytes:
            yield f"{end.dropped_bytes} bytes of the agent's output were dropped."
        if ready.run is not None:
            yield from ready.run.warnings
            yield from self._other_runtime(ready, ready.run.end)
        if self._ground.guarded is not None:
            yield from (*self._ground.guarded.in_vain, *self._ground.guarded.denied)

    def _other_runtime(self, ready: Ready, told: StreamEnd) -> Iterator[str]:
        """What the program tells of its mode, and of its model where no meter knows better."""
        yield from other_mode(ready.launch.mode, told.mode)
        if self._ground.metered is None:
            yield from other_model(self._spec.model or self._parts.models.get(self._spec.agent, ""), told.model)

    def _output(self, stdout: Path, stderr: Path) -> str:
        """The end of what was printed; of both where there are both."""
        said = self._ground.end_of(stderr, OUTPUT_CHARS // 2)
        room = OUTPUT_CHARS - len(said) - 1 if said else OUTPUT_CHARS
        return "\n".join(filter(None, (self._ground.end_of(stdout, room), said)))

    def _not_started(self, kind: ExitKind, detail: str) -> AttemptResult:
        ended = self._work.unstarted("The agent was not started.")
        return AttemptResult(
            exit=AgentExit(kind=kind, detail=self._ground.shown(detail)),
            report_problem=ended.report_problem,
            warnings=tuple(self._ground.warnings),
            review=ended.review,
        )

    def _never_began(self) -> AttemptResult:
        return self._not_started(ExitKind.CANCELLED, "It was cancelled before the agent started.")


def _work_of(ground: Ground) -> Work:
    """What the role of an attempt is asked for."""
    role = ground.spec.role
    if role not in LOOKERS:
        return Making(ground)
    from chargehand.adapters.looking import Fitting, Researching, Reviewing

    return (
        Fitting(ground)
        if role is Role.FITTER
        else Researching(ground)
        if role is Role.RESEARCHER
        else Reviewing(ground)
    )


def _reported(site: Site) -> Path:
    """The file that says that there is an answer."""
    return site.room.root / "reported"
