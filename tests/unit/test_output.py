"""Cleaning, redacting and normalising what programs print."""

from pathlib import Path

from chargehand.adapters.output import Redactor, last_state, normalise_tail, read_end


def test_of_a_line_drawn_over_itself_the_last_state_is_left():
    assert last_state("10%\r50%\r100%\nend\r\n") == "100%\nend\n"


def test_the_last_state_is_found_in_linear_time():
    assert last_state("\r" * 400_000) == ""
    assert last_state("x" * 400_000) == "x" * 400_000


FIRST = """\
2026-01-02T03:04:05.123Z started pid 4711
File "/pool/s1/tree/src/a.py", line 3, in f
<Thing object at 0x7f31c0ffee00>
http://127.0.0.1:20040/x refused
commit 0123456789abcdef0123456789abcdef01234567
tmp /run/x9/tmp/pytest-of-root/pytest-3/test_x0
(12 ms) took 3 s
==99==ERROR: AddressSanitizer
1 failed in 0.12s
"""
SECOND = """\
2027-11-12 13:14:15 started pid 12
File "/pool/s22/tree/src/a.py", line 3, in f
<Thing object at 0x7f31c0aa1122>
http://127.0.0.1:20100/x refused
commit fedcba9876543210fedcba9876543210fedcba98
tmp /run/k2/tmp/pytest-of-root/pytest-0/test_x0
(7 ms) took 44 s
==1234==ERROR: AddressSanitizer
1 failed in 11.5s
"""


def test_two_runs_of_one_failure_have_the_same_tail():
    """The tail feeds the failure signature: the bound on repeated failures rests on it [I10]."""
    first = normalise_tail(FIRST, ["/pool/s1/tree", "/run/x9", "/run/x9/tmp"])
    second = normalise_tail(SECOND, ["/pool/s22/tree", "/run/k2", "/run/k2/tmp"])
    assert first == second
    assert 'File "./src/a.py", line 3, in f' in first


def test_what_tells_failures_apart_stays():
    text = "assert 5 == 6\nexpected 30 seconds, 3 retries at line 12\nmask 0xff\nv1.2.3 of x\nexit 137"
    assert normalise_tail(text) == text


def test_only_the_last_lines_are_kept_and_long_ones_are_cut():
    text = "\n".join(f"line {n}\n" for n in range(200)) + "x" * 9999
    tail = normalise_tail(text).split("\n")
    assert len(tail) == 50
    assert tail[0] == "line 151"
    assert len(tail[-1]) == 400


def test_redacting_text_and_files(tmp_path: Path):
    redactor = Redactor(["hunter22", "hunter22-and-more", "short"])
    assert redactor.text("a hunter22-and-more b hunter22 ü short") == "a [redacted] b [redacted] ü short"
    log = tmp_path / "a b.log"
    filler = b"x" * ((1 << 20) - 4)
    log.write_bytes(filler + b"hunter22\nnext\xff line\n")
    redactor.file(log)
    assert log.read_bytes() == filler + b"[redacted]\nnext\xff line\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a b.log"]
    redactor.file(tmp_path / "missing.log")


def test_a_secret_of_several_lines(tmp_path: Path):
    (tmp_path / "log").write_text("before\n-----KEY\nabcdef\nEND-----\nafter\n")
    Redactor(["-----KEY\nabcdef\nEND-----"]).file(tmp_path / "log")
    assert (tmp_path / "log").read_text() == "before\n[redacted]\nafter\n"


def test_a_secret_that_only_a_terminal_would_show(tmp_path: Path):
    veiled = "".join(f"{char}\x1b[1m" for char in "hunter22").encode()
    (tmp_path / "log").write_bytes(b"\x1b[31mred\xff\n<" + veiled + b">\n")
    Redactor(["hunter22"]).file(tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"\x1b[31mred\xff\n<[redacted]>\n"


def test_a_file_without_secrets_is_left_alone(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("nothing here")
    before = log.stat().st_ino
    Redactor(["hunter22"]).file(log)
    Redactor([]).file(log)
    assert log.stat().st_ino == before


def test_the_end_of_a_file(tmp_path: Path):
    (tmp_path / "log").write_bytes(b"abc\xc3\xbcdef")
    assert read_end(tmp_path / "log", 4) == "\ufffddef"
    assert read_end(tmp_path / "none", 4) == ""
