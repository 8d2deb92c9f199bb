"""The process door: status, streams, and programs that cannot be started."""

import asyncio
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.process import EndKind, ProcessSpec, capture, run, start
from chargehand.adapters.sandbox.none import NoSandbox
from chargehand.domain.errors import AdapterError
from tests.e2e.processes import KINDS, PATH, Place, alive, nap, read_fifo, sandbox_of, until_alive, wait_gone

ENV = {"PATH": PATH}
MIB = 1024 * 1024


@pytest.fixture
def place(tmp_path):
    return Place(folder=tmp_path, sandbox=NoSandbox())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [0, 1, 3, 77, 255])
def test_the_exit_code_is_exact(tmp_path, kind, code):
    end = Place(folder=tmp_path, sandbox=sandbox_of(kind)).run(f"exit {code}").end
    assert (end.kind, end.code, end.signal) == (EndKind.EXITED, code, None)


@pytest.mark.parametrize("kind", ["landlock", "none"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGPIPE])
def test_the_signal_is_exact(tmp_path, kind, number):
    end = Place(folder=tmp_path, sandbox=sandbox_of(kind)).run(f"kill -{int(number)} $$").end
    assert (end.kind, end.code, end.signal) == (EndKind.EXITED, None, number)


def test_bubblewrap_tells_a_signal_as_128_and_its_number(tmp_path):
    end = Place(folder=tmp_path, sandbox=sandbox_of("bwrap")).run("kill -9 $$").end
    assert (end.kind, end.code, end.signal) == (EndKind.EXITED, 137, None)


def test_an_argv_without_a_sandbox_is_run_under_the_launcher(place):
    place.confinement()
    spec = replace(place.spec("true"), argv=("sh", "-c", f"setsid sleep {nap(place.folder)} & exit 4"))
    end = asyncio.run(run(spec))
    assert end.code == 4
    assert alive(nap(place.folder)) == []


def test_the_environment_is_exactly_what_was_given(place):
    place.confinement()
    spec = replace(place.spec("true"), argv=("env",), env={"PATH": PATH, "A": "ä b"}, marker="run/task/1")
    asyncio.run(run(spec))
    assert sorted(place.out.read_text().splitlines()) == ["A=ä b", "CHARGEHAND_MARKER=run/task/1", f"PATH={PATH}"]


def test_signals_that_were_ignored_here_are_not_ignored_there(place):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        end = place.run("kill -INT $$; sleep 1; exit 5").end
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.signal == signal.SIGINT


def test_the_input_is_read_to_its_end(place):
    data = os.urandom(3 * MIB)
    place.run("cat > copy", stdin=data)
    assert (place.workspace / "copy").read_bytes() == data


def test_without_input_there_is_end_of_file_at_once(place):
    assert place.run("cat; echo end").out == "end\n"


def test_both_streams_go_into_one_file_in_order(place):
    assert place.run("echo a; echo b >&2; echo c").out == "a\nb\nc\n"


def test_the_error_stream_has_a_file_of_its_own_when_asked(place):
    other = place.folder / "errors"
    assert place.run("echo a; echo b >&2", stderr=other).out == "a\n"
    assert other.read_text() == "b\n"


def test_output_under_the_cap_is_complete(place):
    done = place.run("seq 1 20000", output_bytes=150_000)
    assert done.out == "".join(f"{number}\n" for number in range(1, 20001))
    assert done.end.dropped_bytes == 0


def test_output_over_the_cap_keeps_its_head_and_its_tail(place):
    """I10: nothing a program prints can fill the disk."""
    whole = "".join(f"{number}\n" for number in range(1, 200_001))
    done = place.run("seq 1 200000", output_bytes=20_000)
    dropped = len(whole) - 20_000
    assert done.end.dropped_bytes == dropped
    assert done.out == f"{whole[:10_000]}\n[… {dropped} bytes dropped …]\n{whole[-10_000:]}"
    assert sorted(path.name for path in place.folder.iterdir()) == ["output", "work space é"]


