"""Evidence commands of findings, run by the runtime itself: a reviewer's word is a claim [I6] (SPEC 4).

They run in a clean checkout of the judged commit that the reviewer never had, confined as agents are, each on a budget
and all of them on one. Nobody is asked about a command that is dangerous or cannot be read: it is not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.attempt_ground import OUTPUT_CHARS, Ground, Site
from chargehand.adapters.attempt_start import set_up
from chargehand.adapters.command_lines import argv_of
from chargehand.adapters.confined import Call
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.output import last_state, normalise_tail, read_end
from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.adapters.setup import keep_patterns
from chargehand.adapters.text import clean_text
from chargehand.domain.errors import AdapterError
from chargehand.domain.review import Finding, Probe
from chargehand.ports import Places

__all__ = ["ALL_S", "EACH_S", "MOST", "run_probes"]

MOST = 10
EACH_S = 120.0
ALL_S = 300.0
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A command to be run; `argv` is what is executed."""

    finding: str
    command: str
    argv: tuple[str, ...]


async def run_probes(ground: Ground, findings: Sequence[Finding], places: Places) -> tuple[Probe, ...]:
    """One probe per finding with a command, in order; `places` are those of the reviewer, where its words apply.

    AdapterError when no checkout can be made.
    """
    named = [finding for finding in findings if finding.evidence_command]
    place = _place(ground, places)
    asked = [await asyncio.to_thread(_looked_at, finding, place) for finding in named[:MOST]]
    run = await _Runner(ground).run([each for each in asked if isinstance(each, _Asked)])
    known = {probe.finding: probe for probe in (*run, *(each for each in asked if isinstance(each, Probe)))}
    much = f"At most {MOST} evidence commands of a verdict are run."
    return tuple(known.get(each.id) or _refused(each.id, each.evidence_command, much) for each in named)


def _refused(finding: str, command: str, why: str) -> Probe:
    return Probe(finding=finding, command=command, refused=why)


def _place(ground: Ground, places: Places) -> Place:
    """Where a command is judged: as one of the plan, so that a sandbox around it excuses nothing."""
    if ground.parts.place_of is not None:
        return replace(ground.parts.place_of(places), sandboxed=False)
    own = (str(places.home), str(places.tmp), str(places.scratch), str(places.result.parent))
    root = str(places.workspace)
    return Place(cwd=root, inside=(root,), private=own, home=own[0], tmp=own[1], real=True)


def _looked_at(finding: Finding, place: Place) -> _Asked | Probe:
    from chargehand.adapters.guarding.classify import classify, classify_argv
    from chargehand.adapters.guarding.verdict import Kind

    text = finding.evidence_command
    argv = argv_of(text)
    if isinstance(argv, str):
        return _refused(finding.id, text, f"It cannot be read as a command: {argv}")
    verdict = classify(text, place) if argv[:2] == ("sh", "-c") else classify_argv(argv, place)
    if verdict.kind is Kind.HARMLESS:
        return _Asked(finding=finding.id, command=text, argv=argv)
    why = " ".join(dict.fromkeys(danger.why for danger in verdict.reasons))
    word = "dangerous" if verdict.kind is Kind.DANGEROUS else "not to be told what it does"
    return _refused(finding.id, text, f"It is {word}: {why}"[:OUTPUT_CHARS])


class _Runner:
    """Runs commands one after the other, each in a checkout of its own where that costs no setup."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._used_s = 0.0

    async def run(self, asked: Sequence[_Asked]) -> list[Probe]:
        for old in self._ground.files.glob("evidence-*.log"):
            old.unlink(missing_ok=True)
        probes: list[Probe] = []
        for turn in self._turns(asked):
            if self._why_not() is not None:
                probes += [_refused(each.finding, each.command, self._why_not() or "") for each in turn]
                continue
            async with self._site() as site:
                problem = await set_up(self._ground, site, "evidence-setup.log", self._ground.attend)
                for each in turn:
                    probes.append(await self._probe(site, each, len(probes) + 1, problem))
        return probes

    def _turns(self, asked: Sequence[_Asked]) -> Iterator[Sequence[_Asked]]:
        """Which commands share a checkout: all, where setup keeps nothing and would run anew for each."""
        setup = self._ground.spec.setup
        if setup is not None and not setup.keep:
            yield from [asked] if asked else []
        else:
            yield from ([each] for each in asked)

    def _why_not(self) -> str | None:
        if self._ground.is_cancelled:
            return "The attempt was cancelled."
        if ALL_S - self._used_s < 1.0:
            return f"The evidence commands of a verdict have {ALL_S:g} s together; they are used up."
        return None

    @asynccontextmanager
    async def _site(self) -> AsyncIterator[Site]:
        ground, parts = self._ground, self._ground.parts
        spec = ground.spec
        async with AsyncExitStack() as stack:
            workspace = await parts.workspaces.acquire(
                spec.commit or spec.base,
                branch=ground.branch,
                keep=keep_patterns(spec.setup),
            )

            async def give_back() -> None:
                with suppress(AdapterError, OSError):  # nothing in it is anybody's work
                    await parts.workspaces.release(workspace)

            stack.push_async_callback(give_back)
            room = parts.folders.make()
            stack.push_async_callback(parts.folders.remove, room)
            port_base = parts.ports.take()
            stack.callback(parts.ports.give, port_base)
            yield Site(workspace=workspace, room=room, port_base=port_base)

    async def _probe(self, site: Site, asked: _Asked, number: int, problem: str) -> Probe:
        why = problem or self._why_not()
        if why:
            return _refused(asked.finding, asked.command, why)
        ground = self._ground
        log = ground.files / f"evidence-{number}.log"
        wall_s = min(EACH_S, ALL_S - self._used_s)
        call = Call(
            argv=asked.argv,
            env=ground.parts.environment.of_probe(ground.spec, site.room, site.port_base),
            workspace=site.workspace.path,
            room=site.room,
            stdout=log,
            wall_s=wall_s,
            marker=ground.marker,
            attend=ground.attend,
            vault=ground.redactor.vault,
        )
        end = await ground.parts.confined.run(call)
        self._used_s += end.wall_s
        tail = await asyncio.to_thread(self._tail, site, log)
        if end.kind is EndKind.EXITED and end.code is not None:
            return Probe(finding=asked.finding, command=asked.command, exit_code=end.code, tail=tail)
        return Probe(finding=asked.finding, command=asked.command, tail=tail, refused=_fault(end, wall_s))

    def _tail(self, site: Site, log: Path) -> str:
        redactor = self._ground.redactor
        redactor.file(log)
        found = (site.workspace.path, site.room.root, site.room.tmp)
        paths = {str(path) for path in found} | {str(path.resolve()) for path in found}
        text = redactor.text(clean_text(last_state(read_end(log, _TAIL_BYTES))))
        return normalise_tail(text, tuple(paths))[-OUTPUT_CHARS:]


def _fault(end: ProcessEnd, wall_s: float) -> str:
    """Why a command that was started has no exit code."""
    match end.kind:
        case EndKind.EXITED:
            return f"It was ended by signal {end.signal}."
        case EndKind.TIMEOUT:
            return f"It did not end within {wall_s:.0f} s."
        case EndKind.CANCELLED:
            return "The attempt was cancelled."
        case _:
            return end.detail or f"It could not be run ({end.kind})."
