"""Bounds of a process: wall clock, silence, the grace after a report, disk; and how it is ended [I10]."""

import asyncio
import os
import sys
import time
from typing import Any

import pytest

from chargehand.adapters.process import EndKind, running, start
from chargehand.adapters.process.budgets import disk_usage, newest_change
from chargehand.adapters.sandbox.none import NoSandbox
from tests.e2e.processes import KINDS, Place, alive, nap, ready_fifo, sandbox_of

MIB = 1024 * 1024


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    return Place(folder=tmp_path, sandbox=sandbox_of(request.param))


@pytest.fixture
def plain(tmp_path):
    return Place(folder=tmp_path, sandbox=NoSandbox())


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(running, "INT_PATIENCE_S", 0.3)
    monkeypatch.setattr(running, "TERM_PATIENCE_S", 0.3)


def test_chatter_for_ever_ends_at_the_wall(place):
    """I10: output does not buy time."""
    end = place.run("while :; do echo chatter; sleep 0.02; done", wall_s=0.7, idle_s=0.5).end
    assert (end.kind, end.detail) == (EndKind.TIMEOUT, "The wall budget of 0.7 s was used up.")
    assert 0.7 <= end.wall_s < 3


def test_a_silent_hang_is_a_stall(place):
    """I10: and it is not told before the silence was as long as promised."""
    end = place.run(f"echo started; sleep {nap(place.folder)}", idle_s=1.0).end
    assert (end.kind, end.detail) == (EndKind.STALL, "No output, no CPU time and no file change for 1 s.")
    assert 1.0 <= end.wall_s < 5
    assert alive(nap(place.folder)) == []


def test_output_now_and_then_is_no_silence(plain):
    end = plain.run("for i in 1 2 3; do sleep 0.5; echo $i; done", idle_s=0.8).end
    assert end.kind is EndKind.EXITED


def test_work_without_output_is_no_silence(place):
    end = place.run("timeout 1.3 sh -c 'while :; do :; done'; exit 4", idle_s=0.5).end
    assert (end.kind, end.code) == (EndKind.EXITED, 4)


def test_work_of_a_detached_process_counts(place):
    script = "setsid timeout 1.3 sh -c 'while :; do :; done' & wait; exit 4"
    assert place.run(script, idle_s=0.5).end.kind is EndKind.EXITED


def test_a_changing_file_is_no_silence(plain):
    """Without CPU time worth the name: a write now and then."""
    script = "for i in 1 2 3 4; do sleep 0.6; echo $i > deep; done; exit 4"
    watched = plain.run(script, idle_s=1.0, watch=(plain.workspace,)).end
    assert (watched.kind, watched.code) == (EndKind.EXITED, 4)


def test_it_ends_by_itself_after_it_has_reported(plain):
    done = plain.folder / "report"
    end = plain.run(f"echo > '{done}'; sleep 0.2; exit 0", done=done, done_grace_s=10.0).end
    assert (end.kind, end.code) == (EndKind.EXITED, 0)


@pytest.mark.parametrize("report", ["echo {} > '{}'", "ln -s /nowhere '{}'"])
def test_a_hang_after_the_report_ends_after_the_grace(plain, report):
    """I10: the report ends the attempt, not the process that made it; any kind of file counts as one."""
    done = plain.folder / "report"
    script = f"{report.replace('{}', str(done))}; sleep {nap(plain.folder)}"
    end = plain.run(script, done=done, done_grace_s=0.5).end
    assert end.kind is EndKind.LINGERED
    assert end.detail == "It had reported and did not end by itself within 0.5 s."
    assert 0.5 <= end.wall_s < 5


def test_a_hang_after_the_report_is_ended_in_every_sandbox(place, tmp_path):
    result = tmp_path / "result"
    result.mkdir()
    there = Place(folder=tmp_path, sandbox=place.sandbox, writable=(result,))
    script = f"(setsid sleep {nap(tmp_path)} &); echo '{{}}' > '{result}/report'; sleep {nap(tmp_path)}"
    end = there.run(script, done=result / "report", done_grace_s=0.3).end
    assert end.kind is EndKind.LINGERED
    assert alive(nap(tmp_path)) == []


def test_files_over_the_cap_end_it_at_once(place):
    """I10."""
    script = f"head -c 30M /dev/zero > big; sleep {nap(place.folder)}"
    end = place.run(script, watch=(place.workspace,), disk_bytes=20 * MIB).end
    assert (end.kind, end.detail) == (EndKind.OVER_DISK, f"Its files grew over the cap of {20 * MIB} bytes.")
    assert end.wall_s < 5


