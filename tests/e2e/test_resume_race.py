"""Several `resume` of one run at once: one wins, the others say who (SPEC 8)."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


@pytest.fixture
def killed(cli: CliWorld) -> str:
    """A run whose holder was killed in the middle of its first attempt."""
    cli.script({"a": [{"stay": True}]})
    with cli.started_run(cli.plan([task("a")]), "--run-id", "r1") as process:
        cli.wait_until_written()
        process.send_signal(signal.SIGKILL)
        process.wait()
    return "r1"


@contextmanager
def resumed_at_once(cli: CliWorld, run: str, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that stand ready and begin at the same moment; they are killed in the end."""
    reader, writer = os.pipe()
    code = f"import os, runpy; os.read({reader}, 1); runpy.run_module('chargehand', run_name='__main__')"
    argv = [sys.executable, "-c", code, "resume", run, "--no-wait"]
    started = [
        subprocess.Popen(
            argv,
            cwd=cli.repo.path,
            env=cli.environ,
            pass_fds=[reader],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        os.close(reader)
        os.write(writer, b"x" * count)
        yield started
    finally:
        os.close(writer)
        for process in started:
            process.kill()
            process.communicate()


def wait_for(processes: Sequence[subprocess.Popen[str]], count: int, seconds: float = 100.0) -> None:
    """Return when so many of them have ended."""
    ends = {os.pidfd_open(process.pid): process for process in processes}
    poller = select.poll()
    for descriptor in ends:
        poller.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + seconds
    ended: set[int] = set()
    try:
        while len(ended) < count:
            ready = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
            assert ready, f"{len(ended)} of {count} have ended"
            for descriptor, _ in ready:
                poller.unregister(descriptor)
                ended.add(descriptor)
    finally:
        for descriptor in ends:
            os.close(descriptor)


@pytest.mark.parametrize("count", [2, 20])
def test_one_of_many_drives_and_the_others_name_it(cli: CliWorld, killed: str, count: int):
    """I4: nobody drives a run that another process drives."""
    with resumed_at_once(cli, killed, count) as processes:
        wait_for(processes, count - 1)
        losers = [process for process in processes if process.poll() is not None]
        (winner,) = (process for process in processes if process.poll() is None)
        assert [process.returncode for process in losers] == [2] * (count - 1)
        named = rf"error: Run r1 is held by process {winner.pid} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\."
        for process in losers:
            assert process.stderr is not None
            assert re.search(named, " ".join(process.stderr.read().split()))
        cli.wait_until_written()  # the winner is at work
    events = [event["type"] for event in cli.call("log", killed, "--json").lines]
    assert events.count("run_resumed") == 2  # when it began, and now
    assert events.count("effect_lost") == 1


def test_a_stopped_holder_keeps_its_run(cli: CliWorld, killed: str):
    """Stopped it neither beats nor answers: whoever else comes is told who holds the run, and changes nothing."""
    with cli.start("resume", killed) as holder:
        cli.wait_until_written()
        holder.send_signal(signal.SIGSTOP)
        refused = cli.call("resume", killed, "--json")
        assert (refused.code, refused.document["error"]["code"]) == (2, "run_locked")
        assert f"process {holder.pid} on" in refused.document["error"]["message"]
        before = cli.call("log", killed, "--json").stdout
        holder.send_signal(signal.SIGCONT)
    assert before.count('"run_resumed"') == 2  # when it began, and now
