"""What commands write, read and reach by way of their words (guard_reach.txt): outputs, secrets, hosts.

Nothing in the table is ever executed; it is read, and classified.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chargehand.adapters.guarding.classify import classify
from chargehand.adapters.guarding.verdict import Kind
from tests.unit.test_guard_cases import PLACE, SANDBOXED


def read_rows() -> list[tuple[str, str]]:
    lines = Path(__file__).with_name("guard_reach.txt").read_text(encoding="utf-8").splitlines()
    return [(line[0], line[2:]) for line in lines if line[:2] in {"A ", "B ", "H "}]


ROWS = read_rows()


@pytest.mark.parametrize(("verdict", "command"), ROWS, ids=[command for _, command in ROWS])
def test_what_a_command_reaches(verdict: str, command: str) -> None:
    """I8, I9: what is written outside, a secret, and a strange host are asked about; what only looks so is not."""
    told = classify(command, PLACE)
    assert (told.kind is not Kind.HARMLESS) == (verdict != "H"), told
    held = classify(command, SANDBOXED)
    assert (held.kind is not Kind.HARMLESS) == (verdict == "B"), held


def test_no_row_is_there_twice() -> None:
    assert len({command for _, command in ROWS}) == len(ROWS) > 300
