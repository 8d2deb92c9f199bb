"""What the end of a command means."""

from __future__ import annotations

import asyncio

import pytest

from chargehand.adapters.confined import substitute
from chargehand.adapters.gating.judging import judge
from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.domain.outcome import FaultKind, GateStatus
from chargehand.domain.plan import Command

LIST = Command(argv=("ruff", "check"))


def shell(text: str) -> Command:
    return Command(argv=(text,), shell=True)


def exited(code: int | None = None, signal: int | None = None) -> ProcessEnd:
    return ProcessEnd(kind=EndKind.EXITED, code=code, signal=signal)


@pytest.mark.parametrize(
    ("command", "end", "output", "status", "fault"),
    [
        (LIST, exited(0), "", GateStatus.PASS, None),
        (LIST, exited(1), "", GateStatus.FAIL, None),
        (LIST, exited(signal=9), "", GateStatus.FAIL, None),
        (LIST, exited(126), "", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (LIST, exited(127), "sh: 1: ruff: not found", GateStatus.FAIL, None),
        (LIST, ProcessEnd(kind=EndKind.TIMEOUT), "", GateStatus.FAULT, FaultKind.TIMEOUT),
        (LIST, ProcessEnd(kind=EndKind.STALL), "", GateStatus.FAULT, FaultKind.STALL),
        (LIST, ProcessEnd(kind=EndKind.OVER_DISK), "", GateStatus.FAULT, FaultKind.AMBIGUOUS),
        (LIST, ProcessEnd(kind=EndKind.NOT_STARTED), "", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (shell("ruff check"), exited(127), "sh: 1: ruff: not found\n", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (shell("ruff"), exited(127), "bash: line 1: ruff: command not found", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (shell("A=1 ruff"), exited(127), "/bin/sh: ruff: not found", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (shell("./x y"), exited(127), "sh: 1: ./x: not found", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (shell("make test"), exited(127), "sh: 1: ruff: not found", GateStatus.FAIL, None),
        (shell("ruff 'x"), exited(127), "sh: 1: ruff: not found", GateStatus.FAULT, FaultKind.ENV_MISSING),
        (shell("ruff"), exited(1), "sh: 1: ruff: not found", GateStatus.FAIL, None),
        (shell(""), exited(127), "", GateStatus.FAIL, None),
        (
            Command(argv=("python", "-m", "pytest", "-q")),
            exited(1),
            "/usr/bin/python: No module named pytest\n",
            GateStatus.FAULT,
            FaultKind.ENV_MISSING,
        ),
        (Command(argv=("python", "-m", "todo")), exited(1), "python: No module named todo", GateStatus.FAIL, None),
        (
            Command(argv=("python", "-m", "pytest")),
            exited(1),
            "E  No module named pytest\n1 failed",
            GateStatus.FAIL,
            None,
        ),
    ],
)
def test_what_an_end_means(command, end, output, status, fault):
    assert judge(command, end, output)[:2] == (status, fault)


def test_a_program_stopped_with_the_runtime_is_no_result():
    with pytest.raises(asyncio.CancelledError):
        judge(LIST, ProcessEnd(kind=EndKind.CANCELLED), "")


def test_five_names_are_substituted_and_only_in_lists():
    names = ("JUNIT", "TREE", "BASE", "SCRATCH", "PORT_BASE")
    env = {f"CHARGEHAND_{name}": name.lower() for name in names} | {"CHARGEHAND_RUN": "r", "HOME": "h"}
    words = tuple(f"-$CHARGEHAND_{name}-${{CHARGEHAND_{name}}}x" for name in names)
    assert substitute(Command(argv=words), env) == tuple(f"-{name.lower()}-{name.lower()}x" for name in names)
    kept = ("$CHARGEHAND_RUN", "$HOME", "$CHARGEHAND_TREES", "${CHARGEHAND_TREE", "$(x)", "*")
    assert substitute(Command(argv=kept), env) == kept
    assert substitute(Command(argv=("$CHARGEHAND_TREE",)), {}) == ("$CHARGEHAND_TREE",)
    assert substitute(shell("echo $CHARGEHAND_TREE"), env) == ("sh", "-c", "echo $CHARGEHAND_TREE")
    evil = {"CHARGEHAND_TREE": "$CHARGEHAND_BASE", "CHARGEHAND_BASE": "b"}
    assert substitute(Command(argv=("$CHARGEHAND_TREE",)), evil) == ("$CHARGEHAND_BASE",)
