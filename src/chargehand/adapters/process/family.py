"""A process with everything it has started: signalled, killed, and known to be gone as a whole [I11].

Two ways lead there. The launcher stays, as the subreaper of all descendants, and ends when none is left. Or, for
bubblewrap (`--exec`), it has become bubblewrap: then the whole tree is in a pid namespace, which dies with its
first process, and that one with bubblewrap. bubblewrap may end a moment earlier than the others; the first
process of the namespace ends last, so its end is what is waited for.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress

from chargehand.adapters.process.leftovers import kill_leftovers
from chargehand.adapters.process.spawn import Spawned, on_exit
from chargehand.adapters.process.tree import descendants, send, snapshot, stat_of

__all__ = ["Family"]

# bubblewrap takes the inside down with itself: only SIGKILL is ever meant for it.
WRAPPERS = frozenset({"bwrap"})
GIVE_UP_S = 5.0
FIRST_INSIDE = re.compile(rb'"child-pid": (\d+)\s*[,}]')


class Family:
    """`call` is called once, in the loop, when nothing is left of it but possibly what lost its launcher."""

    def __init__(self, spawned: Spawned, call: Callable[[], None]) -> None:
        self._spawned = spawned
        self._call = call
        self._told = b""
        self._is_followed = False
        self._first: tuple[int, int] | None = None  # pid and pidfd of the first process inside
        self.pid = spawned.popen.pid
        stat = stat_of(self.pid)
        self.started = stat.started if stat else 0
        asyncio.get_running_loop().add_reader(spawned.control.fileno(), self._listen)
        self._forget = on_exit(self.pid, self._on_exit)

    def told(self) -> dict[str, str]:
        """What the launcher told: `exit`, `signal`, `failed`, `left`, each with the rest of its line."""
        return dict(line.partition(" ")[::2] for line in self._told.decode().splitlines())

    def signal(self, number: int) -> None:
        """Send a signal to all but the launcher and bubblewrap."""
        processes = snapshot()
        if processes:
            send([stat for stat in descendants(self.pid, processes) if stat.name not in WRAPPERS], number)
        else:  # no /proc here: the launcher knows at least the program's group
            with suppress(OSError):
                self._spawned.control.send(bytes([number]))

    def kill(self) -> None:
        """Kill all, by the launcher if it is there: nothing escapes it."""
        if self._spawned.is_direct:
            self.kill_directly()
        else:
            with suppress(OSError):
                self._spawned.control.shutdown(socket.SHUT_WR)

    def kill_directly(self) -> None:
        """Kill all from here, the launcher last, which may be stopped or starved."""
        processes = snapshot()
        own = processes.get(self.pid)
        if own is not None:
            send([*descendants(self.pid, processes), own], signal.SIGKILL)
        else:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def close(self, marker: str) -> int:
        """Reap; answers the return code. What lost its launcher, or was just being
        made, is looked for by its marker."""
        if not self._is_followed and not self.told().keys() & {"exit", "signal", "failed"}:
            await asyncio.to_thread(kill_leftovers, marker)
        code = self._spawned.popen.wait()
        self._release()
        return code

    def give_up(self) -> None:
        """End all of it on the way out of a failure; blocks for a moment."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._spawned.popen.wait(GIVE_UP_S)
        self._release()

    def _release(self) -> None:
        self._forget()
        self._forget = lambda: None
        if self._spawned.control.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._spawned.control.fileno())
            self._spawned.control.close()
        self._close_first()

    def _listen(self) -> None:
        try:
            data = self._spawned.control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._spawned.control.fileno())
        self._told += data
        self._find_first()

    def _find_first(self) -> None:
        found = FIRST_INSIDE.search(self._told)
        if self._first is not None or found is None:
            return
        pid = int(found[1])
        try:
            self._first = pid, os.pidfd_open(pid)
        except ProcessLookupError:
            self._is_followed = True
            return
        except (OSError, AttributeError):  # none on this system
            return
        self._is_followed = True
        stat = stat_of(pid)
        if stat is None or stat.started < self.started or stat.name not in WRAPPERS:
            self._close_first()  # it ended before we looked, and this is somebody else

    def _close_first(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            with suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(first[1])
            os.close(first[1])

    def _on_exit(self) -> None:
        with suppress(OSError):
            while data := self._spawned.control.recv(4096):
                self._told += data
        self._find_first()
        if self._first is None:
            self._call()
            return
        with suppress(ProcessLookupError):  # usually the kernel has done it already
            signal.pidfd_send_signal(self._first[1], signal.SIGKILL)
        asyncio.get_running_loop().add_reader(self._first[1], self._on_first_exit)

    def _on_first_exit(self) -> None:
        if self._first is not None:
            with suppress(ChildProcessError):  # ours only where we are the machine's first process
                os.waitpid(self._first[0], os.WNOHANG)
        self._close_first()
        self._call()
