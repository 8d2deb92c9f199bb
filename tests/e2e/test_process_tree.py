"""No process outlives its attempt, however it detached and whoever died first [I11]."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.process import EndKind, kill_leftovers, running, start
from chargehand.adapters.process.marks import marked
from chargehand.adapters.process.tree import snapshot, stat_of
from chargehand.adapters.sandbox.none import NoSandbox
from tests.e2e.processes import DETACHED, KINDS, ROOT, Place, alive, nap, ready_fifo, sandbox_of, until_alive, wait_gone

HOLDING = tuple(kind for kind in KINDS if kind != "none")


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    return Place(folder=tmp_path, sandbox=sandbox_of(request.param))


@pytest.fixture
def plain(tmp_path):
    return Place(folder=tmp_path, sandbox=NoSandbox())


@pytest.mark.parametrize("how", DETACHED)
def test_nothing_outlives_a_program_that_ends_by_itself(place, how):
    """I11."""
    word = nap(place.folder)
    end = place.run(f"{DETACHED[how].replace('{nap}', word)}\nsleep 0.2; exit 3").end
    assert (end.kind, end.code) == (EndKind.EXITED, 3)
    assert alive(word) == []


@pytest.mark.parametrize("now", [True, False])
def test_nothing_outlives_a_program_that_is_stopped(place, now, monkeypatch):
    """I11."""
    monkeypatch.setattr(running, "INT_PATIENCE_S", 0.2)
    monkeypatch.setattr(running, "TERM_PATIENCE_S", 0.2)
    word = nap(place.folder)
    tell, ready = ready_fifo(place)
    script = "\n".join(how.replace("{nap}", word) for how in DETACHED.values())

    async def scenario() -> Any:
        process = await start(place.spec(f"{script}\nsleep 0.3; {tell}; trap '' INT TERM; while :; do sleep 0.1; done"))
        await asyncio.to_thread(ready)
        until_alive(word, len(DETACHED))
        await process.stop(now=now)
        return alive(word)

    assert asyncio.run(scenario()) == []


def test_a_tree_that_forks_while_it_is_killed_is_killed(place):
    """I11: a chain in which each process starts the next and ends."""
    word = nap(place.folder)
    code = (
        "import os,sys,time\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        while True:\n"
        "            time.sleep(0.005)\n"
        "            if os.fork(): os._exit(0)\n"
        "            os.setsid()\n"
        "open('ready', 'w').write('ready')\n"
        "time.sleep(60)\n"
    )
    _, ready = ready_fifo(place)

    async def scenario() -> Any:
        process = await start(place.spec((sys.executable, "-c", code, word)))
        await asyncio.to_thread(ready)
        await process.stop(now=True)
        return alive(word)

    assert asyncio.run(scenario()) == []


DRIVER = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[5])
from tests.e2e.processes import Place
from chargehand.adapters.process import start
from chargehand.adapters.sandbox import choose

async def main():
    place = Place(folder=Path(sys.argv[2]), sandbox=(await choose(sys.argv[1])).sandbox)
    spec = place.spec(sys.argv[3], marker=sys.argv[4])
    print("go", flush=True)
    await start(spec)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def start_driver(place: Place, script: str, marker: str = "driver") -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", DRIVER, place.sandbox.kind, str(place.folder), script, marker, str(ROOT)]
    driver = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
    assert driver.stdout is not None
    with driver.stdout:
        driver.stdout.readline()  # from now on it starts what it was told to
    return driver


def wait_for_nothing(marker: str, word: str) -> None:
    """Wait until nothing is left, neither the program nor what was just becoming it."""
    deadline = time.monotonic() + 15
    while left := [*marked(marker, snapshot(), ()), *alive(word)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_nothing_outlives_chargehand_itself(place):
    """I11: SIGKILL of the coordinator, in the middle of everything."""
    word = nap(place.folder)
    tell, ready = ready_fifo(place)
    script = "\n".join(how.replace("{nap}", word) for how in DETACHED.values())
    driver = start_driver(place, f"{script}\nsleep 0.3; {tell}; trap '' INT TERM HUP; sleep {word}")
    try:
        ready()
        doomed = until_alive(word, len(DETACHED) + 2)
    finally:
        driver.kill()
        driver.wait()
    assert wait_gone(doomed)
    # The driver names the word as well, and it is gone; nothing else was started meanwhile.
    assert alive(word) == []


def test_chargehand_killed_at_the_very_start_leaves_nothing(place):
    """I11: between the fork and the first instruction of the program."""
    word = nap(place.folder)
    for number in range(5):
        marker = f"start-{os.getpid()}-{number}"
        driver = start_driver(place, f"exec sleep {word}", marker)
        while not marked(marker, snapshot(), ()):  # until the launcher exists, at whatever stage it is
            pass
        driver.kill()
        driver.wait()
        wait_for_nothing(marker, word)


MANY = """
async def main():
    place = Place(folder=Path(sys.argv[2]), sandbox=(await choose(sys.argv[1])).sandbox)
    specs = [place.spec(sys.argv[3], marker=sys.argv[4], stdout=place.folder / str(number)) for number in range(6)]
    print("go", flush=True)
    for spec in specs:
        await start(spec)
    await asyncio.sleep(600)
