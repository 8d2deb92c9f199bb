"""One attempt at the meter: what passes there tells of the attempt what its program does not (SPEC 3.8).

Bytes that come in are a sign of life of a program that prints nothing. A provider that asks to wait longer than is
worth waiting for, or fails again and again, ends the attempt: the runtime waits better than a program that sits in
its own back-off. What was used is what was counted here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.agent_run import AgentRun
from chargehand.adapters.meter import Meter, MeterRecord, MeterSpec, Problem
from chargehand.adapters.process import Running
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Usage
from chargehand.domain.runtimes import other_model
from chargehand.ports import AttemptSpec, MeterAccess

__all__ = ["Metered", "Relay"]

LOOK_S = 0.5
PATIENCE_S = 120.0
LEAST_FAILURES = 3
OVER_BUDGET_GRACE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """What brings the meter into a sandbox without a network: `front` is the argv that stands before the program's."""

    front: tuple[str, ...]
    folder: Path

    @property
    def readable(self) -> tuple[Path, ...]:
        """What the sandbox has to show: the socket's folder and the program."""
        return (self.folder, Path(self.front[3]))


class Metered:
    """An attempt that reaches its provider through the meter, under the name of its agent.

    `is_fenced`: the meter is all that the program reaches. `scrub` are texts of this attempt alone, with what stands
    for them in a cassette. `attend` runs beside the program; `corrected` closes the account and puts what it knows into
    a result.
    """

    def __init__(
        self,
        meter: Meter,
        spec: AttemptSpec,
        *,
        is_fenced: bool = False,
        scrub: tuple[tuple[str, str], ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._meter = meter
        self._key = spec.key
        self._run = spec.run
        self._is_bounded = spec.usd is not None
        self._now = now
        self._failing_since: float | None = None
        self._failures_before = 0
        self._record = MeterRecord()
        self.relay: Relay | None = None
        asked = MeterSpec(
            key=spec.key,
            upstream=spec.agent,
            model=spec.model,
            tokens=spec.tokens,
            usd=spec.usd,
            is_fenced=is_fenced,
            scrub=scrub,
        )
        self.access: MeterAccess = meter.open(asked)

    async def listen(self, folder: Path) -> None:
        """Let the program reach the meter without a network; AdapterError where no socket can be made in `folder`."""
        from chargehand.adapters.meter import relay

        folder.mkdir(mode=0o700, exist_ok=True)
        socket = folder / "model"
        await self._meter.listen(socket)
        front = (sys.executable, "-I", "-S", relay.__file__, str(self._meter.port), str(socket), "--")
        self.relay = Relay(front=front, folder=folder)

    @staticmethod
    def variables(env: Mapping[str, str]) -> dict[str, str]:
        """What, added to `env`, keeps its program from asking a proxy of the environment for the meter."""
        if not any(name.lower() in {"http_proxy", "https_proxy", "all_proxy"} for name in env):
            return {}
        known = env.get("NO_PROXY") or env.get("no_proxy") or ""
        value = ",".join(filter(None, (known, "127.0.0.1", "localhost")))
        return {"NO_PROXY": value, "no_proxy": value}

    async def attend(self, running: Running, run: AgentRun) -> None:
        """Look at the account until the program has ended; a bound or a long wait ends it."""
        heard = 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            record = self._meter.look(self._key)
            if (record.last_byte_at or 0.0) > heard:
                heard = record.last_byte_at or 0.0
                running.is_heard()
            why = self._why_enough(record)
            if why is not None:
                if why.kind is ExitKind.OVER_BUDGET:  # it was told, and may end in its own way
                    await asyncio.sleep(OVER_BUDGET_GRACE_S)
                run.stop(why)
                return

    def _why_enough(self, record: MeterRecord) -> AgentExit | None:
        if record.over_budget:
            return AgentExit(kind=ExitKind.OVER_BUDGET, detail=record.over_budget)
        now, before = self._now(), self._record
        self._record = record
        if _heard(record) > _heard(before):
            self._failing_since, self._failures_before = None, record.failures
        elif record.failures > self._failures_before and self._failing_since is None:
            self._failing_since = now
        if not record.problems or record.failures == self._failures_before:
            return None
        last = record.problems[-1]
        asked_to_wait = last.retry_at is not None and last.retry_at - now > PATIENCE_S
        failing = self._failing_since is not None and now - self._failing_since > PATIENCE_S
        if asked_to_wait or (failing and record.failures - self._failures_before >= LEAST_FAILURES):
            return _ending(last)
        return None

    async def close(self) -> None:
        """Give the account up; harmless when repeated."""
        self._meter.close(self._key)
        if self.relay is not None:
            await self._meter.leave(self.relay.folder / "model")

    def corrected(self, result: AttemptResult) -> AttemptResult:
        """The result with what was counted; a wait of which the program told no end gets the one that was stated."""
        record = self._meter.close(self._key)
        usage = Usage(
            tokens=record.tokens,
            usd=record.usd,
            estimated=record.estimated,
            held_usd=record.held_usd,
            wall_s=result.usage.wall_s,
        )
        warnings = result.warnings
        warnings += tuple(other_model(record.model_asked, record.model_used))
        warnings += tuple(self._unpriced(record))
        ending = result.exit if _answered(result) else _completed(result.exit, record)
        return replace(result, exit=ending, usage=usage, warnings=warnings, model=record.model_used or result.model)

    def _unpriced(self, record: MeterRecord) -> Iterator[str]:
        """What a model without a price means, once in a run."""
        for model in record.unpriced:
            if self._meter.is_news(f"{self._run}/{model}"):
                counts = ""
                if self._is_bounded:
                    counts = (
                        " Limits of money count it as the dearest model they know; `meter.prices` can give a price."
                    )
                yield f"The cost of {model} is unknown.{counts}"


def _answered(result: AttemptResult) -> bool:
    """Whether the agent handed in what it was asked for: that goes before how it ended."""
    has_verdict = result.review is not None and result.review.verdict is not None
    return has_verdict or result.report is not None or result.restoration is not None


def _completed(ending: AgentExit, record: MeterRecord) -> AgentExit:
    if record.over_budget and ending.kind in {ExitKind.EXITED, ExitKind.RATE_LIMITED, ExitKind.ENV_MISSING}:
        return replace(ending, kind=ExitKind.OVER_BUDGET, detail=record.over_budget, retry_at=None)
    if ending.kind is ExitKind.RATE_LIMITED and ending.retry_at is None:
        stated = [problem.retry_at for problem in record.problems if problem.retry_at is not None]
        return replace(ending, retry_at=stated[-1]) if stated else ending
    failed = ending.kind in {ExitKind.TIMEOUT, ExitKind.STALL} or (ending.kind is ExitKind.EXITED and ending.code != 0)
    if record.problems and failed:
        last = record.problems[-1]
        text = f"{ending.detail} The last that its provider refused: {last.status} {last.text.rstrip('.')}."
        return replace(ending, detail=text.strip())
    return ending


def _heard(record: MeterRecord) -> int:
    """Output that a provider told of: what is guessed of broken answers is no sign of health."""
    return record.output_tokens - record.estimated_output


def _ending(problem: Problem) -> AgentExit:
    kind = ExitKind.RATE_LIMITED if problem.status in {402, 429} else ExitKind.PROVIDER_DOWN
    words = "asks to wait" if kind is ExitKind.RATE_LIMITED else "does not answer as it should"
    detail = f"The provider {words}: {problem.status} {problem.text.rstrip('.')}."
    return AgentExit(kind=kind, detail=detail, retry_at=problem.retry_at)
