"""What the tests of processes and sandboxes share: a place to run things in, and eyes for what is still alive."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chargehand.adapters.process import ProcessEnd, ProcessSpec, run
from chargehand.adapters.sandbox import Confinement, Sandbox, choose
from chargehand.domain.errors import UserError

KINDS = ("bwrap", "landlock", "none")
PATH = os.environ.get("PATH", os.defpath)
ROOT = Path(__file__).resolve().parents[2]


def sandbox_of(kind: str) -> Sandbox:
    """The sandbox of this kind, or a skip that says why there is none."""
    try:
        return asyncio.run(choose(kind)).sandbox
    except UserError as error:
        pytest.skip(f"NOT TESTED: the {kind} sandbox. {error.message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a program ended and what it printed."""

    end: ProcessEnd
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder to run programs in, with the sandbox that holds them."""

    folder: Path
    sandbox: Sandbox
    env: dict[str, str] = field(default_factory=dict)
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    network: str = "open"

    @property
    def workspace(self) -> Path:
        return self.folder / "work space é"

    @property
    def out(self) -> Path:
        return self.folder / "output"

    def confinement(self) -> Confinement:
        self.workspace.mkdir(exist_ok=True)
        return Confinement(
            workspace=self.workspace,
            writable=self.writable,
            readable=self.readable,
            hidden=self.hidden,
            env={"PATH": PATH, **self.env},
            network=self.network,
        )

    def spec(self, argv: Sequence[str] | str, **fields: object) -> ProcessSpec:
        """A text is run by `sh -c`."""
        words = ("sh", "-c", argv) if isinstance(argv, str) else tuple(argv)
        confinement = self.confinement()
        spec = ProcessSpec(
            argv=self.sandbox.wrap(words, confinement),
            cwd=self.workspace,
            env=confinement.env,
            stdout=self.out,
            wall_s=30.0,
        )
        return replace(spec, **fields)  # type: ignore[arg-type]

    def run(self, argv: Sequence[str] | str, **fields: object) -> Result:
        """Run to the end in a loop of its own."""
        end = asyncio.run(run(self.spec(argv, **fields)))
        return Result(end=end, out=self.out.read_text(errors="replace") if self.out.exists() else "")

    def sees(self, path: Path) -> bool:
        """Whether the content of a file can be read inside; it is named by a relative path, which opens nothing."""
        done = self.run(("cat", os.path.relpath(path, self.workspace)))
        return done.end.code == 0 and done.out == path.read_text(errors="replace")


def alive(word: str) -> list[int]:
    """The processes that have exactly this word in their command line, wherever they hide."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if word.encode() in words:
                found.append(int(folder.name))
    return found


def until_alive(word: str, least: int = 1) -> list[int]:
    """The processes with this word, once there are enough: nothing tells when a fork has become its program."""
    deadline = time.monotonic() + 20
    while len(found := alive(word)) < least:
        assert time.monotonic() < deadline, f"{len(found)} of {least} processes"
        time.sleep(0.01)
    return found


def wait_gone(pids: Sequence[int], seconds: float = 10.0) -> bool:
    """Whether all these processes have ended before the time was up."""
    descriptors = []
    for pid in pids:
        try:
            descriptors.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    try:
        return all(_readable(descriptor, seconds) for descriptor in descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _readable(descriptor: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def nap(tmp_path: Path) -> str:
    """A duration for `sleep` that no other test uses, so that its sleepers can be found."""
    return f"86400.{abs(hash(str(tmp_path))) % 10**9:09d}"


DETACHED = {
    "background": "sleep {nap} &",
    "nohup": "nohup sleep {nap} >/dev/null 2>&1 &",
    "setsid": "setsid sleep {nap} &",
    "double fork": "(setsid sh -c 'sleep {nap} & sleep {nap} & exec sleep {nap}' >/dev/null 2>&1 &) &",
    "changed environment": "env -i /usr/bin/env -u X setsid sleep {nap} &",
    "closed descriptors": (
        f"{sys.executable} -c 'import os,sys\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "os.chdir(\"/\"); os.closerange(0, 64); os.execvp(\"sleep\", [\"sleep\", sys.argv[1]])' {nap}"
    ),
    "deaf": "(trap '' INT TERM HUP; setsid sleep {nap}) &",
}  # fmt: skip


def ready_fifo(place: Place) -> tuple[str, Callable[[], str]]:
    """A shell word that tells "ready" through a FIFO in the workspace, and a call that waits for it."""
    place.confinement()
    fifo = place.workspace / "ready"
    os.mkfifo(fifo)
    return "echo ready > ready", lambda: read_fifo(fifo)


def read_fifo(fifo: Path, seconds: float = 60.0) -> str:
    """What the first writer says; an error instead of a hang when none comes."""
    end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        said = b""
        while select.select([end], [], [], seconds)[0]:
            piece = os.read(end, 65536)
            if not piece:
                return said.decode()
            said += piece
        raise AssertionError(f"Nobody wrote to {fifo} in {seconds} s.")
    finally:
        os.close(end)
