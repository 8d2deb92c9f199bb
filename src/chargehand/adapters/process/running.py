"""One running process: its output, its bounds, and its end with everything it started [I10, I11]."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from functools import cache

from chargehand.adapters.process.budgets import Breach, Budgets
from chargehand.adapters.process.family import Family
from chargehand.adapters.process.output import CappedFile
from chargehand.adapters.process.paths import is_folder
from chargehand.adapters.process.spawn import is_direct, refusal, spawn, why_not
from chargehand.adapters.process.spec import SANDBOX_FAILED, EndKind, ProcessEnd, ProcessSpec
from chargehand.domain.errors import AdapterError
from chargehand.domain.secrecy import Strainer

__all__ = ["Running", "run", "start"]

INT_PATIENCE_S = 2.0
TERM_PATIENCE_S = 5.0
KILL_PATIENCE_S = 2.0
READ_BYTES = 256 * 1024
DRAIN_READS = 16


async def start(spec: ProcessSpec) -> Running:
    """Start a process; a program that cannot be executed is told by `wait`, not by an exception."""
    running = Running(spec)
    running.begin()
    return running


async def run(spec: ProcessSpec) -> ProcessEnd:
    """Start and wait; when the caller is cancelled the whole tree is killed before the cancellation goes on."""
    running = await start(spec)
    try:
        return await running.wait()
    except asyncio.CancelledError:
        await running.stop(now=True)
        raise


class Running:
    """The handle of a started process; the identity of its launcher is `pid` + `started_at`."""

    def __init__(self, spec: ProcessSpec) -> None:
        self._spec = spec
        self._marker = spec.marker or uuid.uuid4().hex
        self._began = time.monotonic()
        self._output_at = self._began
        self._ended: asyncio.Future[ProcessEnd] = asyncio.get_running_loop().create_future()
        self._nudge = asyncio.Event()
        self._gone = False
        self._now = False
        self._wish: ProcessEnd | None = None
        self._files: list[CappedFile] = []
        self._family: Family | None = None
        self._task: asyncio.Task[None] | None = None
        self.pid = 0
        self.started_at = 0.0

    # -- what callers use ------------------------------------------------------------------------------

    async def wait(self) -> ProcessEnd:
        """Wait for the end; any number of waiters. Nothing of the tree is alive any more afterwards [I11]."""
        return await asyncio.shield(self._ended)

    async def stop(self, *, now: bool = False) -> None:
        """End the whole tree and wait for that: INT, TERM, KILL with patience in between; `now`: KILL at once."""
        self._ask(ProcessEnd(kind=EndKind.CANCELLED, detail="It was stopped."), now=now)
        await self.wait()

    @property
    def last_line(self) -> str:
        """The last line it printed; untrusted text."""
        return next((file.last_line for file in self._files if file.recent), "")

    @property
    def last_output_at(self) -> float:
        """When it last printed something, or was started (monotonic clock)."""
        return self._output_at

    def is_heard(self) -> None:
        """Somebody knows that it is not silent, though it printed nothing."""
        self._output_at = time.monotonic()

    # -- start -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the process and its supervisor; called once, by `start`."""
        spec = self._spec
        why = refusal(spec.argv)
        if why or not spec.argv:
            self._not_started(why or "There is no program to start.")
            return
        try:
            for path in (spec.stdout, spec.stderr):
                if path is not None:
                    strainer = None if spec.vault is None else Strainer(spec.vault)
                    self._files.append(CappedFile(path, spec.output_bytes, strainer))
        except OSError as error:
            self._close_files()
            raise AdapterError("process", f"{error.filename} could not be written: {error.strerror}.") from error
        try:
            spawned = spawn(spec, self._marker)
        except ValueError as error:
            self._not_started(f"{spec.argv[0]} could not be started: {error}.")
            return
        except OSError as error:
            self._not_started(_why_no_launcher(spec, error))
            return
        loop = asyncio.get_running_loop()
        for descriptor, file in zip(spawned.outputs, self._files, strict=True):
            loop.add_reader(descriptor, self._read, descriptor, file)
        self._family = family = Family(spawned, self._on_gone)
        self.pid, self.started_at = family.pid, float(family.started)
        self._task = loop.create_task(self._supervise(family, spawned.outputs), name=f"process {self.pid}")

    def _not_started(self, detail: str) -> None:
        self._close_files()
        self._ended.set_result(ProcessEnd(kind=EndKind.NOT_STARTED, detail=detail))

    def _close_files(self) -> None:
        for file in self._files:
            file.close()

    # -- called by the loop ----------------------------------------------------------------------------

    def _read(self, descriptor: int, file: CappedFile) -> bool:
        buffer = _buffer()
        try:
            count = os.readv(descriptor, [buffer])
        except BlockingIOError:
            return False
        if count == 0:
            asyncio.get_running_loop().remove_reader(descriptor)
            return False
        self._output_at = time.monotonic()
        with memoryview(buffer) as view:
            file.write(view[:count])
            if self._spec.tap is not None and file is self._files[0]:
                self._spec.tap(bytes(view[:count]))
        return True

    def _on_gone(self) -> None:
        self._gone = True
        self._nudge.set()

    def _ask(self, wish: ProcessEnd, *, now: bool) -> None:
        if self._wish is None:
            self._wish = wish
        self._now = self._now or now
        self._nudge.set()

    # -- the supervisor --------------------------------------------------------------------------------

    async def _supervise(self, family: Family, outputs: tuple[int, ...]) -> None:
        try:
            try:
                await self._watch()
                await self._bring_down(family)
            except asyncio.CancelledError:  # the loop is being closed
                self._ask(ProcessEnd(kind=EndKind.CANCELLED, detail="Chargehand was closed."), now=True)
                await self._bring_down(family)
            await self._finish(family, outputs)
        except BaseException as error:
            family.give_up()
            if not self._ended.done():  # whoever waits must not wait for ever
                self._ended.set_exception(AdapterError("process", f"The supervisor failed: {error!r}."))
            raise

    async def _watch(self) -> None:
        budgets = Budgets(self._spec, self.pid, self._began)
        while not self._is_over():
            await self._rest(budgets.pause_s(time.monotonic()))
            if self._is_over():
                return
            breach = await self._look(budgets)
            if breach is not None and not self._is_over():
                self._ask(ProcessEnd(kind=breach.kind, detail=breach.detail), now=breach.kind is EndKind.OVER_DISK)

    async def _look(self, budgets: Budgets) -> Breach | None:
        """Looking may mean many files: neither the end nor a wish waits for it."""
        check = asyncio.ensure_future(budgets.check(time.monotonic(), self._output_at))
        nudge = asyncio.ensure_future(self._nudge.wait())
        try:
            await asyncio.wait({check, nudge}, return_when=asyncio.FIRST_COMPLETED)
            return check.result() if check.done() else None
        finally:
            nudge.cancel()
            check.cancel()

    def _is_over(self) -> bool:
        return self._gone or self._wish is not None

    async def _rest(self, seconds: float) -> None:
        self._nudge.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()

    async def _bring_down(self, family: Family) -> None:
        if self._gone:
            self._wish = None  # it was quicker than the wish
        for number, patience_s in ((signal.SIGINT, INT_PATIENCE_S), (signal.SIGTERM, TERM_PATIENCE_S)):
            deadline = time.monotonic() + patience_s
            if not self._gone and not self._now:
                family.signal(number)
            while not self._gone and not self._now and time.monotonic() < deadline:
                await self._rest(deadline - time.monotonic())
        if not self._gone:
            family.kill()
            await self._rest(KILL_PATIENCE_S)
        while not self._gone:  # the launcher itself was stopped or is starved
            family.kill_directly()
            await self._rest(KILL_PATIENCE_S)

    # -- the end ---------------------------------------------------------------------------------------

    async def _finish(self, family: Family, outputs: tuple[int, ...]) -> None:
        code = await family.close(self._marker)
        loop = asyncio.get_running_loop()
        for descriptor, file in zip(outputs, self._files, strict=True):
            loop.remove_reader(descriptor)
            for _ in range(DRAIN_READS):  # somebody outside the tree may hold the pipe: take only what is there
                if not self._read(descriptor, file):
                    break
            os.close(descriptor)
        if any(file.unfinished for file in self._files):
            await asyncio.to_thread(self._close_files)
        else:
            self._close_files()
        if not self._ended.done():
            self._ended.set_result(self._end(family.told(), code))

    def _end(self, told: dict[str, str], returncode: int) -> ProcessEnd:
        end = self._wish or ProcessEnd(kind=EndKind.EXITED)
        code, fatal = (returncode, None) if returncode >= 0 else (None, -returncode)
        if "exit" in told or "signal" in told:
            code = int(told["exit"]) if "exit" in told else None
            fatal = int(told["signal"]) if "signal" in told else None
        details = [end.detail, *(file.problem for file in self._files)]
        why = self._why_not_started(told, code)
        if why:
            end, code, details = replace(end, kind=EndKind.NOT_STARTED), None, [why]
        if "left" in told:
            details.append(f"These processes belong to another user and could not be ended: {told['left']}.")
        return replace(
            end,
            code=code,
            signal=fatal,
            wall_s=time.monotonic() - self._began,
            dropped_bytes=sum(file.dropped for file in self._files),
            detail=" ".join(filter(None, details)),
        )

    def _why_not_started(self, told: dict[str, str], code: int | None) -> str:
        if "failed" in told:
            return why_not(_program(self._spec), int(told["failed"]), self._spec.cwd)
        printed = [file for file in self._files if file.recent]
        if code == 1 and is_direct(self._spec.argv) and len(printed) == 1:
            return _complaint(printed[0])
        return ""


@cache
def _buffer() -> bytearray:
    """One buffer for all processes: it is full only inside a callback."""
    return bytearray(READ_BYTES)


def _program(spec: ProcessSpec) -> str:
    argv = spec.argv
    return argv[argv.index("--") + 1] if "--" in argv[:-1] and argv[1:3] == ("-I", "-S") else argv[0]


def _complaint(file: CappedFile) -> str:
    """What bubblewrap says when it cannot make the sandbox: one line, its own, and nothing else was printed."""
    lines = file.recent.decode(errors="replace").splitlines()
    is_its_own = len(lines) == 1 and lines[0].startswith("bwrap: ")
    return f"{SANDBOX_FAILED}: {lines[0].removeprefix('bwrap: ').rstrip('.')}." if is_its_own else ""


def _why_no_launcher(spec: ProcessSpec, error: OSError) -> str:
    if not is_folder(spec.cwd):
        return f"The folder {spec.cwd} to start in does not exist."
    return why_not(spec.argv[0], error.errno or 0, spec.cwd)
