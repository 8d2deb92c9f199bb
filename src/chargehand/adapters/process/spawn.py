"""Starts a process under the launcher and tells when it has ended, without a thread and without polling."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.process.guard import OWNER_VARIABLE, owner
from chargehand.adapters.process.marks import mark_number
from chargehand.adapters.process.paths import is_there
from chargehand.adapters.process.spec import MARKER_VARIABLE, ProcessSpec

__all__ = [
    "Spawned",
    "is_direct",
    "is_for_loader",
    "launcher_prefix",
    "on_exit",
    "open_stdin",
    "refusal",
    "spawn",
    "why_not",
]

LAUNCHER = Path(__file__).with_name("launcher.py")
PIPE_BYTES = 1024 * 1024
LOADER_PREFIXES = ("LD_", "DYLD_")
LOADER_NAMES = frozenset({"GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH"})
F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)


def launcher_prefix() -> tuple[str, ...]:
    """What every wrapped argv begins with; options of the launcher follow, then `--` and the program."""
    return (sys.executable, "-I", "-S", str(LAUNCHER))


def refusal(argv: Sequence[str]) -> str:
    """Why a sandbox refuses to start this argv, or an empty string."""
    options = _options(argv)
    return next((option.removeprefix("--refuse=") for option in options if option.startswith("--refuse=")), "")


def is_direct(argv: Sequence[str]) -> bool:
    """Whether the launcher becomes the program (bubblewrap) instead of staying above it."""
    return "--exec" in _options(argv)


def _options(argv: Sequence[str]) -> Sequence[str]:
    prefix = launcher_prefix()
    return argv[len(prefix) : argv.index("--")] if tuple(argv[: len(prefix)]) == prefix else ()


@dataclass(slots=True, kw_only=True)
class Spawned:
    """A started launcher: our ends of its output pipes, and the socket whose end means "kill everything".

    `is_direct`: it becomes bubblewrap, and the socket tells what that has to say.
    """

    popen: subprocess.Popen[bytes]
    control: socket.socket
    outputs: tuple[int, ...]
    is_direct: bool


def spawn(spec: ProcessSpec, marker: str) -> Spawned:
    """Start; OSError and ValueError mean that not even the launcher could be started."""
    ours, theirs = socket.socketpair()
    keep: list[int] = []
    give: list[int] = []
    try:
        for _ in range(1 if spec.stderr is None else 2):
            reader, writer = _pipe()
            keep.append(reader)
            give.append(writer)
        stdin = open_stdin(spec.stdin)
        give.append(stdin)
        popen = subprocess.Popen(
            _with_control(spec, theirs.fileno(), marker),
            cwd=spec.cwd,
            env=_environment(spec, marker),
            stdin=stdin,
            stdout=give[0],
            stderr=subprocess.STDOUT if spec.stderr is None else give[1],
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            close_fds=True,
        )
    except BaseException:
        ours.close()
        for descriptor in keep:
            os.close(descriptor)
        raise
    finally:
        theirs.close()
        for descriptor in give:
            os.close(descriptor)
    ours.setblocking(False)
    return Spawned(popen=popen, control=ours, outputs=tuple(keep), is_direct=is_direct(spec.argv))


def _environment(spec: ProcessSpec, marker: str) -> dict[str, str]:
    """The environment of the launcher: without what makes the dynamic loader run code of others.

    The launcher and bubblewrap are started outside the sandbox: a library that an agent left where
    `LD_LIBRARY_PATH` points must not be loaded into them [I8]. The program itself gets these variables.
    """
    env = {name: value for name, value in spec.env.items() if not is_for_loader(name)}
    if is_direct(spec.argv):
        env[OWNER_VARIABLE] = owner()
    return {**env, MARKER_VARIABLE: marker}


def is_for_loader(name: str) -> bool:
    """Whether a variable of the environment is read by the dynamic loader or makes the C library load code."""
    return name.startswith(LOADER_PREFIXES) or name in LOADER_NAMES


def _with_control(spec: ProcessSpec, control: int, marker: str) -> list[str]:
    prefix = launcher_prefix()
    options = [f"--control={control}", f"--mark={mark_number(marker)}"]
    if "LC_CTYPE" not in spec.env:
        # Python sets this one for itself in a C locale; the program must not inherit it from the launcher.
        options.append("--unset=LC_CTYPE")
    if spec.argv[: len(prefix)] == prefix:
        return [*prefix, *options, *spec.argv[len(prefix) :]]
    options += (f"--setenv={name}={value}" for name, value in spec.env.items() if is_for_loader(name))
    return [*prefix, *options, "--", *spec.argv]


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    if F_SETPIPE_SZ is not None:
        with suppress(OSError):  # the user may have many pipes already
            fcntl.fcntl(reader, F_SETPIPE_SZ, PIPE_BYTES)
    return reader, writer


def open_stdin(data: bytes) -> int:
    """A descriptor that gives `data`, then EOF; never blocks us however slowly it is read."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("stdin")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def on_exit(pid: int, call: Callable[[], None]) -> Callable[[], None]:
    """Call `call` in the loop once `pid` has ended (it is not reaped); answers how to stop waiting."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        _wait_in_thread(loop, pid, call)
        return lambda: None

    def forget() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)

    def ended() -> None:
        loop.remove_reader(descriptor)
        call()

    loop.add_reader(descriptor, ended)
    return forget


def _wait_in_thread(loop: asyncio.AbstractEventLoop, pid: int, call: Callable[[], None]) -> None:
    def wait() -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(call)

    threading.Thread(target=wait, name=f"exit of {pid}", daemon=True).start()


def why_not(program: str, number: int, cwd: Path) -> str:
    """A sentence about an argv that could not be executed."""
    path = Path(program) if "/" in program else None
    if number == errno.ENOENT and path is not None and is_there(cwd / path):
        return f"{program} could not be executed: the interpreter that its first line names does not exist."
    if number in (errno.ENOENT, errno.ENOTDIR):
        where = "does not exist" if path is not None else "was not found on PATH"
        return f"The program {program} {where}: install it or name it by its full path."
    if number == errno.EACCES:
        return f"The program {program} may not be executed: look at its permissions."
    if number == errno.ENOEXEC:
        return f"{program} is neither a program nor a script with an interpreter in its first line."
    return f"The program {program} could not be executed: {os.strerror(number)}."