def test_a_gibibyte_of_output_fills_neither_disk_nor_memory_nor_time(place):
    """I10: a process that prints for ever costs its cap, and the loop goes on meanwhile."""
    gaps: list[float] = []

    async def scenario() -> Any:
        beats = asyncio.create_task(heartbeat(gaps))
        end = await run(place.spec(("head", "-c", "1G", "/dev/zero"), wall_s=100.0))
        beats.cancel()
        return end

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = asyncio.run(scenario())
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert end.code == 0
    assert end.dropped_bytes == 1024 * MIB - 64 * MIB
    assert place.out.stat().st_size == 64 * MIB + len(f"\n[… {end.dropped_bytes} bytes dropped …]\n".encode())
    assert after - before < 16 * 1024  # KiB
    assert max(gaps) < 0.5


async def heartbeat(gaps: list[float]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.01)
        now = time.monotonic()
        gaps.append(now - last)
        last = now


def test_the_last_line_is_known_while_it_runs(place):
    async def scenario() -> Any:
        running = await start(place.spec("echo first; echo second; echo; echo ready > ready; sleep 60"))
        began = running.last_output_at
        await asyncio.to_thread(read_fifo, place.workspace / "ready")
        line = running.last_line
        await running.stop(now=True)
        return line, running.last_output_at >= began

    place.confinement()
    os.mkfifo(place.workspace / "ready")
    assert asyncio.run(scenario()) == ("second", True)


def test_an_unwritable_log_is_an_error_before_anything_starts(place):
    with pytest.raises(AdapterError, match="could not be written"):
        place.run("touch started", stdout=place.folder / "missing" / "log")
    assert not (place.workspace / "started").exists()


def test_a_link_where_the_log_should_be_is_not_followed(place):
    (place.folder / "precious").write_text("precious")
    place.out.symlink_to(place.folder / "precious")
    with pytest.raises(AdapterError):
        place.run("echo overwritten")
    assert (place.folder / "precious").read_text() == "precious"


def test_a_pipe_that_somebody_outside_the_tree_holds_is_not_waited_for(place):
    """The write end travels over a socket to this process, which keeps it open."""
    import socket

    server = socket.socket(socket.AF_UNIX)
    place.confinement()
    server.bind(str(place.workspace / "s"))
    server.listen()
    code = (
        "import array,os,socket\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('s')\n"
        "socket.send_fds(s, [b'x'], [1]); print('sent')\n"
    )
    end = place.run((sys.executable, "-c", code), wall_s=20.0).end
    peer, _ = server.accept()
    _, given, _, _ = socket.recv_fds(peer, 1, 1)
    assert end.kind is EndKind.EXITED
    assert end.wall_s < 10
    assert place.out.read_text() == "sent\n"
    for descriptor in given:
        os.close(descriptor)
    peer.close()
    server.close()


# -- programs that cannot be started -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_missing_program_is_told(tmp_path, kind, wrapped):
    place = Place(folder=tmp_path, sandbox=sandbox_of(kind))
    spec = place.spec(("no-such-program", "x"))
    end = asyncio.run(run(spec if wrapped else replace(spec, argv=("no-such-program", "x"))))
    assert (end.kind, end.code, end.signal) == (EndKind.NOT_STARTED, None, None)
    assert end.detail == ("The program no-such-program was not found on PATH: install it or name it by its full path.")
    assert place.sandbox.explain("no-such-program", place.confinement()) == end.detail


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_without_permission_or_interpreter_is_told(tmp_path, kind):
    place = Place(folder=tmp_path, sandbox=sandbox_of(kind))
    place.confinement()
    closed = place.workspace / "closed"
    closed.write_text("#!/bin/sh\n")
    broken = place.workspace / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    for argv, word in ((("./closed",), "permissions"), (("./broken",), "interpreter"), (("./gone",), "does not exist")):
        for spec in (place.spec(argv), replace(place.spec(argv), argv=argv)):
            end = asyncio.run(run(spec))
            assert end.kind is EndKind.NOT_STARTED
            assert word in end.detail
            assert end.detail.endswith(".")


