"""The capped file behind a process, and the pure parts of looking at processes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.adapters.process.budgets import Budgets
from chargehand.adapters.process.output import CappedFile
from chargehand.adapters.process.spawn import is_for_loader, refusal, why_not
from chargehand.adapters.process.spec import ProcessSpec
from chargehand.adapters.process.tree import Stat, descendants, stat_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


def text_of(path: Path, cap: int, chunks: list[bytes]) -> tuple[bytes, int]:
    file = CappedFile(path, cap)
    for chunk in chunks:
        file.write(memoryview(chunk))
    file.close()
    file.close()
    return path.read_bytes(), file.dropped


@given(chunks=st.lists(st.binary(max_size=60), max_size=12), cap=st.integers(min_value=2, max_value=80))
def test_the_file_holds_head_and_tail_whatever_comes_in_pieces(folder, chunks, cap):
    """I10."""
    whole = b"".join(chunks)
    text, dropped = text_of(folder / "log", cap, chunks)
    assert [path.name for path in Path(folder).iterdir()] == ["log"]
    if len(whole) <= cap:
        assert (text, dropped) == (whole, 0)
        return
    head, tail = cap // 2, cap - cap // 2
    assert dropped == len(whole) - cap
    assert text == whole[:head] + f"\n[… {dropped} bytes dropped …]\n".encode() + whole[-tail:]


def test_an_old_tail_of_a_killed_run_is_not_taken_over(tmp_path):
    (tmp_path / "log.tail").write_bytes(b"old")
    assert text_of(tmp_path / "log", 100, [b"new"]) == (b"new", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_full_disk_drops_output_and_says_so():
    if not Path("/dev/full").exists():
        pytest.skip("NOT TESTED: there is no /dev/full here.")
    file = CappedFile(Path("/dev/full"), 100)
    file.write(memoryview(b"lost"))
    file.close()
    assert file.dropped == 4
    assert file.problem == "/dev/full could not be written: No space left on device."


@pytest.mark.parametrize(
    ("chunks", "line"),
    [
        ([b""], ""),
        ([b"one\ntwo"], "two"),
        ([b"one\ntw", b"o\n\n  \n"], "two"),
        ([b"10%\r20%\r"], "20%"),
        ([b"x" * 5000 + b"\nend"], "end"),
        ([b"\xff\xfe"], "��"),
    ],
)
def test_the_last_line_is_the_last_that_is_not_blank(tmp_path, chunks, line):
    file = CappedFile(tmp_path / "log", 100)
    for chunk in chunks:
        file.write(memoryview(chunk))
    assert file.last_line == line
    file.close()


def stat(pid: int, parent: int) -> Stat:
    return Stat(pid=pid, name="x", parent=parent, state="S", started=1, cpu=0)


def test_descendants_are_all_below_parents_first():
    processes = {pid: stat(pid, parent) for pid, parent in ((1, 0), (9, 1), (5, 9), (4, 5), (6, 9), (7, 1))}
    assert [found.pid for found in descendants(9, processes)] == [5, 6, 4]
    assert descendants(7, processes) == []


def test_this_process_is_described_and_a_missing_one_is_none():
    found = stat_of(os.getpid())
    assert found is not None
    assert (found.parent, found.state) == (os.getppid(), "R")
    assert stat_of(2**22 + 1) is None


@pytest.mark.parametrize(
    ("number", "program", "words"),
    [
        (2, "tool", "was not found on PATH"),
        (2, "./tool", "does not exist"),
        (2, "./here", "the interpreter that its first line names does not exist"),
        (13, "tool", "look at its permissions"),
        (8, "tool", "neither a program nor a script"),
        (7, "tool", "could not be executed: Argument list too long"),
    ],
)
def test_why_a_program_could_not_be_executed(tmp_path, number, program, words):
    (tmp_path / "here").touch()
    text = why_not(program, number, tmp_path)
    assert words in text
    assert text.endswith(".")


def test_what_the_loader_reads_is_known():
    assert all(map(is_for_loader, ("LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES", "GCONV_PATH", "DYLD_INSERT_LIBRARIES")))
    assert not any(map(is_for_loader, ("PATH", "LDFLAGS", "HOME")))


def test_an_argv_of_somebody_else_is_no_refusal():
    assert refusal(("sh", "--refuse=x", "--", "y")) == ""
    assert refusal(()) == ""


def test_the_next_look_is_never_later_than_a_bound(tmp_path):
    spec = ProcessSpec(argv=("x",), cwd=tmp_path, env={}, stdout=tmp_path / "o", wall_s=100.0)
    assert Budgets(spec, 1, 50.0).pause_s(60.0) == 90.0
    assert Budgets(spec, 1, 50.0).pause_s(200.0) == 0.0
    fields = {"argv": ("x",), "cwd": tmp_path, "env": {}, "stdout": tmp_path / "o", "wall_s": 100.0}
    assert Budgets(ProcessSpec(**fields, idle_s=40.0), 1, 0.0).pause_s(0.0) == 10.0
    assert Budgets(ProcessSpec(**fields, idle_s=400.0), 1, 0.0).pause_s(0.0) == 15.0
    assert Budgets(ProcessSpec(**fields, done=tmp_path), 1, 0.0).pause_s(0.0) == 0.5
