"""Short helpers such as git: run, take the output into memory, no launcher."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from chargehand.adapters.process.marks import HELPER_VARIABLE, own_name
from chargehand.adapters.process.paths import is_folder
from chargehand.adapters.process.spawn import on_exit, open_stdin, why_not
from chargehand.adapters.process.spec import Captured
from chargehand.domain.errors import AdapterError

__all__ = ["capture"]

MIB = 1024 * 1024
READ_BYTES = 256 * 1024


async def capture(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout_s: float = 60.0,
    limit: int = 64 * MIB,
) -> Captured:
    """Run a helper that ends soon and trusts no agent's configuration; its process group ends with it.

    AdapterError for a program that cannot be executed; a retryable one for a timeout, and for more than `limit`
    bytes of output (stdout and stderr together).
    """
    helper = _Helper(limit)
    helper.begin(argv, cwd, env, stdin)
    try:
        async with asyncio.timeout(timeout_s):
            await helper.ended.wait()
    except TimeoutError:
        raise AdapterError("process", f"{argv[0]} did not end within {timeout_s:g} s.", retryable=True) from None
    finally:
        helper.close()
    if helper.size > limit:
        raise AdapterError("process", f"{argv[0]} printed more than {limit} bytes.", retryable=True)
    return Captured(code=helper.code, stdout=helper.text(0), stderr=helper.text(1))


class _Helper:
    def __init__(self, limit: int) -> None:
        self.ended = asyncio.Event()
        self.size = 0
        self.code = 0
        self._limit = limit
        self._chunks: tuple[list[bytes], list[bytes]] = ([], [])
        self._pipes: list[int] = []
        self._popen: subprocess.Popen[bytes] | None = None

    def begin(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: bytes) -> None:
        given: list[int] = []
        try:
            given.append(open_stdin(stdin))
            for _ in range(2):
                reader, writer = os.pipe()
                os.set_blocking(reader, False)
                self._pipes.append(reader)
                given.append(writer)
            self._popen = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**env, HELPER_VARIABLE: own_name()},
                stdin=given[0],
                stdout=given[1],
                stderr=given[2],
                start_new_session=True,
            )
        except OSError as error:
            self._close_pipes()
            text = why_not(argv[0], error.errno or 0, cwd) if is_folder(cwd) else f"The folder {cwd} does not exist."
            raise AdapterError("process", text) from error
        finally:
            for descriptor in given:
                os.close(descriptor)
        loop = asyncio.get_running_loop()
        for place, descriptor in enumerate(self._pipes):
            loop.add_reader(descriptor, self._read, place)
        self._forget = on_exit(self._popen.pid, self.ended.set)

    def _read(self, place: int) -> bool:
        try:
            data = os.read(self._pipes[place], READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._pipes[place])
            return False
        self.size += len(data)
        if self.size > self._limit:
            self.ended.set()
            return False
        self._chunks[place].append(data)
        return True

    def text(self, place: int) -> bytes:
        return b"".join(self._chunks[place])

    def close(self) -> None:
        """End whatever is left of the process group, take what is in the pipes, reap."""
        if self._popen is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self.code = self._popen.wait()
        self._forget()
        for place in range(2):
            while self.size <= self._limit and self._read(place):
                pass
        self._close_pipes()

    def _close_pipes(self) -> None:
        loop = asyncio.get_running_loop()
        for descriptor in self._pipes:
            loop.remove_reader(descriptor)
            os.close(descriptor)
