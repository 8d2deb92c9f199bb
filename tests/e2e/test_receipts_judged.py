"""Receipts of reviewed runs hold: verdicts, fixes, and the trailers of a merge that came after several attempts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chargehand.wiring.verifying import Verified, verify
from tests.e2e.judged import BOX, DONE, Court, fails, roles, task, write
from tests.repos import Repo


def test_a_reviewed_and_mended_change_holds(repo: Repo, tmp_path: Path) -> None:
    """I7: each verdict names its tree, the last ones the tree that landed."""
    court = Court(repo=repo, folder=tmp_path, sandbox=BOX)
    fixer = [write("a.txt", "two\n"), DONE]
    wrong = fails("major a.txt:1 It says the wrong thing.")
    assert court.judge([task()], {"a": roles(spec_reviewer={2: [wrong]}, fixer=fixer)}) == 0
    body = court.receipt()
    assert {row["tree"] for row in body["reviews"] if row["passed"]} == {body["sealed"]["tree"]}
    assert [row["role"] for row in body["attempts"]][:3] == ["implementer", "spec-reviewer", "fixer"]

    async def look() -> Verified:
        return await verify(await court.shop(()), court.run)

    done = asyncio.run(look())
    assert done.holds, done
    assert done.ran
