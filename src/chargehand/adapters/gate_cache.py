"""Results of gates that may stand for another run: clean passes, one file each (SPEC 3.7, 6).

A file is written in one step and carries the hash of what is in it, so what was cut short, damaged or put there by
somebody else is no entry. Its name is the key, which covers everything that a pass depends on (`gating.fingerprint`).
Any number of processes may read and write at once: the same key has the same meaning for all of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.folders import read_regular
from chargehand.adapters.junit import TestIds

__all__ = ["Entry", "GateCache"]

_MIB = 1024 * 1024
_ENTRY_BYTES = 32 * _MIB
_DAY_S = 86_400.0
_LEFT_S = 3600.0
_PRUNE_EVERY = 50
_FORMAT = "chargehand-gate-cache/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A clean pass: which run paid for it, and what it left. `tests` is None where it told of none.

    `base` is the tree the change began at; whether it matters is for whoever takes the entry to find out.
    """

    run: str
    tail: str = ""
    wall_s: float = 0.0
    output_sha256: str = ""
    environment: str = ""
    base: str = ""
    tests: TestIds | None = None


class GateCache:
    """The entries of one repository in `folder`; older ones than `days` do not count, nor more than `most`.

    Nothing here is an error: what cannot be read is not there, and what cannot be written is not kept.
    """

    def __init__(
        self,
        folder: Path,
        *,
        days: float = 7.0,
        most: int = 2000,
        most_bytes: int = 256 * _MIB,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._age_s = days * _DAY_S
        self._most = most
        self._most_bytes = most_bytes
        self._now = now
        self._puts = 0

    def get(self, key: str) -> Entry | None:
        """The entry of a key, if there is one that counts."""
        data = read_regular(self._file(key), _ENTRY_BYTES)
        if data is None:
            return None
        digest, _, body = data.partition(b"\n")
        if digest != hashlib.sha256(body).hexdigest().encode("ascii"):
            return None
        try:
            return self._entry(key, json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry; the one that was there is replaced."""
        body = json.dumps(_document(key, entry, self._now()), separators=(",", ":")).encode("ascii")
        if len(body) > _ENTRY_BYTES - 100:
            return
        data = hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body
        with contextlib.suppress(OSError):
            _write(self._file(key), data)
            if self._puts % _PRUNE_EVERY == 0:
                self.prune()
            self._puts += 1

    def prune(self) -> None:
        """Remove what is too old or too much, the oldest first, and what killed processes left."""
        now = self._now()
        kept = 0
        size = 0
        for at, length, file in sorted(self._files(), reverse=True):
            if file.name.startswith("."):
                old = now - at > _LEFT_S
            else:
                kept += 1
                size += length
                old = now - at > self._age_s or kept > self._most or size > self._most_bytes
            if old:
                with contextlib.suppress(OSError):
                    file.unlink()

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = file.lstat()
                yield status.st_mtime, status.st_size, file

    def _entry(self, key: str, found: dict[str, object]) -> Entry | None:
        age_s = self._now() - _number(found["at"])
        if found["format"] != _FORMAT or found["key"] != key or not -_DAY_S <= age_s <= self._age_s:
            return None
        tests = found["tests"]
        return Entry(
            run=_text(found["run"]),
            tail=_text(found["tail"]),
            wall_s=_number(found["wall_s"]),
            output_sha256=_text(found["output_sha256"]),
            environment=_text(found["environment"]),
            base=_text(found["base"]),
            tests=None if tests is None else _tests(tests),
        )


def _document(key: str, entry: Entry, at: float) -> dict[str, object]:
    tests = entry.tests
    return {
        "format": _FORMAT,
        "key": key,
        "at": at,
        "run": entry.run,
        "tail": entry.tail,
        "wall_s": entry.wall_s,
        "output_sha256": entry.output_sha256,
        "environment": entry.environment,
        "base": entry.base,
        "tests": None if tests is None else {"passed": tests.passed, "skipped": tests.skipped},
    }


def _tests(found: object) -> TestIds:
    if not isinstance(found, dict):
        raise TypeError(found)
    passed, skipped = ([_text(name) for name in found[kind]] for kind in ("passed", "skipped"))
    return TestIds(passed=tuple(passed), skipped=tuple(skipped))


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError(found)
    return found


def _number(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(found)
    return float(found)


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(prefix=".", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        Path(aside).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(aside).unlink()
        raise
