"""The coordinator's end of the hook: answers tool calls that come in on a Unix socket.

The socket lies in a folder that the agent's sandbox shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from chargehand.adapters.guarding.calls import Ruling, ToolCall, read_call
from chargehand.adapters.unix_socket import bound
from chargehand.domain.errors import AdapterError

__all__ = ["HookServer"]

CALL_BYTES = 8 * 1024 * 1024

Decide = Callable[[ToolCall], Awaitable[Ruling]]


class HookServer:
    """Listens at `path` from `start` to `stop`, and asks `decide` about each call.

    `decide` may take as long as a person does. It is cancelled when the agent has gone away meanwhile, or the server
    stops; whoever still waits then is denied. What is not a call is denied without being asked about.
    """

    def __init__(self, path: Path, decide: Decide) -> None:
        self._path = path
        self._decide = decide
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen; AdapterError when the folder is missing or cannot be written."""
        try:
            listening = bound(self._path)
        except OSError as error:
            raise AdapterError("hook", f"No socket can be made at {self._path}: {error.strerror}.") from error
        # From 3.13 on asyncio would remove the socket by the name it was bound under, which is gone.
        more: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=CALL_BYTES, **more)

    async def stop(self) -> None:
        """Stop listening, deny whoever waits, and remove the socket; harmless when repeated."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        if talk is not None:
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)
        ruling = Ruling(allow=False, reason="Nobody decided about it, so it is denied.")
        try:
            ruling = await self._ruling(reader)
        except (ValueError, asyncio.LimitOverrunError, ConnectionError):
            ruling = Ruling(allow=False, reason="The call could not be read, so it is denied.")
        except asyncio.CancelledError:
            pass  # by `stop`: the answer is still owed
        except Exception as error:  # noqa: BLE001 - whatever breaks, the call is denied, and the loop is told of it
            told = {"message": "Nobody could decide about a call.", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)
        finally:
            await _answer(writer, ruling)

    async def _ruling(self, reader: asyncio.StreamReader) -> Ruling:
        document = json.loads(await reader.readline())
        if not isinstance(document, dict):
            raise ValueError("not a call")
        call = read_call(str(document.get("agent", "")), document.get("call"), str(document.get("cwd", "")))
        decided = asyncio.ensure_future(self._decide(call))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({decided, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not decided.done():
                return Ruling(allow=False, reason="The agent went away before it was decided.")
            return decided.result()
        finally:
            for task in (decided, gone):
                task.cancel()
            await asyncio.gather(decided, gone, return_exceptions=True)


async def _answer(writer: asyncio.StreamWriter, ruling: Ruling) -> None:
    with contextlib.suppress(ConnectionError):
        writer.write(json.dumps({"allow": ruling.allow, "reason": ruling.reason}).encode() + b"\n")
        await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
