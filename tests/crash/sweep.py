"""Kills a coordinator at every effect of a plan, before and after it: `python -m tests.crash.sweep`.

The plan of the demo, and one that is judged: reviews, fixes, `fix` commands, fitters, candidates built on each other.

Every call of the ports that act (branch, attempts, gates, merges, landings), and every n-th call of everything below
them (journal, checkouts, processes, private folders); each in a repository of its own, with the real `resume` after it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from tests.crash.ground import RUN, Ended, Ground, ground
from tests.crash.plans import DEMO_TASKS, JUDGED_TASKS, demo, judged

__all__ = ["PLANS", "Point", "Undisturbed", "killed_at", "undisturbed"]

PLANS = {"demo": (demo, DEMO_TASKS), "judged": (judged, JUDGED_TASKS)}
"""Projects, and the tasks that land in each."""

EFFECTS = ("LocalFleet", "CommandGates", "GitIntegrator")


@dataclass(frozen=True, kw_only=True)
class Point:
    """The `at`-th call of a method, before or after it had its effect; or a moment of the journal (`driver.moment`)."""

    method: str
    at: int
    when: str

    @classmethod
    def of(cls, text: str) -> Point:
        """From its text."""
        method, at, when = text.split()
        return cls(method=method, at=int(at), when=when)

    def __str__(self) -> str:
        return f"{self.method} {self.at} {self.when}"


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A run that nobody killed."""

    calls: Sequence[str]
    tree: Mapping[str, str]


@cache
def undisturbed(plan: str = "demo") -> Undisturbed:
    """The calls of a run, and the tree it ends with."""
    project, tasks = PLANS[plan]
    with ground(project()) as place:
        done = _driven(place, Point(method="", at=0, when="before"))
        assert done.code == 0, done.err
        problems = place.problems(tasks, None)
        assert not problems, problems
        return Undisturbed(calls=json.loads(done.out)["calls"], tree=place.tree())


def killed_at(point: Point, tree: Mapping[str, str], again: Sequence[Point] = (), plan: str = "demo") -> list[str]:
    """What is not as it should be after a kill at this point (and `again` in those who take over) and a resume."""
    project, tasks = PLANS[plan]
    with ground(project()) as place:
        for due in (point, *again):
            done = _driven(place, due)
            if done.code != -9:
                return [f"{due}: it was not killed but ended with {done.code}: {done.err[-2000:]}"]
        last = place.chargehand("resume", RUN, "--no-wait")
        if last.code != 0:
            return [f"{point}: resume ended with {last.code}: {last.err[-2000:]}"]
        return [f"{point}: {problem}" for problem in place.problems(tasks, tree)]


def _driven(place: Ground, point: Point) -> Ended:
    return place.call("-m", "tests.crash.driver", RUN, "none", point.method, str(point.at), point.when)


def points(calls: Sequence[str], every: int) -> list[Point]:
    """All calls of what acts, before and after; of what is below every n-th, in turn before and after."""
    found = []
    for method, count in Counter(calls).items():
        if method.startswith(EFFECTS):
            found += [
                Point(method=method, at=k, when=when) for k in range(1, count + 1) for when in ("before", "after")
            ]
        else:
            ways = {k: ("before", "after")[k // every % 2] for k in range(1, count + 1, every)}
            found += [Point(method=method, at=k, when=when) for k, when in ways.items()]
    return found


def main() -> int:
    """Go through all points; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", choices=PLANS, default="demo")
    parser.add_argument("--every", type=int, default=8, help="which calls below the effects: every n-th")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--part", default="1/1", metavar="I/N", help="only every N-th point, beginning with the I-th")
    parser.add_argument("--only", default="", metavar="POINT", help='one point, such as "GitIntegrator.land 3 after"')
    given = parser.parse_args()
    began = time.monotonic()
    whole = undisturbed(given.plan)
    part, parts = map(int, given.part.split("/"))
    todo = [Point.of(given.only)] if given.only else points(whole.calls, given.every)[part - 1 :: parts]
    print(f"kill sweep: {len(todo)} points among {len(whole.calls)} calls of the {given.plan} plan", flush=True)
    failed = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for found in pool.map(lambda point: killed_at(point, whole.tree, plan=given.plan), todo):
            failed += bool(found)
            for problem in found:
                print(f"FAILED {problem}", flush=True)
    print(f"kill sweep: {len(todo) - failed} of {len(todo)} good in {time.monotonic() - began:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
