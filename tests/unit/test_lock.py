"""The lock of a run: one holder at a time, and a dead one is no obstacle."""

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chargehand.adapters.lock import RunLock, start_ticks
from chargehand.domain.errors import AdapterError, RunLocked

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


def test_exactly_one_of_many_wins(start):
    others = [start() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(ask, others))
    assert answers[0] == "held"
    assert len([answer for answer in answers if re.match(r"locked Run r7 is held by (another )?process", answer)]) == 3


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
    with pytest.raises(AdapterError, match="cannot be taken"):
        RunLock.acquire(path)
    assert not (tmp_path / "elsewhere").exists()


def test_start_ticks_is_an_identity():
    assert start_ticks(os.getpid()) == start_ticks(os.getpid())
    assert start_ticks(2**22 + 1) is None