def test_a_missing_folder_and_an_impossible_argument_are_told(place):
    place.confinement()
    gone = asyncio.run(run(replace(place.spec("true"), cwd=place.folder / "gone")))
    assert gone.kind is EndKind.NOT_STARTED
    assert "gone to start in does not exist" in gone.detail
    odd = asyncio.run(run(replace(place.spec("true"), argv=("echo", "a\0b"))))
    assert odd.kind is EndKind.NOT_STARTED
    empty = asyncio.run(run(replace(place.spec("true"), argv=())))
    assert (empty.kind, empty.detail) == (EndKind.NOT_STARTED, "There is no program to start.")


def test_stopping_what_never_started_is_harmless(place):
    async def scenario() -> Any:
        running = await start(replace(place.spec("true"), argv=()))
        await running.stop()
        return await running.wait()

    assert asyncio.run(scenario()).kind is EndKind.NOT_STARTED


# -- waiting and cancelling ----------------------------------------------------------------------------


def test_everybody_who_waits_is_told_the_same(place):
    async def scenario() -> Any:
        running = await start(place.spec("exit 6"))
        return await asyncio.gather(*(running.wait() for _ in range(5)), running.wait())

    ends = asyncio.run(scenario())
    assert len(set(ends)) == 1
    assert ends[0].code == 6


