"""What Chargehand costs beside the work itself; every number against the floor of the same run.

    make bench                       everything (about a quarter of an hour)
    make bench ARGS="--quick"        fewer repetitions and smaller sizes
    make bench ARGS="--only git"     one part

Ratios within one run mean something on any machine; seconds only on an idle one. The load is printed with them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.judging import cache, reviews, train
from bench.ours import Course, Place, Taken, a_place, course_of, cpu_s, histogram, rss_mb, take, tree_of
from bench.rows import How, Row, floor
from bench.work import Item, levels

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
TASKS = levels()


def ours(place: Place, items: tuple[Item, ...], *, sleep_s: float = 0, gate: bool = False, **more: Any) -> Taken:
    """`chargehand run` for the same work; `more` may be `jobs` (4) and `run`, its name."""
    return take(place.argv(items, sleep_s=sleep_s, gate=gate, **{"jobs": 4, **more}), place.env, place.folder)


# -- the parts ------------------------------------------------------------------------------------


def overhead(how: How) -> Iterator[Row]:
    """20 tasks whose agents take no time: all that is left is coordination, gates included."""
    part, floors, runs = "overhead", [], []
    for _ in range(how.repeats):
        floors.append(floor(how))
        with a_place(how.folder, 200) as place:
            runs.append(ours(place, TASKS, gate=True))
            course = course_of(place.folder / "state")
    floor_s, floor_cpu_s = median(one["wall_s"] for one in floors), median(one["cpu_s"] for one in floors)
    ours_s, ours_cpu_s = median(run.wall_s for run in runs), median(run.cpu_s for run in runs)
    yield Row(part=part, what="20 × 0 s, the floor", value=floor_s, unit="s", note=_all(f["wall_s"] for f in floors))
    yield Row(part=part, what="20 × 0 s, chargehand run", value=ours_s, unit="s", note=_all(r.wall_s for r in runs))
    yield Row(part=part, what="against the floor", value=ours_s / floor_s, unit="×", most=1.3)
    yield Row(part=part, what="a task, above the floor", value=(ours_s - floor_s) / 20 * 1000, unit="ms")
    yield Row(part=part, what="its own CPU, the floor", value=floor_cpu_s, unit="s", note="without what it starts")
    yield Row(part=part, what="its own CPU, chargehand run", value=ours_cpu_s, unit="s", note="start-up included")
    all_s, least_s = median(run.all_cpu_s for run in runs), median(one["all_cpu_s"] for one in floors)
    note = f"{all_s:.2f} s against {least_s:.2f} s: hardly depends on the load"
    yield Row(part=part, what="CPU of all, against the floor", value=all_s / least_s, unit="×", note=note)
    for name, taken in sorted(course.steps_s.items()):
        yield Row(part=part, what=f"median {name}", value=median(taken) * 1000, unit="ms", note=f"{len(taken)} of them")
    yield Row(part=part, what="first to last event", value=course.wall_s, unit="s", note=f"{course.events} events")


def waiting(how: How) -> Iterator[Row]:
    """20 tasks of 5 s in 4 slots without gates: 25 s by the graph alone."""
    part = "waiting"
    floor_s = floor(how, "--sleep", "5", "--no-gate")["wall_s"]
    with a_place(how.folder, 200) as place:
        wall_s = ours(place, TASKS, sleep_s=5).wall_s
    yield Row(part=part, what="20 × 5 s, the floor", value=floor_s, unit="s")
    yield Row(part=part, what="20 × 5 s, chargehand run", value=wall_s, unit="s", most=26.5)


def git_processes(how: How) -> Iterator[Row]:
    """How many git commands a task costs."""
    part = "git"
    with a_place(how.folder, 200) as place:
        notes = place.count_git()
        few, many = levels((4,)), levels((8, 8, 4))
        counts = {}
        for name, items in (("few", few), ("many", many)):
            notes.write_text("")
            ours(place, items, gate=True, run=name)
            counts[len(items)] = histogram(notes)
            (place.folder / "state").rename(place.folder / f"state-{name}")  # with what is cached
        notes.write_text("")
        ours(place, many, run="bare")
        bare = histogram(notes).total() / 20
    extra = (counts[20] - counts[4]).total() / 16
    names = ", ".join(f"{name} {count / 20:.1f}" for name, count in counts[20].most_common(20))
    yield Row(part=part, what="a run of 20, by task", value=counts[20].total() / 20, unit="", note=names)
    yield Row(part=part, what="the same without gates", value=bare, unit="")
    yield Row(part=part, what="each further task", value=extra, unit="", most=15)


def scheduling(how: How) -> Iterator[Row]:
    """The engine alone, on a journal in memory-backed storage where there is one: decisions, not disks."""
    from bench.scheduling import schedule

    part = "scheduling"
    folder = how.folder or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    small, large = (200, 2000) if how.quick else (1000, 10000)
    few = [schedule(small, folder) for _ in range(3)]
    many = [schedule(large, folder) for _ in range(1 if how.quick else 2)]
    small_s, large_s = min(one.cpu_s for one in few), min(one.cpu_s for one in many)
    yield Row(part=part, what=f"{small} tasks that do nothing", value=min(one.wall_s for one in few), unit="s")
    note = f"{many[0].events} events"
    yield Row(part=part, what=f"{large} of them", value=min(one.wall_s for one in many), unit="s", note=note)
    yield Row(
        part=part, what="CPU of ten times as many", value=large_s / small_s, unit="×", most=11, note="best of each"
    )
    yield Row(part=part, what="CPU, a task", value=large_s / large * 1000, unit="ms", note="of the larger run")


def opening(how: How) -> Iterator[Row]:
    """A long run: opening it by its snapshot and without one, what keeping it costs, and 50 answers at once."""
    from bench.opening import a_long_run, answer_at_once, append_again, look, save_again

    part, tasks = "opening", 1000 if how.quick else 10000
    folder = how.folder or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    with a_long_run(tasks, folder) as made:
        saves_s = sum(made.saves_s)
        note = f"{made.events} events; {len(made.saves_s)} snapshots were saved in it, {saves_s:.2f} s"
        yield Row(part=part, what=f"a run of {tasks} tasks, on fakes", value=made.wall_s, unit="s", note=note)
        yield Row(part=part, what="events, a task", value=made.events / tasks, unit="")
        save_s, size_mb = save_again(made)
        yield Row(part=part, what="saving its snapshot", value=save_s, unit="s", note=f"{size_mb:.1f} MB")
        for what, most, times in (("snapshot", 0.5, how.repeats * 3), ("all events", 5.0, how.repeats)):
            looked = [look(made) for _ in range(times)]
            wall_s, cpu_s = median(one.wall_s for one in looked), median(one.cpu_s for one in looked)
            note = f"{cpu_s:.2f} s of CPU; {_all(one.wall_s for one in looked)}"
            yield Row(part=part, what=f"opening by {what}", value=wall_s, unit="s", most=most, note=note)
            made.snapshot.unlink(missing_ok=True)
        append_s, appends = append_again(made, 500 if how.quick else 5000, how.folder)
    yield Row(
        part=part, what="an append, synced", value=append_s * 1000, unit="ms", note=f"{appends:.1f} of them a task"
    )
    yield Row(part=part, what="the journal, a task", value=append_s * appends * 1000, unit="ms")
    with a_place(how.folder, 20) as place:
        for what, driven in (("of 50", False), ("while driven", True)):
            said = answer_at_once(place, 50, driven=driven)
            note = f"50 processes at once took {said.processes_s:.1f} s; the end came {said.ending_s:.2f} s later"
            yield Row(part=part, what=f"answers lost, {what}", value=50 - said.recorded, unit="", most=0, note=note)


def startup(how: How) -> Iterator[Row]:
    """How long one waits for an answer."""
    part = "startup"
    with a_place(how.folder, 200) as place:
        ours(place, TASKS)
        where = ["--repo", str(place.repository), "--state-dir", str(place.folder / "state")]
        for what, words, most in (("--help", ["--help"], 0.25), ("status", ["status", *where], None)):
            argv = [sys.executable, "-m", "chargehand", *words]
            taken = [take(argv, place.env, place.folder).wall_s for _ in range(how.repeats * 3)]
            yield Row(part=part, what=what, value=median(taken), unit="s", most=most, note=f"best {min(taken):.3f}")


def idle(how: How) -> Iterator[Row]:
    """What it takes while four agents do nothing."""
    part, watch_s = "idle", 5 if how.quick else 15
    with a_place(how.folder, 200) as place:
        argv = place.argv(levels((4,)), sleep_s=watch_s + 6, gate=False, jobs=4)
        process = subprocess.Popen(
            argv, env=place.env, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            time.sleep(4)  # long enough for all four to sleep
            tree = tree_of(process.pid)
            helpers = [pid for pid, line in tree.items() if pid != process.pid and "python" in line]
            before = {pid: cpu_s(pid) for pid in (process.pid, *helpers)}
            time.sleep(watch_s)
            used = {pid: cpu_s(pid) - before[pid] for pid in before}
            own_mb, helpers_mb = rss_mb(process.pid), sum(rss_mb(pid) for pid in helpers)
        finally:
            out, err = process.communicate()
        if process.returncode:
            raise SystemExit(f"chargehand run ended with {process.returncode}:\n{(out + err).decode()[-4000:]}")
    share = sum(used.values()) / watch_s * 100
    asleep = sum("sleep" in line for line in tree.values())
    if asleep != 4:
        raise SystemExit(f"{asleep} agents were asleep, not 4; this part says nothing.")
    yield Row(part=part, what="CPU, of one core", value=share, unit="%", most=1, note=f"{asleep} agents asleep")
    yield Row(part=part, what="resident memory", value=own_mb, unit="MB", most=80)
    yield Row(part=part, what="of its launchers", value=helpers_mb, unit="MB", note=f"{len(helpers)} processes")


def awaiting(how: How) -> Iterator[Row]:
    """What it takes while four agents wait for a model that says nothing, through the meter."""
    from bench.awaiting import wait_for_a_model

    part, watch_s = "awaiting", 5 if how.quick else 15
    for network in ("open", "meter"):
        with a_place(how.folder, 200) as place:
            waited = wait_for_a_model(place, watch_s, network=network)
        share, helpers = (cpu / waited.wall_s * 100 for cpu in (waited.own_cpu_s, waited.helpers_cpu_s))
        note = f"network {network}, {waited.agents} agents"
        yield Row(part=part, what="CPU, of one core", value=share, unit="%", most=1, note=note)
        yield Row(part=part, what="of launchers and relays", value=helpers, unit="%", note=note)
        yield Row(part=part, what="resident memory", value=waited.own_mb, unit="MB", note=note)


def sizes(how: How) -> Iterator[Row]:
    """How the cost of a task grows with the repository; one slot, so that nothing overlaps."""
    part = "sizes"
    items = levels((12,))
    for files in (200, 5000) if how.quick else (200, 5000, 50000):
        with a_place(how.folder, files) as place:
            ours(place, items, jobs=1)
            course = course_of(place.folder / "state")
        least_ms = floor(how, "--files", str(files), "--levels", "12", "--jobs", "1", "--no-gate")["task_ms"]
        task_ms = median(task - agent for task, agent in zip(course.tasks_s, course.agents_s, strict=True)) * 1000
        most = 250.0 if files == 50000 else None
        first = (course.tasks_s[0] - course.agents_s[0]) * 1000
        note = (
            f"the floor {least_ms:.0f} ms; the first task, which makes the checkout, {first:.0f} ms; {_steps(course)}"
        )
        yield Row(part=part, what=f"{files} files, ours a task", value=task_ms, unit="ms", most=most, note=note)


def meter(how: How) -> Iterator[Row]:
    """What the meter between an agent and its provider costs: a request, streams as fast as no model talks."""
    from bench.metering import PACED_EVENTS, PACED_EVERY_S, a_meter, latencies_ms, streams_s

    part, times = "meter", 200 if how.quick else 1000
    with a_meter() as there:
        for what, size, most in (("request of 2 kB", 2_000, 3.0), ("request of 500 kB", 500_000, None)):
            direct_ms, metered_ms = latencies_ms(there, size=size, times=times // (1 if size < 10_000 else 5))
            note = f"direct {direct_ms:.2f} ms, metered {metered_ms:.2f} ms"
            yield Row(part=part, what=f"{what}, added", value=metered_ms - direct_ms, unit="ms", most=most, note=note)
        for parallel in (1, 4):
            pairs = []
            for _ in range(how.repeats):
                direct_s, _ = streams_s(there.direct, "paced", parallel=parallel)
                before = cpu_s(there.pid)
                metered_s, size = streams_s(there.metered, "paced", parallel=parallel)
                pairs.append((direct_s, metered_s, cpu_s(there.pid) - before))
            direct_s, metered_s, used_s = (median(column) for column in zip(*pairs, strict=True))
            note = f"{PACED_EVENTS} events each {PACED_EVERY_S * 1000:g} ms; meter {used_s / metered_s * 100:.0f} % CPU"
            share = metered_s / direct_s
            yield Row(part=part, what=f"{parallel} paced, against direct", value=share, unit="×", most=1.01, note=note)
        direct_s, size = min(streams_s(there.direct, "flood", parallel=1) for _ in range(how.repeats))
        metered_s, _ = min(streams_s(there.metered, "flood", parallel=1) for _ in range(how.repeats))
        rates = (size / direct_s / 1e6, size / metered_s / 1e6)
        yield Row(part=part, what="unpaced, metered", value=rates[1], unit="MB/s", note=f"direct {rates[0]:.0f} MB/s")
        yield Row(part=part, what="its resident memory", value=rss_mb(there.pid), unit="MB")


PARTS: dict[str, Callable[[How], Iterator[Row]]] = {
    "overhead": overhead,
    "waiting": waiting,
    "git": git_processes,
    "scheduling": scheduling,
    "opening": opening,
    "startup": startup,
    "idle": idle,
    "awaiting": awaiting,
    "sizes": sizes,
    "meter": meter,
    "train": train,
    "cache": cache,
    "reviews": reviews,
}


# -- telling --------------------------------------------------------------------------------------


def _all(values: Iterable[float]) -> str:
    return "/".join(f"{value:.2f}" for value in values)


def _steps(course: Course) -> str:
    """The medians of the steps of a task, the agent's own time taken out."""
    agent_s = median(course.agents_s)
    found = {name: median(taken) for name, taken in course.steps_s.items() if len(taken) > 2}
    found["StartAttempt"] -= agent_s
    return ", ".join(f"{name} {taken * 1000:.0f}" for name, taken in found.items())


def show(row: Row) -> None:
    goal = f"≤ {row.most:g} {row.unit}" if row.most is not None else ""
    print(
        f"{row.part:<11}{row.what:<30}{row.value:>10.3f} {row.unit:<3}{goal:<10}{row.verdict:<6}{row.note}", flush=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller sizes")
    parser.add_argument("--dir", help="where to work (default: the temporary folder)")
    options = parser.parse_args()
    how = How(repeats=1 if options.quick else 3, quick=options.quick, folder=options.dir)
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    print(", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
    rows: list[Row] = []
    for name in options.only or PARTS:
        for row in PARTS[name](how):
            rows.append(row)
            show(row)
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    file = folder / f"{facts['at']}.json".replace(":", "")
    document = {**facts, "rows": [{**asdict(row), "verdict": row.verdict} for row in rows]}
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False))
    missed = [row for row in rows if row.verdict == "MISS"]
    print(f"{len(missed)} of {sum(row.most is not None for row in rows)} goals missed; {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
