"""Brings the meter into a sandbox without a network.

    python -I -S relay.py LISTEN_PORT SOCKET -- PROGRAM ARGUMENT...

Listens on 127.0.0.1:LISTEN_PORT inside the sandbox, hands every connection on to the Unix socket SOCKET, which is
bound into it, and becomes PROGRAM. Standard library only, one file, nothing else of Chargehand: it runs wherever a
Python is. The listener is there before the program starts; because the program takes the place of this process, its
exit code, its signals and its process number are its own. What hands on the connections is a process of its own,
no child of the program; it ends when the program ends.

Exit codes of its own: 64 wrong arguments, 66 the port cannot be listened on, 126 and 127 as a shell has them.
"""

from __future__ import annotations

import os
import socket
import sys

_BACKLOG = 128
_PIECE = 65536


def main(words: list[str]) -> int:
    """Start the relay and become the program; returns only when that failed."""
    try:
        port, path, dashes, *argv = words
        number = int(port)
    except ValueError:
        number, dashes, argv, path = 0, "", [], ""
    if dashes != "--" or not argv or not 0 < number < 65536:
        sys.stderr.write("Usage: relay.py LISTEN_PORT SOCKET -- PROGRAM ARGUMENT...\n")
        return 64
    try:
        listener = socket.create_server(("127.0.0.1", number), backlog=_BACKLOG)
    except OSError as error:
        sys.stderr.write(f"The relay cannot listen on 127.0.0.1:{number}: {error.strerror}.\n")
        return 66
    _leave_behind(listener, path)
    listener.close()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - this is the purpose
    except OSError as error:
        sys.stderr.write(f"The program {argv[0]} cannot be started: {error.strerror}.\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


def _leave_behind(listener: socket.socket, path: str) -> None:
    """Serve in a grandchild, so that the program never sees a child it did not start."""
    program = os.pidfd_open(os.getpid())
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(program)
        return
    try:
        if os.fork() == 0:
            os.setsid()
            _let_go_of_output()
            _serve(listener, path, program)
    finally:
        os._exit(0)


def _let_go_of_output() -> None:
    """Whoever reads the program's output waits for its end: nobody else may hold it open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)


def _serve(listener: socket.socket, path: str, program: int) -> None:
    import asyncio  # only here: the program does not wait for it

    folder, name = os.path.split(path)  # the name of a socket must be short
    try:
        os.chdir(folder or ".")
    except OSError:
        os._exit(0)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.transport.abort()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(name)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        for one in (writer, far_writer):
            one.close()

    async def serve() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(program, ended.set)
        async with await asyncio.start_server(connected, sock=listener):
            await ended.wait()
        os._exit(0)

    asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
