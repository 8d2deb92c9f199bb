"""What judging costs: a train of candidates, gates asked the same thing twice, reviewers that say yes at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.ours import Place, a_place, take
from bench.rows import How, Row, floor
from bench.work import Item, levels

if TYPE_CHECKING:
    from chargehand.domain.events import Recorded

__all__ = ["cache", "reviews", "train"]

BROKEN = "BROKEN"

AGENT = f"""#!/bin/sh
# Writes the module of its task at once. $1: the task whose first attempt writes what the gate will not have.
set -e
cat >/dev/null
mkdir -p src/gen
echo "VALUE = 1" > "src/gen/$CHARGEHAND_TASK.py"
if [ "$CHARGEHAND_TASK/$CHARGEHAND_ATTEMPT" = "$1/1" ]; then echo "# {BROKEN}" >> "src/gen/$CHARGEHAND_TASK.py"; fi
echo '{{"status": "DONE"}}' > "$CHARGEHAND_RESULT"
"""

REVIEWER = """#!/bin/sh
cat >/dev/null
echo '{"verdict": "PASS"}' > "$CHARGEHAND_RESULT"
"""


# -- the parts ------------------------------------------------------------------------------------


def train(how: How) -> Iterator[Row]:
    """Tasks that end at once and a gate of 2 s as merged, in four slots; the same in one slot, which gates serially."""
    part, gate_s, slots = "train", 2.0, 4
    items = levels((8 if how.quick else 20,))
    least_s = gate_s * len(items) / slots
    floor_s = floor(how, "--levels", str(len(items)), "--train", str(gate_s))["wall_s"]
    yield Row(part=part, what=f"{len(items)} candidates, the floor", value=floor_s, unit="s", note="four slots")
    taken = {}
    for what, jobs, red in (
        ("four slots", slots, "-"),
        ("one is red", slots, items[len(items) // 2].id),
        ("one slot", 1, "-"),
    ):
        with a_place(how.folder, 200) as place:
            taken[what] = one = run_train(place, items, gate_s=gate_s, jobs=jobs, red=red)
        note = f"{one.gates} gates, {one.most} at once, {one.gates_s:.1f} s; the whole run {one.wall_s:.1f} s"
        yield Row(part=part, what=f"{len(items)} candidates, {what}", value=one.train_s, unit="s", note=note)
    ratio, note = taken["four slots"].train_s / least_s, f"gate × candidates / slots is {least_s:g} s"
    yield Row(part=part, what="against the gates alone", value=ratio, unit="×", most=1.5, note=note)
    yield Row(part=part, what="the floor, against them", value=floor_s / least_s, unit="×")
    yield Row(part=part, what="the same, one red", value=taken["one is red"].train_s / least_s, unit="×")
    ratio = taken["one slot"].train_s / taken["four slots"].train_s
    yield Row(part=part, what="serial gating takes", value=ratio, unit="×", note="of what four slots take")


def cache(how: How) -> Iterator[Row]:
    """The same plan twice from the same base, with an agent that does the same: the gates are not run again."""
    part, items = "cache", levels((4 if how.quick else 12,))
    for jobs, most in ((1, 20.0), (4, None)):
        with a_place(how.folder, 200) as place:
            first_s, second_s, asked, known = cached_again(place, items, gate_s=2, jobs=jobs)
        what = f"the second run, {jobs} slot{'s' * (jobs > 1)}"
        note = f"{first_s:.1f} s, then {second_s:.1f} s; {known} of {asked} gates were known"
        yield Row(part=part, what=what, value=second_s / first_s * 100, unit="%", most=most, note=note)


def reviews(how: How) -> Iterator[Row]:
    """Two reviewers for each task who say yes at once, against none."""
    part, items = "reviews", levels((8 if how.quick else 20,))
    for jobs in (1, 4):
        pairs = []
        for _ in range(how.repeats):
            with a_place(how.folder, 200) as place:
                plain_s = reviewed_s(place, items, reviewed=False, jobs=jobs, run="plain")
                pairs.append((plain_s, reviewed_s(place, items, reviewed=True, jobs=jobs, run="reviewed")))
        plain_s, both_s = (median(column) / len(items) * 1000 for column in zip(*pairs, strict=True))
        note = f"{plain_s:.0f} ms without, {both_s:.0f} ms with"
        what = f"two reviews, {jobs} slot{'s' * (jobs > 1)}"
        yield Row(part=part, what=what, value=both_s - plain_s, unit="ms", note=note)


# -- measuring ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Train:
    """A train that has arrived: seconds of the whole run, and from the first start to the last landing.

    `gates` is how many gates of candidates were run, `most` how many of them at once; `gates_s` what all took together.
    """

    wall_s: float
    train_s: float
    gates: int
    most: int
    gates_s: float


def run_train(place: Place, items: Sequence[Item], *, gate_s: float, jobs: int, red: str = "-") -> Train:
    """Land independent tasks whose candidates are gated by a gate that takes `gate_s`; `red` fails there at first."""
    gate = f"sleep {gate_s:g}; ! grep -qs {BROKEN} src/gen/*.py"
    agent = place.script("writer.sh", AGENT)
    words = ["--agent-command", f"{agent} {red}", "--jobs", str(jobs), "--no-review"]
    taken = take(place.command(_plan(items, gate=gate), "train", *words), place.env, place.folder)
    return _train(place.folder / "state", taken.wall_s)


def _train(state: Path, wall_s: float) -> Train:
    from chargehand.domain.effects import RunGates, StartAttempt
    from chargehand.domain.events import EffectIntended, GatesFinished, TaskIntegrated

    starts: list[float] = []
    landings: list[float] = []
    gates: dict[str, float] = {}
    marks: list[tuple[float, int]] = []
    total_s = 0.0
    for record in _events(state, "train"):
        match record.event:
            case EffectIntended(effect=StartAttempt()):
                starts.append(record.at)
            case EffectIntended(effect=RunGates() as effect) if effect.task:
                gates[effect.key] = record.at
            case GatesFinished(key=key) if key in gates:
                marks += [(gates[key], 1), (record.at, -1)]
                total_s += record.at - gates.pop(key)
            case TaskIntegrated():
                landings.append(record.at)
    live = most = 0
    for _, change in sorted(marks):
        live += change
        most = max(most, live)
    train_s = max(landings) - min(starts)
    return Train(wall_s=wall_s, train_s=train_s, gates=len(marks) // 2, most=most, gates_s=total_s)


def cached_again(place: Place, items: Sequence[Item], *, gate_s: float, jobs: int) -> tuple[float, float, int, int]:
    """Run a plan and run it again from the same base; seconds of both, checks of the second, how many it knew."""
    agent = place.script("writer.sh", AGENT)
    plan = _plan(items, gate=f"sleep {gate_s:g}")
    words = ["--agent-command", f"{agent} -", "--jobs", str(jobs), "--no-review", "--new"]
    walls = [take(place.command(plan, run, *words), place.env, place.folder).wall_s for run in ("first", "second")]
    lines = [json.loads(line) for line in (place.folder / "state/runs/second/gates.jsonl").read_text().splitlines()]
    known = Counter(bool(line["cached"]) for line in lines if line["gate_id"] == "slow")
    return walls[0], walls[1], known.total(), known[True]


def reviewed_s(place: Place, items: Sequence[Item], *, reviewed: bool, jobs: int, run: str) -> float:
    """Seconds from the first start to the last landing, without gates, with two reviews a task or none."""
    from chargehand.domain.effects import StartAttempt
    from chargehand.domain.events import EffectIntended, TaskIntegrated

    agent, reviewer = place.script("writer.sh", AGENT), place.script("reviewer.sh", REVIEWER)
    words = ["--agent-command", f"{agent} -", "--reviewer-command", str(reviewer), "--jobs", str(jobs), "--new"]
    take(place.command(_plan(items, reviewed=reviewed), run, *words), place.env, place.folder)
    events = _events(place.folder / "state", run)
    effects = [(record.at, record.event.effect) for record in events if isinstance(record.event, EffectIntended)]
    starts = [at for at, effect in effects if isinstance(effect, StartAttempt)]
    wanted = len(items) * (3 if reviewed else 1)
    if len(starts) != wanted:
        raise SystemExit(f"{len(starts)} attempts were started, not {wanted}; this part says nothing.")
    return max(record.at for record in events if isinstance(record.event, TaskIntegrated)) - min(starts)


def _plan(items: Sequence[Item], *, gate: str = "", reviewed: bool = False) -> str:
    tasks = [
        {"id": item.id, "title": f"Write {item.id}", "files": {"create": item.files["create"]}, "acceptance": ["it is"]}
        for item in items
    ]
    plan: dict[str, Any] = {"chargehand": 1, "plan": "bench", "tasks": tasks}
    plan["features"] = {"code_review": reviewed, "holistic": False}
    if gate:
        plan["gates"] = [{"id": "slow", "run": gate, "on": ["integrate"]}]
    return json.dumps(plan, indent=1)


def _events(state: Path, run: str) -> list[Recorded]:
    from chargehand.adapters.journal_sqlite import SqliteJournal

    with SqliteJournal.open(state / "runs" / run / "journal.db", readonly=True) as journal:
        return list(journal.read())
