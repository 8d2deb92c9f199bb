"""Drives the real agent programs through Chargehand, on a scripted model.

    python -m tests.agents [--only claude,goose] [--case create,stall] [--sandbox landlock] [--network meter]

Installs what is missing into a cache folder (CHARGEHAND_E2E_CACHE, else the user's cache). No key, no login, no
network but for the installation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.agents.cases import CASES, PAIRS
from tests.agents.ground import Failed, Fence, Ground, ground
from tests.agents.install import PROGRAMS, NotInstalled, Program, install
from tests.agents.table import Result, page


def main() -> int:
    """0: everything that ran was as it should be; 1: something was not; 3: a program could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.agents", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="kinds of programs, with commas")
    parser.add_argument("--case", default="", help="cases, with commas")
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    parser.add_argument("--sandbox", default="auto", help="auto, bwrap, landlock or none")
    parser.add_argument("--network", default="open", help="open, or meter: the model and nothing else")
    parser.add_argument("--require", action="store_true", help="a program that cannot be installed is a failure")
    parser.add_argument("--jobs", type=int, default=2, help="how many programs at once")
    options = parser.parse_args()
    fence = Fence(sandbox=options.sandbox, network=options.network)
    wanted = [program for program in PROGRAMS if program.kind in (options.only or program.kind).split(",")]
    cases = [name for name in CASES if name in (options.case or name).split(",")]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = [
            result for found in pool.map(lambda program: _all(program, cases, fence), wanted) for result in found
        ]
    pair = [program for program in wanted if program.path.exists()][:2]
    for name in PAIRS:
        if len(pair) == 2 and name in (options.case or name).split(","):
            results.append(_two(pair[0], pair[1], name, fence))
    if options.write is not None:
        options.write.write_text(page(options.write.read_text("utf-8"), results), "utf-8")
    failed = [result for result in results if result.failed]
    missing = [result for result in results if not result.case]
    good = len(results) - len(failed) - len(missing)
    print(f"{good} as they should be, {len(failed)} not, {len(missing)} not installed.")
    return 1 if failed else 3 if missing and options.require else 0


def _all(program: Program, cases: list[str], fence: Fence) -> list[Result]:
    try:
        install(program)
    except NotInstalled as error:
        print(f"NOT TESTED: {error}", flush=True)
        return [Result(program=program, case="", words=str(error))]
    return [_one(program, case, CASES[case], fence) for case in cases]


def _two(program: Program, other: Program, case: str, fence: Fence) -> Result:
    return replace(_one(program, case, lambda made: PAIRS[case](made, other), fence), other=other)


def _one(program: Program, case: str, play: Callable[[Ground], str], fence: Fence) -> Result:
    began, words, failed = time.monotonic(), "", False
    try:
        with ground(program, fence) as made:
            words = play(made)
    except Failed as error:
        words, failed = str(error), True
    took_s = time.monotonic() - began
    print(f"{program.kind:9} {case:11} {'FAILED' if failed else 'ok':6} {took_s:6.1f} s  {words}", flush=True)
    return Result(program=program, case=case, words=words, failed=failed, took_s=took_s)


if __name__ == "__main__":
    sys.exit(main())
