"""What an agent program tells while it runs, and what it comes to when it has ended (SPEC 3.5, 3.6, 3.8).

An agent without a stream is heard by its exit code and its last line only. With one, what it does is told in plain
words as it happens and kept as a transcript; its last message may hold the report; and where the exit code and the
stream disagree, the stream decides, and evidence before both [I6].
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from chargehand.adapters.answers import read_object
from chargehand.adapters.confined import LINE_PAUSE_S
from chargehand.adapters.folders import write_below
from chargehand.adapters.output import Redactor
from chargehand.adapters.process import EndKind, ProcessEnd, Running
from chargehand.adapters.reports import REPORT_TAG
from chargehand.adapters.text import clean_text
from chargehand.domain.errors import UserError
from chargehand.domain.outcome import AgentExit, ExitKind
from chargehand.ports import Agent, AgentEvent, EventKind, Launch, ModelUsage, StreamAgent, StreamEnd

if TYPE_CHECKING:
    from chargehand.ports import EventReader

__all__ = ["AgentHome", "AgentRun", "as_stream", "exit_of", "furnish", "how", "is_beaten", "notice_report"]

REPORT_LOOK_S = 0.5
LINE_BYTES = 16 * 1024 * 1024
TRANSCRIPT_BYTES = 8 * 1024 * 1024
RESULT_LINES = 20
_LOGIN_BYTES = 4 * 1024 * 1024

_EXITS = {
    EndKind.EXITED: ExitKind.EXITED,
    EndKind.TIMEOUT: ExitKind.TIMEOUT,
    EndKind.STALL: ExitKind.STALL,
    EndKind.CANCELLED: ExitKind.CANCELLED,
    EndKind.LINGERED: ExitKind.REPORTED,
    EndKind.NOT_STARTED: ExitKind.ENV_MISSING,
    EndKind.OVER_DISK: ExitKind.OVER_BUDGET,
}
_WAITS = frozenset({ExitKind.RATE_LIMITED, ExitKind.PROVIDER_DOWN})


def as_stream(agent: Agent) -> StreamAgent | None:
    """The agent as one that tells what it does; None for one that does not."""
    return cast("StreamAgent", agent) if hasattr(agent, "reader") and hasattr(agent, "capabilities") else None


# -- HOME -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHome:
    """What of HOME outlasts an attempt: `kept` is the whole folder, `login` a folder its login files come from."""

    kept: Path | None = None
    login: Path | None = None


def furnish(home: Path, launch: Launch, agent: Agent, wanted: AgentHome) -> None:
    """Put the login and the files of a launch into HOME; `UserError` when there is no login where one should be.

    A kept HOME has its own login once it was there: a copy would undo what was renewed since.
    """
    stream = as_stream(agent)
    names = stream.capabilities.login if stream is not None else ()
    if wanted.login is not None and names:
        found = [_copied(wanted.login / name, home, name, anew=wanted.kept is None) for name in names]
        if not any(found):
            hint = f"Log in with the program itself, or correct `login` under [agents.{agent.name}]."
            text = f"There is no login of {agent.name} in {wanted.login}: none of {', '.join(names)} is there."
            raise UserError(text, code="no_login", hint=hint)
    for path, content in launch.home.items():
        _write(home, path, content)


def _copied(source: Path, home: Path, name: str, *, anew: bool) -> bool:
    if not anew and os.path.lexists(home / name):
        return True
    try:
        if not source.is_file() or source.stat().st_size > _LOGIN_BYTES:
            return False
        content = source.read_text("utf-8")
    except (OSError, ValueError):
        return False
    _write(home, name, content)
    return True


def _write(home: Path, path: str, content: str) -> None:
    write_below(home, path, content)
    (home / path).chmod(0o600)  # programs keep what they learn in their own files


# -- running --------------------------------------------------------------------------------------


class AgentRun:
    """One attempt's program, heard: `tap` takes its standard output, `attend` runs beside it.

    `transcript` gets what it tells in plain words, without secrets. `tell` is told the newest of it, `heard` each
    event. `tokens` and `usd` end a program that says of itself that it has used more. `session` is its name where it
    tells none. Several processes of one session may follow each other: `conclude` ends one, `end` is what all of them
    came to.
    """

    def __init__(
        self,
        agent: StreamAgent,
        *,
        transcript: Path,
        redactor: Redactor,
        tell: Callable[[str], None] | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        session: str = "",
        heard: Callable[[AgentEvent], None] | None = None,
    ) -> None:
        self._agent = agent
        self._reader: EventReader = agent.reader()
        self._transcript = transcript
        self._redactor = redactor
        self._tell = tell
        self._hear = heard
        self._bounds = (tokens, usd)
        self._buffer = b""
        self._skips = False
        self._room = TRANSCRIPT_BYTES
        self._said = ""
        self._news = asyncio.Event()
        self._enough = asyncio.Event()
        self._ended_for: AgentExit | None = None
        self.warnings: list[str] = []
        self.end = StreamEnd(session=session)
        transcript.write_bytes(b"")

    # -- while it runs

    def tap(self, data: bytes) -> None:
        """Take a piece of standard output."""
        *lines, rest = (self._buffer + data).split(b"\n")
        for line in lines:
            if not self._skips:
                self._feed(line)
            self._skips = False
        if len(rest) > LINE_BYTES:
            rest, self._skips = b"", True
        self._buffer = rest

    def _feed(self, line: bytes) -> None:
        try:
            events = self._reader.feed(line.decode("utf-8", "replace").rstrip("\r"))
        except Exception as error:  # noqa: BLE001 - the driver may be anybody's; the attempt goes on without it
            if not self.warnings:
                self.warnings.append(f"What {self._agent.name} printed could not be read: {error!r}.")
            return
        for event in events:
            self._heard(event)

    def _heard(self, event: AgentEvent) -> None:
        if event.usage is not None:
            self._weigh(event.usage)
        if self._hear is not None:
            self._hear(event)
        lines = self._redactor.text("\n".join(_plain(event))).splitlines()
        if not lines:
            return
        data = ("\n".join(lines) + "\n").encode("utf-8", "replace")[: self._room]
        self._room -= len(data)
        with suppress(OSError), self._transcript.open("ab") as file:
            file.write(data)
        if event.kind is not EventKind.RESULT:
            self._said = next((line.strip() for line in lines if line.strip()), self._said)
            self._news.set()

    def _weigh(self, usage: ModelUsage) -> None:
        tokens, usd = self._bounds
        if tokens is not None and usage.tokens > tokens:
            self._stop_for_budget(f"It used {usage.tokens} tokens; {tokens} were allowed.")
        elif usd is not None and usage.usd is not None and usage.usd > usd:
            self._stop_for_budget(f"It cost {usage.usd:.2f} dollars; {usd:.2f} were allowed.")

    def _stop_for_budget(self, detail: str) -> None:
        self.stop(AgentExit(kind=ExitKind.OVER_BUDGET, detail=detail))

    def stop(self, why: AgentExit) -> None:
        """Have the program ended; `why` is how the attempt ended then."""
        self._ended_for = self._ended_for or why
        self._enough.set()

    async def attend(self, running: Running) -> None:
        """Pass on what it tells, a few times a second at most, and end it when it has used enough."""
        await asyncio.gather(self._pass_on(), self._end_at_the_bound(running))

    async def _pass_on(self) -> None:
        while self._tell is not None:
            await self._news.wait()
            self._news.clear()
            self._tell(self._said[:500])
            await asyncio.sleep(LINE_PAUSE_S)

    async def _end_at_the_bound(self, running: Running) -> None:
        await self._enough.wait()
        await running.stop()

    # -- after

    def conclude(self, end: ProcessEnd) -> None:
        """One process has ended; the next one, if any, goes on with its session."""
        if self._buffer and not self._skips:
            self._feed(self._buffer)
        self._buffer, self._skips = b"", False
        try:
            told = self._reader.conclude(end.code, end.signal)
        except Exception as error:  # noqa: BLE001 - as above
            self.warnings.append(f"What {self._agent.name} printed could not be read: {error!r}.")
            told = StreamEnd()
        if (why := self._ended_for) is not None:
            told = replace(told, exit_kind=why.kind, retry_at=why.retry_at, failed=True, detail=why.detail)
        self.end = self._joined(told)
        self._reader = self._agent.reader()

    def _joined(self, told: StreamEnd) -> StreamEnd:
        before = self.end
        return replace(
            told,
            session=told.session or before.session,
            model=told.model or before.model,
            mode=told.mode or before.mode,
            usage=_sum(before.usage, told.usage, whole=self._agent.capabilities.sums),
            denials=(*before.denials, *told.denials),
        )

    @property
    def was_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._ended_for is not None

    def may_be_asked(self, end: ProcessEnd) -> bool:
        """Whether the program came to a good end and can be asked one thing more."""
        fine = end.kind is EndKind.EXITED and end.code == 0 and not self.end.failed
        return fine and bool(self.end.session) and self._agent.capabilities.resume

    def forget_last(self, before: StreamEnd) -> None:
        """Take the ending of an earlier process for that of all of them; what the last one used stays counted."""
        self.end = replace(before, usage=self.end.usage)


def _sum(one: ModelUsage | None, two: ModelUsage | None, *, whole: bool) -> ModelUsage | None:
    """What two processes of a session used; `whole`: the second tells of both."""
    if one is None or two is None or (whole and two.tokens >= one.tokens):
        return two or one
    usd = None if one.usd is None and two.usd is None else (one.usd or 0.0) + (two.usd or 0.0)
    return ModelUsage(
        input_tokens=one.input_tokens + two.input_tokens,
        cached_tokens=one.cached_tokens + two.cached_tokens,
        output_tokens=one.output_tokens + two.output_tokens,
        usd=usd,
    )


def exit_of(
    end: ProcessEnd, told: StreamEnd | None, *, has_report: bool = False, was_stopped: bool = False
) -> AgentExit:
    """How an attempt ended: as the process did, corrected by what its stream says where that knows better.

    A valid report goes before anything the stream says of the ending (SPEC 3.5). `was_stopped`: we ended it ourselves,
    for the reason that `told` gives.
    """
    plain = AgentExit(kind=_EXITS[end.kind], code=end.code, signal=end.signal, detail=end.detail)
    if told is None:
        return plain
    corrected = replace(plain, kind=told.exit_kind or plain.kind, detail=told.detail, retry_at=told.retry_at)
    match end.kind:
        case EndKind.CANCELLED if was_stopped:
            return corrected
        case EndKind.EXITED if told.exit_kind is not None and not has_report:
            return corrected
        case EndKind.EXITED if told.failed and end.code == 0 and not has_report:
            return replace(plain, code=1, detail=f"{told.detail} It ended with exit code 0 all the same.")
        case EndKind.STALL | EndKind.TIMEOUT if told.exit_kind in _WAITS and not has_report:
            return corrected
        case _:
            return plain


def is_beaten(end: ProcessEnd) -> bool:
    """Whether the process itself says something else than a valid report does."""
    if end.kind is EndKind.EXITED:
        return end.code != 0
    return end.kind not in (EndKind.LINGERED, EndKind.CANCELLED)


def how(end: ProcessEnd) -> str:
    """How a process ended, in a few words."""
    if end.kind is not EndKind.EXITED:
        return f"`{end.kind}`"
    return f"signal {end.signal}" if end.signal is not None else f"exit code {end.code}"


async def notice_report(result: Path, reported: Path) -> None:
    """Make `reported` once `result` holds a whole report: from then on the agent has only the grace left.

    The file alone says nothing: a shell makes it when a command line redirects to it. It lies in a folder that only
    looking at can tell about.
    """
    seen: tuple[int, int, int] | None = None
    while True:
        await asyncio.sleep(REPORT_LOOK_S)
        with suppress(OSError):
            status = result.lstat()
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            if state != seen and isinstance(read_object(result, None, REPORT_TAG), dict):
                reported.touch()
                return
            seen = state


# -- words ----------------------------------------------------------------------------------------

_LEADS: Mapping[EventKind, str] = {
    EventKind.CALL: "> ",
    EventKind.DENIED: "refused: ",
    EventKind.RETRY: "the provider is asked again: ",
    EventKind.ERROR: "error: ",
}


def _plain(event: AgentEvent) -> Iterator[str]:
    """An event as lines that a person reads."""
    text = clean_text(event.text).strip("\n")
    if event.kind is EventKind.STARTED:
        if text:
            yield f"model: {text}"
        return
    if event.kind is EventKind.RESULT:
        lines = text.split("\n") if text else []
        yield from (f"  {line}" for line in lines[:RESULT_LINES])
        if len(lines) > RESULT_LINES:
            yield f"  … {len(lines) - RESULT_LINES} more lines"
        return
    tool = clean_text(event.tool)
    shown = f"{tool}: {text}" if event.kind in {EventKind.CALL, EventKind.DENIED} and tool else text
    if shown:
        yield _LEADS.get(event.kind, "") + shown