def test_a_waiter_that_is_cancelled_does_not_end_the_process(place):
    async def scenario() -> Any:
        running = await start(place.spec("sleep 0.3; exit 6"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(running.wait(), 0.01)
        return await running.wait()

    assert asyncio.run(scenario()).code == 6


def test_cancelling_run_kills_the_tree_first(place):
    """I11: cancellation goes on only when nothing is alive any more."""
    word = nap(place.folder)

    async def scenario() -> Any:
        task = asyncio.create_task(run(place.spec(f"setsid sleep {word} & echo ready > ready; wait")))
        await asyncio.to_thread(read_fifo, place.workspace / "ready")
        until_alive(word)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return alive(word)

    place.confinement()
    os.mkfifo(place.workspace / "ready")
    assert asyncio.run(scenario()) == []


def test_closing_the_loop_kills_the_tree(place):
    """I11: also when nobody waits for the process."""
    word = nap(place.folder)

    async def scenario() -> Any:
        await start(place.spec(f"setsid sleep {word} & echo ready > ready; wait"))
        await asyncio.to_thread(read_fifo, place.workspace / "ready")

    place.confinement()
    os.mkfifo(place.workspace / "ready")
    asyncio.run(scenario())
    assert alive(word) == []


# -- capture -------------------------------------------------------------------------------------------


def test_capture_answers_code_and_streams(run, tmp_path):
    done = run(capture(["sh", "-c", "cat; echo e >&2; exit 4"], cwd=tmp_path, env=ENV, stdin=b"in"))
    assert (done.code, done.stdout, done.stderr) == (4, b"in", b"e\n")
    assert run(capture(["sh", "-c", "kill -9 $$"], cwd=tmp_path, env=ENV)).code == -9


def test_capture_takes_much_and_refuses_too_much(run, tmp_path):
    done = run(capture(["head", "-c", "20M", "/dev/zero"], cwd=tmp_path, env=ENV))
    assert done.stdout == bytes(20 * MIB)
    with pytest.raises(AdapterError) as caught:
        run(capture(["cat", "/dev/zero"], cwd=tmp_path, env=ENV, limit=MIB))
    assert caught.value.retryable


def test_capture_ends_a_helper_that_hangs_with_its_group(run, tmp_path):
    """I10."""
    word = nap(tmp_path)
    with pytest.raises(AdapterError, match="did not end within") as caught:
        run(capture(["sh", "-c", f"sleep {word} & wait"], cwd=tmp_path, env=ENV, timeout_s=0.2))
    assert caught.value.retryable
    assert wait_gone(alive(word))


def test_capture_does_not_wait_for_a_grandchild_that_holds_the_pipe(run, tmp_path):
    began = time.monotonic()
    done = run(capture(["sh", "-c", f"sleep {nap(tmp_path)} & echo out"], cwd=tmp_path, env=ENV))
    assert done.stdout == b"out\n"
    assert time.monotonic() - began < 5
    assert wait_gone(alive(nap(tmp_path)))


def test_capture_tells_a_missing_program_and_a_missing_folder(run, tmp_path):
    with pytest.raises(AdapterError, match="was not found on PATH") as caught:
        run(capture(["no-such-program"], cwd=tmp_path, env=ENV))
    assert not caught.value.retryable
    with pytest.raises(AdapterError, match="does not exist"):
        run(capture(["true"], cwd=tmp_path / "gone", env=ENV))


@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_waits_where_the_kernel_has_no_pidfd(tmp_path, monkeypatch, kind):
    """I11 there, too."""
    place = Place(folder=tmp_path, sandbox=sandbox_of(kind))
    monkeypatch.delattr(os, "pidfd_open")
    word = nap(tmp_path)
    assert place.run(f"setsid sleep {word} & exit 9").end.code == 9
    assert alive(word) == []
    done = asyncio.run(capture(["sh", "-c", "exit 8"], cwd=tmp_path, env=ENV))
    assert done.code == 8


def test_nothing_stays_open(tmp_path):
    """Many at once, in every sandbox, with every kind of end."""
    places = [Place(folder=tmp_path, sandbox=sandbox_of(kind)) for kind in KINDS]

    async def scenario() -> Any:
        ends = []
        for place in places:
            scripts = ["exit 1", "sleep 60", "no-such-program", "head -c 3M /dev/zero"] * 3
            specs = [
                place.spec(script, stdout=tmp_path / f"o{number}", wall_s=0.6, output_bytes=100_000)
                for number, script in enumerate(scripts)
            ]
            ends += await asyncio.gather(*(run(spec) for spec in specs))
        return ends

    asyncio.run(scenario())
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    ends = asyncio.run(scenario())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert {end.kind for end in ends} == {EndKind.EXITED, EndKind.TIMEOUT}


def test_a_spec_needs_only_what_has_no_default(tmp_path):
    end = asyncio.run(run(ProcessSpec(argv=("true",), cwd=tmp_path, env=ENV, stdout=Path(tmp_path / "o"), wall_s=10.0)))
    assert end.code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_standard_output_is_heard_as_it_comes(tmp_path, kind):
    """Every byte, in order, without standard error; and the file is the same."""
    heard: list[bytes] = []
    place = Place(folder=tmp_path, sandbox=sandbox_of(kind))
    spec = place.spec("echo one; echo no >&2; seq 20000; printf end", tap=heard.append, stderr=tmp_path / "err")
    end = asyncio.run(run(spec))
    assert end.code == 0
    assert (
        b"".join(heard) == place.out.read_bytes() == b"one\n" + b"".join(b"%d\n" % n for n in range(1, 20001)) + b"end"
    )


def test_what_is_heard_otherwise_is_no_silence(place):
    """A program that waits for its model prints nothing; whoever sees the model's answer come in says so."""

    async def listened() -> EndKind:
        running = await start(place.spec("sleep 2", idle_s=0.6))
        waiting = asyncio.ensure_future(running.wait())
        while not waiting.done():
            running.is_heard()
            await asyncio.wait({waiting}, timeout=0.1)
        return waiting.result().kind

    assert asyncio.run(listened()) is EndKind.EXITED
    assert asyncio.run(run(place.spec("sleep 20", idle_s=0.6))).kind is EndKind.STALL