"""


@pytest.mark.parametrize("delay_ms", range(0, 60, 12))
def test_chargehand_killed_while_sandboxes_are_made_leaves_nothing(place, delay_ms):
    """I11: bubblewrap binds its inside to its own life only some milliseconds after it was started."""
    word, marker = nap(place.folder), f"many-{os.getpid()}-{delay_ms}"
    head, tail = DRIVER.split("async def main", maxsplit=1)[0], "\nasyncio.run(main())\n"
    place.confinement()
    argv = [sys.executable, "-c", head + MANY + tail, place.sandbox.kind, str(place.folder)]
    argv += [f"exec sleep {word}", marker, str(ROOT)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        time.sleep(delay_ms / 1000)  # wherever that hits
        driver.kill()
    wait_for_nothing(marker, word)


# -- the launcher --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOLDING)
def test_a_sandboxed_program_cannot_kill_its_launcher(tmp_path, kind):
    """I11: `kill` of every process it can name."""
    place = Place(folder=tmp_path, sandbox=sandbox_of(kind))
    if kind == "landlock" and place.sandbox.abi < 6:  # type: ignore[attr-defined]
        pytest.skip("NOT TESTED: Landlock before ABI 6 has no scope for signals.")
    word = nap(tmp_path)
    end = place.run(f"setsid sleep {word} & kill -9 $PPID 2>&1; kill -9 -- -$PPID 2>&1; exit 3").end
    assert (end.code, end.signal) == (3, None)
    assert alive(word) == []


def test_what_is_left_when_the_launcher_is_killed_is_found_by_its_marker(plain):
    """I11, as far as it goes without a sandbox."""
    word = nap(plain.folder)
    end = plain.run(f"setsid sleep {word} & setsid nohup sleep {word} & kill -9 $PPID; sleep {word}").end
    assert end.kind is EndKind.EXITED
    assert end.signal == 9
    assert alive(word) == []


def test_a_stopped_launcher_does_not_save_its_tree(plain, monkeypatch):
    """I11."""
    monkeypatch.setattr(running, "KILL_PATIENCE_S", 0.2)
    word = nap(plain.folder)
    tell, ready = ready_fifo(plain)

    async def scenario() -> Any:
        process = await start(plain.spec(f"setsid sleep {word} & {tell}; kill -STOP $PPID; sleep {word}"))
        await asyncio.to_thread(ready)
        await process.stop(now=True)
        return alive(word)

    assert asyncio.run(scenario()) == []


def test_a_signal_to_the_own_group_spares_what_is_above(place):
    """Many scripts end with `kill 0`; neither the launcher nor bubblewrap may be hit by it."""
    assert place.run("trap 'exit 6' TERM; kill 0; sleep 5").end.code == 6


def test_nothing_but_the_three_streams_is_handed_on(place):
    """No socket of ours, with which a program could speak in the launcher's name."""
    done = place.run((sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"))
    assert done.out == "['0', '1', '2']\n"


def test_when_the_end_is_told_everything_is_gone(place):
    """I11, many times in a row: the program ends at once and leaves much behind."""
    word = nap(place.folder)
    for _ in range(10):
        place.run(f"for i in 1 2 3 4 5 6 7 8; do setsid sleep {word} & done; exit 0")
        assert alive(word) == []


def test_a_signal_to_the_launcher_ends_the_tree(plain):
    """I11: somebody else's `kill`."""
    word = nap(plain.folder)
    tell, ready = ready_fifo(plain)

    async def scenario() -> Any:
        process = await start(plain.spec(f"setsid sleep {word} & {tell}; sleep {word}"))
        await asyncio.to_thread(ready)
        os.kill(process.pid, signal.SIGTERM)
        end = await process.wait()
        return end, alive(word)

    end, left = asyncio.run(scenario())
    assert (end.kind, end.signal, left) == (EndKind.EXITED, 9, [])


def test_identity_is_pid_and_start_time(plain):
    async def scenario() -> Any:
        process = await start(plain.spec("sleep 60"))
        stat = stat_of(process.pid)
        await process.stop(now=True)
        return process, stat

    process, stat = asyncio.run(scenario())
    assert stat is not None
    assert process.started_at == stat.started
    assert stat.parent == os.getpid()
    assert stat_of(process.pid) is None


# -- leftovers -----------------------------------------------------------------------------------------


def orphan(word: str, marker: str) -> int:
    """A process that belongs to nobody here, with the marker; the intermediate shell is gone when this returns."""
    environment = {"PATH": os.environ["PATH"], "CHARGEHAND_MARKER": marker}
    argv = ["sh", "-c", f"setsid sleep {word} >/dev/null 2>&1 & echo $!"]
    pid = int(subprocess.run(argv, env=environment, capture_output=True, check=True).stdout)
    while word not in Path(f"/proc/{pid}/cmdline").read_text():
        pass  # between fork and exec
    return pid


def test_leftovers_are_found_by_their_marker_and_nothing_else_is_touched(tmp_path):
    """I11: after the coordinator was killed together with the launchers."""
    word = nap(tmp_path)
    run = f"run-{os.getpid()}"
    doomed = [orphan(word, f"{run}/task/1"), orphan(word, f"{run}/task/2/gate"), orphan(word, run)]
    spared = [orphan(word, f"{run}0/task/1"), orphan(word, "")]
    try:
        assert kill_leftovers(f"{run}/task/1") == [doomed[0]]
        assert kill_leftovers(run) == sorted(doomed[1:])
        assert kill_leftovers(f"{run}/") == []
        assert kill_leftovers("") == []
        assert sorted(alive(word)) == sorted(spared)
    finally:
        for pid in alive(word):
            os.kill(pid, signal.SIGKILL)


def test_what_a_leftover_started_goes_with_it(tmp_path):
    word = nap(tmp_path)
    marker = f"leftover-{os.getpid()}"
    script = f"env -u CHARGEHAND_MARKER sleep {word} & echo ready; wait"
    environment = {"PATH": os.environ["PATH"], "CHARGEHAND_MARKER": marker}
    with subprocess.Popen(["sh", "-c", script], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        until_alive(word)
        killed = kill_leftovers(marker)
        assert parent.pid in killed
        assert alive(word) == []


def test_this_process_and_those_above_it_are_never_leftovers(tmp_path):
    code = (
        "import os, sys; from chargehand.adapters.process import kill_leftovers; "
        "print(kill_leftovers(os.environ['CHARGEHAND_MARKER']))"
    )
    environment = {**os.environ, "CHARGEHAND_MARKER": f"self-{os.getpid()}"}
    argv = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", code]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n")
