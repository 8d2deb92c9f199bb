"""The audit of gates: one line of JSON for every run of one, on the disk before its result counts (SPEC 5).

Lines are only ever added, by any number of processes. Who was killed in the middle of one leaves half a line: the next
one begins on a line of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chargehand.adapters.folders import open_regular
from chargehand.domain.outcome import GateResult
from chargehand.ports import GateJob

__all__ = ["AUDIT_NAME", "AUDIT_VERSION", "AuditLog", "audit_line"]

AUDIT_NAME = "gates.jsonl"
AUDIT_VERSION = "gate_run.v1"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """The file of one run."""

    file: Path

    def append(self, line: Mapping[str, object]) -> None:
        """Add a line and wait until it is on the disk; OSError when it is not, and then nothing was added."""
        data = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
        new = not self.file.exists()
        descriptor = open_regular(self.file, _FLAGS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _add(descriptor, data)
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(self.file.parent)


def _add(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        data = b"\n" + data
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def audit_line(job: GateJob, result: GateResult, started_at: float) -> Mapping[str, object]:
    """What is told of a run; `started_at` is in seconds since the epoch."""
    return {
        "schema_version": AUDIT_VERSION,
        "run": job.run,
        "task": job.task,
        "attempt": job.attempt,
        "gate_id": result.gate,
        "commit": job.commit,
        "tree": result.tree,
        "status": result.status.value,
        "exit_code": result.exit_code,
        "elapsed_seconds": round(result.wall_s, 3),
        "invocation": result.command,
        "stop_reason": result.fault.value if result.fault else "",
        "cached": result.cached,
        "flaky": list(result.flaky),
        "started_at": datetime.fromtimestamp(started_at, UTC).isoformat(timespec="milliseconds"),
    }
