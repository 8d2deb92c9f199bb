"""Looking on while others write: told by the kernel, and where it does not tell (SPEC 10.1: `--watch`, `--follow`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest

from chargehand.adapters.watching import LOOK_S, FolderWatch
from chargehand.cli.detaching import DriverLog

LONG_S = 30.0


async def told_within(watch: FolderWatch, pid: int | None = None) -> float:
    """How long it took until the watch told of something; `LONG_S` when it never did."""
    begin = monotonic()
    await watch.wait(pid, LONG_S)
    return monotonic() - begin


def test_a_file_that_is_written_by_another_process_is_told(tmp_path: Path):
    """Nothing is looked at meanwhile: the wait is one sleep."""

    async def look() -> tuple[float, float]:
        with FolderWatch(tmp_path) as watch:
            child = await asyncio.create_subprocess_exec(
                "sh", "-c", "read go; echo x >> file; read go", stdin=-1, cwd=tmp_path
            )
            assert child.stdin
            child.stdin.write(b"go\n")
            first = await told_within(watch)
            child.stdin.write(b"go\n")
            await child.wait()
            return first, (tmp_path / "file").stat().st_size

    took, size = asyncio.run(look())
    assert took < LONG_S
    assert size == 2


def test_what_came_before_the_wait_is_told(tmp_path: Path):
    async def look() -> float:
        with FolderWatch(tmp_path) as watch:
            (tmp_path / "file").write_text("x")
            return await told_within(watch)

    assert asyncio.run(look()) < LOOK_S


def test_the_end_of_a_process_is_told(tmp_path: Path):
    """A holder that is killed writes nothing any more."""

    async def look() -> float:
        with FolderWatch(tmp_path) as watch:
            child = await asyncio.create_subprocess_exec("sleep", "600")
            waiting = asyncio.create_task(told_within(watch, child.pid))
            await asyncio.sleep(0)
            child.kill()
            took = await waiting
            await child.wait()
            return took

    assert asyncio.run(look()) < LONG_S


def test_what_is_not_told_is_looked_for(tmp_path: Path):
    """In another thread no signal comes; of a process that is gone, or unknown, nothing is told."""
    took: list[float] = []

    async def look(pid: int | None) -> None:
        with FolderWatch(tmp_path) as watch:
            took.append(await told_within(watch, pid))

    thread = Thread(target=lambda: asyncio.run(look(None)))
    thread.start()
    thread.join(LONG_S)
    asyncio.run(look(2**22 + 1))
    assert len(took) == 2
    assert all(LOOK_S * 0.9 <= seconds < LONG_S for seconds in took)


def test_a_folder_that_is_gone_is_looked_at(tmp_path: Path):
    async def look() -> float:
        with FolderWatch(tmp_path / "none") as watch:
            return await told_within(watch)

    assert LOOK_S * 0.9 <= asyncio.run(look()) < LONG_S


def test_a_signal_that_comes_late_does_no_harm(tmp_path: Path):
    async def look() -> None:
        with FolderWatch(tmp_path):
            pass
        os.kill(os.getpid(), signal.SIGURG)

    asyncio.run(look())


# -- what a process in the background says --------------------------------------------------------


@pytest.fixture
def target() -> int:
    """A descriptor that may be redirected."""
    return os.open(os.devnull, os.O_WRONLY)


def test_the_log_of_the_background_cannot_grow_for_ever(tmp_path: Path, target: int):
    """SPEC 3.5: nothing that is printed exhausts the disk."""
    log = DriverLog(tmp_path / "driver.log", limit=100, targets=(target,))
    for number in range(50):
        assert log.write(f"line {number:02}\n") == 8
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"driver.log", "driver.log.1"}
    assert max(sizes.values()) < 110
    assert (tmp_path / "driver.log").read_text().endswith("line 49\n")
    assert log.fileno() == target
    os.close(target)


def test_a_log_goes_on_where_it_was_and_forgives(tmp_path: Path, target: int):
    """What cannot be written is no reason to end a run."""
    (tmp_path / "driver.log").write_text("before\n")
    log = DriverLog(tmp_path / "driver.log", targets=(target,))
    log.write("after \udcff\n")
    assert (tmp_path / "driver.log").read_text() == "before\nafter ?\n"
    os.close(target)
    assert log.write("nowhere\n") == 8
    assert not log.isatty()
    assert sys.stderr is not log