def test_files_under_the_cap_are_none_of_our_business(plain):
    end = plain.run("head -c 3M /dev/zero > big; sleep 0.8", watch=(plain.workspace,), disk_bytes=20 * MIB).end
    assert end.kind is EndKind.EXITED


def test_disk_counts_hard_links_once_and_stops_counting_when_it_knows_enough(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(bytes(MIB))
    os.link(tmp_path / "a" / "file", tmp_path / "b")
    (tmp_path / "away").symlink_to("/usr")
    assert MIB <= disk_usage([tmp_path, tmp_path / "missing"], 10 * MIB) < 1.2 * MIB


def test_the_newest_change_is_found_however_deep(tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    os.utime(deep / "f", (1, 1))  # the time that a program can set does not matter
    assert abs(newest_change([tmp_path]) / 1e9 - time.time()) < 60
    assert newest_change([tmp_path / "missing"]) == 0


# -- how it is ended -----------------------------------------------------------------------------------


def stop_when_ready(place: Place, script: Any, *, now: bool = False) -> Any:
    tell, ready = ready_fifo(place)

    async def scenario() -> Any:
        argv = script.replace("READY", tell) if isinstance(script, str) else script
        process = await start(place.spec(argv))
        await asyncio.to_thread(ready)
        began = time.monotonic()
        await process.stop(now=now)
        return await process.wait(), time.monotonic() - began

    end, took = asyncio.run(scenario())
    return end, took, place.out.read_text()


def test_a_program_that_handles_int_sees_it_and_says_goodbye(place):
    script = "trap 'echo goodbye; exit 9' INT; READY; while :; do sleep 0.05; done"
    end, took, out = stop_when_ready(place, script)
    assert (end.kind, end.code, out) == (EndKind.CANCELLED, 9, "goodbye\n")
    assert took < 2


def test_int_reaches_a_child_in_another_session(place):
    child = (
        "import signal; signal.signal(2, lambda *_: exit(print('child')))\n"
        "open('ready', 'w').write('x'); signal.pause()\n"
    )
    parent = (
        "import signal, subprocess, sys; signal.signal(2, lambda *_: None)\n"
        "sys.exit(9 + subprocess.run([sys.executable, '-c', sys.argv[1]], start_new_session=True).returncode)\n"
    )
    end, _, out = stop_when_ready(place, (sys.executable, "-c", parent, child))
    assert (end.code, out) == (9, "child\n")


def test_term_follows_when_int_is_ignored(place, impatient):
    script = "trap '' INT; trap 'echo term; exit 7' TERM; READY; while :; do sleep 0.05; done"
    end, took, out = stop_when_ready(place, script)
    assert end.code == 7
    assert out.endswith("term\n")
    assert took >= 0.3


def test_kill_follows_when_everything_is_ignored(place, impatient):
    script = "trap '' INT TERM HUP QUIT; READY; while :; do sleep 0.05; done"
    end, took, _ = stop_when_ready(place, script)
    assert end.kind is EndKind.CANCELLED
    assert (end.code, end.signal) in {(None, 9), (137, None)}
    assert took >= 0.6


def test_now_kills_at_once(place):
    end, took, out = stop_when_ready(
        place, "trap 'echo goodbye' INT TERM; READY; while :; do sleep 0.05; done", now=True
    )
    assert (end.kind, out) == (EndKind.CANCELLED, "")
    assert took < 1


def test_now_overtakes_a_polite_stop(plain):
    tell, ready = ready_fifo(plain)

    async def scenario() -> Any:
        process = await start(plain.spec(f"trap '' INT TERM; {tell}; while :; do sleep 0.05; done"))
        await asyncio.to_thread(ready)
        polite = asyncio.create_task(process.stop())
        await asyncio.sleep(0)
        began = time.monotonic()
        await process.stop(now=True)
        await polite
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 1.5


def test_what_ended_by_itself_was_not_cancelled(plain):
    async def scenario() -> Any:
        process = await start(plain.spec("exit 5"))
        await process.wait()
        await process.stop()
        return await process.wait()

    end = asyncio.run(scenario())
    assert (end.kind, end.code) == (EndKind.EXITED, 5)


def test_a_stopped_tree_can_still_be_killed(plain, impatient):
    """I10: SIGSTOP does not make a process immortal."""
    end, _, _ = stop_when_ready(plain, "trap '' INT TERM; READY; kill -STOP $$; echo never")
    assert end.kind is EndKind.CANCELLED
    assert end.signal == 9
