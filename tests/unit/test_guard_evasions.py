"""The table of ways round (guard_evasions.txt): what is evaluated, started or loaded, and what only looks like it.

Nothing in the table is ever executed; it is read, and classified.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from chargehand.adapters.guarding.classify import classify, classify_argv
from chargehand.adapters.guarding.verdict import HARMLESS, Kind
from tests.unit.test_guard_cases import PLACE, SANDBOXED
from tests.unit.test_guard_shapes import UNITS


def read_rows() -> list[tuple[str, str]]:
    rows = []
    for line in Path(__file__).with_name("guard_evasions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "==")):
            letters, _, command = line.partition(" | ")
            text = re.sub(r"(?<!\\)\\([nt])", lambda match: {"n": "\n", "t": "\t"}[match[1]], command)
            rows.append((letters, text.replace("\\\\n", "\\n").replace("\\\\t", "\\t")))
    return rows


ROWS = read_rows()


@pytest.mark.parametrize(("letters", "command"), ROWS, ids=lambda text: text)
def test_where_it_is_asked_about(letters: str, command: str) -> None:
    """I8, I9, SPEC 7.2: unknown is denied where no sandbox holds it; a plan is asked for what is recognised."""
    verdicts = {
        "a": classify(command, PLACE),
        "p": classify(command, PLACE, strangers=False),
        "s": classify(command, SANDBOXED),
    }
    asked = "".join(letter for letter, verdict in verdicts.items() if verdict.kind is not Kind.HARMLESS)
    assert asked == letters.strip("-"), verdicts


def test_the_table_is_what_it_says() -> None:
    assert len({command for _, command in ROWS}) == len(ROWS)
    assert len([letters for letters, _ in ROWS if letters != "-"]) >= 200
    assert len([letters for letters, _ in ROWS if letters == "-"]) >= 100


def test_programs_nobody_knows_are_told_by_their_rule() -> None:
    """SPEC 7.2: unknown = denied where no sandbox holds them."""
    (danger,) = classify("frobnicate x", PLACE).reasons
    assert (danger.rule, danger.exact) == ("unknown_program", "frobnicate x")
    assert classify_argv(["frobnicate", "x"], PLACE).kind is Kind.DANGEROUS
    assert classify_argv(["frobnicate", "x"], PLACE, strangers=False) == HARMLESS


def test_a_name_that_stands_for_itself_ends() -> None:
    for text in (
        "declare -n r=r; echo $r",
        "declare -n a=b b=a; echo $a $b; a=1",
        "x='a[$((x))]$(x)'; ((x))",
        "x=x; echo ${!x}",
    ):
        classify(text, PLACE)


@pytest.mark.parametrize(
    "head",
    [
        *(
            "x='a[",
            "PAGER='",
            "NODE_OPTIONS='",
            "MAKEFLAGS='",
            "PERL5OPT='",
            "let 'x=",
            "frobnicate -c '",
            "perf stat '",
        ),
        *(
            "pwsh -c '",
            "mlr put '",
            "psql <<< '",
            "make 'X=",
            "tclsh <<< '",
            "expect -c '",
            "pandoc --filter '",
            "LESS='",
        ),
        *("git -c x.y='", "echo '{' > package.json; npm run '", "env 'BASH_FUNC_x%%=", "cmake '-DX_LAUNCHER="),
    ],
)
def test_ways_round_made_to_be_slow_are_not(head: str) -> None:
    """Nearly linear time, whatever stands in the value."""
    for unit in (*UNITS[::3], "a[", "${", "$x", "$(", "`x`", "rm ", ";rm ", "- ", "--a=b ", "x.y=", "/a:", "GIT_"):
        text = head + unit.replace("'", '"') * ((8100 - len(head)) // len(unit)) + "'"
        began = time.process_time()
        classify(text, PLACE)
        assert time.process_time() - began < 3.0, unit
