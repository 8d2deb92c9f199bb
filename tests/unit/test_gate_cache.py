"""The cache of gates: what is damaged, foreign, half-written or old is not there, and nothing of it is an error."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chargehand.adapters.gate_cache import Entry, GateCache
from chargehand.adapters.junit import TestIds

KEY, OTHER = "ab" * 32, "ac" * 32
ENTRY = Entry(
    run="r1",
    tail="3 passed",
    wall_s=1.5,
    output_sha256="00",
    environment="11",
    base="22",
    tests=TestIds(passed=("a", "ü")),
)
NOW = 1_700_000_000.0


def cache(folder: Path, **changes: float) -> GateCache:
    return GateCache(folder, **changes, now=lambda: NOW)  # type: ignore[arg-type]


def file_of(folder: Path, key: str = KEY) -> Path:
    return folder / key[:2] / key


def signed(document: object) -> bytes:
    body = json.dumps(document).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_what_is_put_is_found_by_its_key_alone(tmp_path: Path) -> None:
    cache(tmp_path).put(KEY, ENTRY)
    assert cache(tmp_path).get(KEY) == ENTRY
    assert cache(tmp_path).get(OTHER) is None
    file_of(tmp_path, OTHER).parent.mkdir()
    file_of(tmp_path, OTHER).write_bytes(file_of(tmp_path).read_bytes())  # the name is not all of the key
    assert cache(tmp_path).get(OTHER) is None
    cache(tmp_path).put(KEY, Entry(run="r2"))
    assert cache(tmp_path).get(KEY) == Entry(run="r2")


GOOD = {
    "format": "chargehand-gate-cache/1",
    "key": KEY,
    "at": NOW,
    "run": "r1",
    "tail": "",
    "wall_s": 1,
    "output_sha256": "",
    "environment": "",
    "base": "",
    "tests": None,
}


def test_the_sample_is_good(tmp_path: Path) -> None:
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_bytes(signed(GOOD))
    assert cache(tmp_path).get(KEY) == Entry(run="r1", wall_s=1.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"garbage",
        json.dumps(GOOD).encode(),
        signed(GOOD)[:-1],
        signed(GOOD)[:80],
        signed(GOOD).replace(b"r1", b"r2"),
        signed([]),
        signed(None),
        signed({**GOOD, "format": "chargehand-gate-cache/2"}),
        signed({**GOOD, "key": OTHER}),
        signed({**GOOD, "at": "yesterday"}),
        signed({**GOOD, "at": True}),
        signed({**GOOD, "at": NOW + 2 * 86_400}),
        signed({**GOOD, "at": NOW - 8 * 86_400}),
        signed({**GOOD, "run": 1}),
        signed({**GOOD, "tests": []}),
        signed({**GOOD, "tests": {"passed": [1], "skipped": []}}),
        signed({name: value for name, value in GOOD.items() if name != "tail"}),
        signed(GOOD)[:65] + b"[" * 100_000,
    ],
)
def test_what_is_no_entry_is_ignored(tmp_path: Path, data: bytes) -> None:
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_bytes(data)
    assert cache(tmp_path).get(KEY) is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_odd_files_are_neither_read_nor_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    file_of(tmp_path).parent.mkdir()
    make(file_of(tmp_path))
    assert cache(tmp_path).get(KEY) is None
    cache(tmp_path).put(KEY, ENTRY)  # no error, whatever comes of it


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cache(tmp_path / "cache").put(KEY, ENTRY)
    assert cache(tmp_path / "cache").get(KEY) is None


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    """[I10] Oldest first by number, by size and by age; what a killed writer left goes, too."""
    made = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(6)]
    for number, key in enumerate(made):
        cache(tmp_path).put(key, ENTRY)
        os.utime(file_of(tmp_path, key), (NOW - number, NOW - number))
    left, fresh = tmp_path / made[0][:2] / ".left", tmp_path / made[0][:2] / ".fresh"
    for file, age_s in ((left, 7200), (fresh, 10)):
        file.write_bytes(b"half")
        os.utime(file, (NOW - age_s, NOW - age_s))
    cache(tmp_path, most=4).prune()
    assert [cache(tmp_path).get(key) is not None for key in made] == [True] * 4 + [False] * 2
    assert (left.exists(), fresh.exists()) == (False, True)
    cache(tmp_path, most_bytes=2 * file_of(tmp_path, made[0]).stat().st_size).prune()
    assert [cache(tmp_path).get(key) is not None for key in made] == [True] * 2 + [False] * 4
    os.utime(file_of(tmp_path, made[1]), (NOW - 8 * 86_400, NOW - 8 * 86_400))
    cache(tmp_path).prune()
    assert [cache(tmp_path).get(key) is not None for key in made] == [True] + [False] * 5


def _write_many(folder: Path, name: str) -> None:
    writing = GateCache(folder)
    for _ in range(40):
        writing.put(KEY, Entry(run=name, tail=name * 2000))


def test_several_processes_write_the_same_key(tmp_path: Path) -> None:
    """A reader finds a whole entry of one of them, never a mixture."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    reading = GateCache(tmp_path)
    seen = set()
    while any(writer.is_alive() for writer in writers):
        found = reading.get(KEY)
        if found is not None:
            assert found.tail == found.run * 2000
            seen.add(found.run)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    final = reading.get(KEY)
    assert final is not None
    assert seen | {final.run} <= {"a", "b"}
    assert [file.name for file in tmp_path.rglob(".*")] == []
