"""The audit of gates: whole lines only, on the disk, by any number of writers."""

from __future__ import annotations

import json
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chargehand.adapters.gate_audit import AuditLog, audit_line
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.ports import GateJob


def lines(file: Path) -> list[object]:
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]


def test_lines_are_added(tmp_path: Path) -> None:
    log = AuditLog(file=tmp_path / "gates.jsonl")
    log.append({"n": 1, "text": "ü\n\u2028"})
    log.append({"n": 2})
    assert lines(log.file) == [{"n": 1, "text": "ü\n\u2028"}, {"n": 2}]


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    """Who was killed while writing leaves it."""
    log = AuditLog(file=tmp_path / "gates.jsonl")
    log.file.write_bytes(b'{"n":1}\n{"n":')
    log.append({"n": 2})
    assert log.file.read_bytes() == b'{"n":1}\n{"n":\n{"n":2}\n'


def test_writers_beside_each_other(tmp_path: Path) -> None:
    log = AuditLog(file=tmp_path / "gates.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append({"n": number, "pad": "x" * 9000}), range(40)))
    assert sorted(line["n"] for line in lines(log.file)) == list(range(40))  # type: ignore[index]


def test_nothing_is_added_where_it_cannot_be(tmp_path: Path) -> None:
    """OSError, whatever lies there: a folder, a link to elsewhere, a pipe that nobody reads."""
    target = tmp_path / "elsewhere"
    target.write_text("")
    places = [tmp_path / name for name in ("folder", "link", "pipe", "missing/gates.jsonl")]
    places[0].mkdir()
    places[1].symlink_to(target)
    os.mkfifo(places[2])
    for place in places:
        with pytest.raises(OSError, match=r"\[Errno"):
            AuditLog(file=place).append({"n": 1})
    assert target.read_text() == ""


def test_a_disk_that_fills_up_leaves_no_half_line(tmp_path: Path) -> None:
    log = AuditLog(file=tmp_path / "gates.jsonl")
    log.append({"n": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.file.stat().st_size + 5, hard))
    try:
        with pytest.raises(OSError, match="only 5 of 8 bytes"):
            log.append({"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.file.read_bytes() == b'{"n":1}\n'


def test_what_a_line_tells() -> None:
    job = GateJob(key="t/1/gates", run="r", task="t", attempt=2, commit="c" * 40, tree="t" * 40, base="b", checks=())
    result = GateResult(
        gate="tests",
        tree="t" * 40,
        status=GateStatus.FAULT,
        fault=FaultKind.STALL,
        exit_code=None,
        command="pytest -q",
        wall_s=1.23456,
        flaky=("a::b",),
        cached="r0",
    )
    assert audit_line(job, result, 1_700_000_000.5) == {
        "schema_version": "gate_run.v1",
        "run": "r",
        "task": "t",
        "attempt": 2,
        "gate_id": "tests",
        "commit": "c" * 40,
        "tree": "t" * 40,
        "status": "fault",
        "exit_code": None,
        "elapsed_seconds": 1.235,
        "invocation": "pytest -q",
        "stop_reason": "stall",
        "cached": "r0",
        "flaky": ["a::b"],
        "started_at": "2023-11-14T22:13:20.500+00:00",
    }
