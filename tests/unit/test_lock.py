"""The lock of a run: one holder at a time, and a dead one is no obstacle."""

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters import lock as lock_module
from chargehand.adapters.lock import SEEMS_DEAD_S, RunLock, start_ticks
from chargehand.domain.errors import AdapterError, RunLocked, UserError

HOLD = """
import sys
from pathlib import Path
from chargehand.adapters.lock import RunLock
from chargehand.domain.errors import RunLocked
sys.stdin.readline()
try:
    lock = RunLock.acquire(Path(sys.argv[1]))
except RunLocked as error:
    print("locked", error, flush=True)
else:
    print("held", flush=True)
    sys.stdin.readline()
    lock.release()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r7" / "lock"


@pytest.fixture
def start(path):
    """Starts processes that take the lock at the first line and give it up at the second."""
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        argv = [sys.executable, "-c", HOLD, str(path)]
        started.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(process: Any) -> Any:
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_one_holder(path):
    with RunLock.acquire(path, now=lambda: 5.0) as lock:
        assert lock.previous is None
        assert lock.holder.pid == os.getpid()
        assert RunLock.look(path) == lock.holder
        with pytest.raises(RunLocked, match=rf"Run r7 is held by process {os.getpid()} on .+\."):
            RunLock.acquire(path)
    assert RunLock.look(path) is None
    with RunLock.acquire(path) as again:
        assert again.previous is None


def test_nobody_there(path):
    assert RunLock.look(path) is None


def test_the_heartbeat(path):
    times = iter([1.0, 2.0])
    with RunLock.acquire(path, now=lambda: next(times)) as lock:
        lock.beat()
        assert json.loads(path.read_text())["heartbeat"] == 2.0
        assert (lock.holder.since, lock.holder.heartbeat) == (1.0, 2.0)
    lock.beat()  # after the end: harmless
    assert path.read_bytes() == b""


def test_another_process_holds(path, start):
    other = start()
    assert ask(other) == "held"
    with pytest.raises(RunLocked, match=f"process {other.pid}"):
        RunLock.acquire(path)
    holder = RunLock.look(path)
    assert holder is not None
    assert (holder.pid, holder.started) == (other.pid, start_ticks(other.pid))
    other.communicate("\n")
    RunLock.acquire(path).release()


def test_a_dead_holder_is_taken_over(path, start):
    """SIGKILL leaves no lock behind, only the word of who it was."""
    other = start()
    assert ask(other) == "held"
    started = start_ticks(other.pid)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert RunLock.look(path) is None
    with RunLock.acquire(path) as lock:
        assert lock.previous is not None
        assert (lock.previous.pid, lock.previous.started) == (other.pid, started)


def test_exactly_one_of_many_wins(path, start):
    """The others name who won, not the dead holder before it."""
    dead = start()
    assert ask(dead) == "held"
    dead.kill()
    dead.wait()
    others = [start() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, others))
    winner = others[answers.index("held")].pid
    named = rf"locked Run r7 is held by process {winner} on .+ since .+ UTC\."
    assert len([answer for answer in answers if re.fullmatch(named, answer)]) == 3


@pytest.mark.parametrize("text", ["", "garbage", "{}", '{"pid": 1}', "[1]", "\x00" * 600, "9" * 5000])
def test_an_unreadable_file_is_no_obstacle(path, text):
    path.parent.mkdir()
    path.write_text(text)
    assert RunLock.look(path) is None
    with RunLock.acquire(path) as lock:
        assert lock.previous is None
        assert RunLock.look(path) == lock.holder


def test_a_lock_file_that_is_taken_away_is_noticed(path):
    with RunLock.acquire(path) as lock:
        path.unlink()
        with pytest.raises(AdapterError, match="removed or replaced"):
            lock.beat()
        path.write_text("")
        with pytest.raises(AdapterError, match="removed or replaced"):
            lock.beat()


def test_a_link_is_not_followed(path, tmp_path):
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link, where a regular file is expected"):
        RunLock.acquire(path)
    assert not (tmp_path / "elsewhere").exists()


def test_start_ticks_is_an_identity():
    assert start_ticks(os.getpid()) == start_ticks(os.getpid())
    assert start_ticks(2**22 + 1) is None


# -- neither a clock nor a removed file makes two holders of one -------------------------------------

DAY_S = 86_400.0


@pytest.mark.parametrize("jump_s", [-DAY_S, DAY_S])
def test_a_stopped_holder_and_a_clock_that_jumps(path, start, jump_s):
    """The holder does not beat, and by our clock it is long dead or not yet born: it holds all the same."""
    other = start()
    assert ask(other) == "held"
    other.send_signal(signal.SIGSTOP)
    with pytest.raises(RunLocked, match=f"process {other.pid} on"):
        RunLock.acquire(path, now=lambda: time.time() + jump_s)
    with pytest.raises(RunLocked, match=f"process {other.pid} on"):
        RunLock.forget(path, now=lambda: time.time() + jump_s)
    holder = RunLock.look(path)
    assert holder is not None
    assert holder.pid == other.pid
    other.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_who_removes_or_empties_the_file_makes_no_room(path, start, text, monkeypatch):
    monkeypatch.setattr(lock_module, "_PATIENCE_S", 0.1)
    other = start()
    assert ask(other) == "held"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(RunLocked, match="held by another process"):
        RunLock.acquire(path)
    other.communicate("\n")
    RunLock.acquire(path).release()


def test_who_looks_keeps_nobody_from_taking_it(path, start):
    """A look takes a lock for a moment."""
    RunLock.acquire(path).release()
    stop = time.monotonic() + 1.0

    def look() -> None:
        while time.monotonic() < stop:
            RunLock.look(path)

    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        taken = 0
        while time.monotonic() < stop:
            RunLock.acquire(path).release()
            taken += 1
        assert [done.result() for done in looks] == [None, None]
    assert taken > 1


# -- a holder on another machine, where the kernel's lock does not reach -------------------------------


def elsewhere(path: Any, *, heartbeat: float, host: str = "far.example", boot: str = "another") -> None:
    path.parent.mkdir(exist_ok=True)
    holder = {"pid": 7, "started": 9, "host": host, "since": 1_000.0, "heartbeat": heartbeat, "boot": boot}
    path.write_text(json.dumps(holder))


def test_a_holder_on_another_machine_is_never_taken_over_silently(path):
    elsewhere(path, heartbeat=5_000.0)
    named = "process 7 on far.example since 1970-01-01 00:16:40 UTC, last heard of at 1970-01-01 01:23:20 UTC"
    with pytest.raises(RunLocked, match=named):
        RunLock.acquire(path, now=lambda: 5_000.0 + SEEMS_DEAD_S)
    with pytest.raises(RunLocked, match=r"seems dead .*`chargehand doctor` can release"):
        RunLock.acquire(path, now=lambda: 5_001.0 + SEEMS_DEAD_S)
    holder = RunLock.look(path)
    assert holder is not None
    assert holder.host == "far.example"


def test_it_is_forgotten_on_request_once_it_seems_dead(path):
    elsewhere(path, heartbeat=5_000.0)
    for now in (4_800.0, 5_000.0 + SEEMS_DEAD_S):
        with pytest.raises(RunLocked, match=r"far\.example"):
            RunLock.forget(path, now=partial(float, now))
    forgotten = RunLock.forget(path, now=lambda: 5_001.0 + SEEMS_DEAD_S)
    assert forgotten is not None
    assert forgotten.host == "far.example"
    assert RunLock.look(path) is None
    assert RunLock.forget(path) is None
    with RunLock.acquire(path) as lock:
        assert lock.previous is None


@pytest.mark.parametrize("heartbeat", [5_000.0 + DAY_S, math.nan, math.inf, -math.inf, 1e300, 10**400])
def test_a_heartbeat_that_is_no_time_keeps_nobody_for_ever(path, heartbeat):
    """What nobody can believe says nothing of a living holder; still only a person may say that it is dead."""
    elsewhere(path, heartbeat=heartbeat)
    if heartbeat != 10**400:  # that is no lock of anybody's
        with pytest.raises(RunLocked, match="seems dead"):
            RunLock.acquire(path, now=lambda: 5_000.0)
        forgotten = RunLock.forget(path, now=lambda: 5_000.0)
        assert forgotten is not None
        assert forgotten.host == "far.example"
    assert RunLock.look(path) is None
    with RunLock.acquire(path) as lock:
        assert lock.previous is None


@pytest.mark.parametrize("same", ["host", "boot"])
def test_the_kernel_is_believed_about_its_own_machine(path, same):
    """A machine that was started again, a container with a new name: the lock is free, so the holder is dead."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    given = {"host": socket.gethostname()} if same == "host" else {"boot": boot}
    elsewhere(path, heartbeat=time.time(), **given)
    assert RunLock.look(path) is None
    with RunLock.acquire(path) as lock:
        assert lock.previous is not None
        assert lock.previous.pid == 7


def test_a_holder_is_seen_though_its_file_was_removed(tmp_path):
    """The folder is locked, too: nobody is told that the run is free, and nobody waits for long to be refused."""
    path = tmp_path / "run" / "lock"
    with RunLock.acquire(path):
        path.unlink()
        assert RunLock.look(path) is not None
    assert RunLock.look(path) is None
    assert RunLock.look(tmp_path / "nowhere" / "lock") is None
