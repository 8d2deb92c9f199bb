"""Reports: what counts, what is malformed and why, and which files are read at all (SPEC 3.6)."""

import json
import os
import re
import socket
from pathlib import Path

import pytest

from chargehand.adapters.answers import MAX_BYTES, last_fence, read_object
from chargehand.adapters.reports import NO_REPORT, REPORT_TAG, read_report
from chargehand.adapters.verdicts import VERDICT_TAG
from chargehand.domain.outcome import (
    Blocker,
    BlockerKind,
    Concern,
    ConcernKind,
    Kickback,
    KickbackSignal,
    Report,
    ReportStatus,
)


@pytest.fixture
def result(tmp_path):
    return tmp_path / "result.json"


def reading(result: Path, value: object) -> Report | str:
    result.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return read_report(result)


# -- what counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(ReportStatus))
def test_the_minimal_report(result, status):
    assert reading(result, {"status": status.value}) == Report(status=status)


def test_the_full_report(result):
    assert reading(
        result,
        {
            "status": "KICKBACK",
            "summary": "s",
            "files_changed": ["a", "b"],
            "tests_added": ["t1"],
            "tests_modified": ["t2"],
            "coverage": "91 %",
            "validation": "ran it",
            "commit": " abc123 ",
            "interfaces": ["f() -> int", {"name": "g"}],
            "decisions": ["d"],
            "deviations": ["v"],
            "concerns": [{"kind": "security", "text": "c1"}, {"text": "c2"}, "c3"],
            "missing_context": ["docs/api.md"],
            "blocker": {"kind": "too_complex", "text": "b"},
            "kickback": {
                "signal": "needs_split",
                "details": "x",
                "recommendation": "y",
                "suggested_split": ["p", "q"],
            },
            "format": "chargehand-report/1",
        },
    ) == Report(
        status=ReportStatus.KICKBACK,
        summary="s",
        files_changed=("a", "b"),
        tests_added=("t1",),
        tests_modified=("t2",),
        coverage="91 %",
        validation="ran it",
        commit="abc123",
        interfaces=("f() -> int", '{"name": "g"}'),
        decisions=("d",),
        deviations=("v",),
        concerns=(Concern(text="c1", kind=ConcernKind.SECURITY), Concern(text="c2"), Concern(text="c3")),
        missing_context=("docs/api.md",),
        blocker=Blocker(text="b", kind=BlockerKind.TOO_COMPLEX),
        kickback=Kickback(
            signal=KickbackSignal.NEEDS_SPLIT, details="x", recommendation="y", suggested_split='["p", "q"]'
        ),
        extra='{"format": "chargehand-report/1"}',
    )


def test_harmless_forms_are_taken(result):
    """One text for a list of texts, null for nothing, other JSON where the format leaves the form open."""
    report = reading(
        result,
        "\ufeff"
        + json.dumps(
            {
                "status": "BLOCKED",
                "summary": None,
                "files_changed": "a.py",
                "concerns": "hm",
                "blocker": "no network",
                "coverage": 91.5,
                "validation": {"tests": "passed"},
                "commit": "",
                "kickback": None,
            }
        ),
    )
    assert report == Report(
        status=ReportStatus.BLOCKED,
        files_changed=("a.py",),
        concerns=(Concern(text="hm"),),
        blocker=Blocker(text="no network"),
        coverage="91.5",
        validation='{"tests": "passed"}',
    )


def test_unknown_keys_are_kept(result):
    """Also those inside known objects."""
    data = {"status": "DONE", "mood": "good", "concerns": [{"text": "c", "file": "a.py"}], "usage": {"tokens": 7}}
    report = reading(result, data)
    assert isinstance(report, Report)
    assert json.loads(report.extra) == {"mood": "good", "concerns": data["concerns"], "usage": {"tokens": 7}}


def test_text_can_always_be_written(result):
    """Half a surrogate pair, which JSON can spell, does not reach those who print it."""
    report = reading(result, '{"status": "DONE", "summary": "\\ud83d", "x\\udc00": "\\udc00"}')
    assert isinstance(report, Report)
    assert report.summary == "\ufffd"
    assert json.loads(report.extra) == {"x\ufffd": "\ufffd"}


# -- malformed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "`status` is missing"),
        ({"status": "done"}, '`status` must be one of DONE, .* found "done"'),
        ({"status": ["DONE"]}, "`status` must be one of"),
        ({"status": "DONE", "summary": 3}, "`summary` must be text; found 3"),
        ({"status": "DONE", "files_changed": [1]}, "`files_changed` must be a list of texts"),
        ({"status": "DONE", "files_changed": {"a": 1}}, "`files_changed` must be a list of texts"),
        ({"status": "DONE", "tests_added": 2}, "`tests_added` must be a list of texts"),
        ({"status": "DONE", "interfaces": [["x"]]}, "`interfaces` must be a list of texts"),
        ({"status": "DONE", "commit": 123}, "`commit` must be text"),
        ({"status": "DONE", "concerns": [{"kind": "security"}]}, r"`concerns\[0\]` must be a text, or an object"),
        (
            {"status": "DONE", "concerns": ["a", {"kind": "style", "text": "x"}]},
            r"`concerns\[1\]\.kind` must be one of",
        ),
        ({"status": "DONE", "concerns": [{"kind": [], "text": "x"}]}, r"`concerns\[0\]\.kind` must be one of"),
        ({"status": "DONE", "concerns": [{"kind": "unstated", "text": "x"}]}, "correctness, security, spec, info;"),
        ({"status": "BLOCKED", "blocker": 1}, "`blocker` must be a text, or an object"),
        ({"status": "BLOCKED", "blocker": {"kind": "mood", "text": "x"}}, r"`blocker\.kind` must be one of context"),
        ({"status": "KICKBACK", "kickback": "x"}, "`kickback` must be an object"),
        ({"status": "KICKBACK", "kickback": {}}, r"`kickback\.signal` must be one of scope_creep"),
        (
            {"status": "KICKBACK", "kickback": {"signal": "needs_split", "details": 1}},
            r"`kickback\.details` must be text",
        ),
        ([], "must be a JSON object"),
        ("", "not JSON"),
        ('"DONE"', "must be a JSON object"),
        ("DONE", "not JSON"),
        ('{"status": "DONE"} {}', "not JSON"),
        ("```json\n{}\n```", "not JSON"),
        ('{"status": "DONE", "status": "FAILED"}', "`status` stands twice"),
        ('{"status": "DONE", "x": NaN}', "NaN is no number"),
        ('{"status": "DONE", "x": -Infinity}', "-Infinity is no number"),
        ('{"status": "DONE", "x": 1e999}', "1e999 is out of range"),
        ('{"status": "DONE", "x": ' + "9" * 5000 + "}", "not JSON"),
        ('{"status": "DONE", "x": ' + "[" * 100 + "]" * 100 + "}", "nested more than 64"),
        ('{"status": "DONE", "x": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested more than 64"),
        ('{"a":' * 100_000, "nested more than 64"),
        ("[" * 500_000, "nested more than 64"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_malformed(result, value, said):
    """The sentence names the key, what is allowed and what was found."""
    problem = reading(result, value)
    assert isinstance(problem, str)
    assert problem.startswith("The report is malformed: ")
    assert problem.endswith(".")
    assert re.search(said, problem), problem
    assert len(problem) < 500


def test_control_sequences_do_not_reach_the_message(result):
    problem = reading(result, {"status": "\x1b]0;x\x07DONE\x1b[31m", "\x1b[2J": 1})
    assert isinstance(problem, str)
    assert "\x1b" not in problem


def test_not_utf_8(result):
    result.write_bytes(b'{"status": "\xff"}')
    assert "not UTF-8 (byte 12)" in str(read_report(result))


# -- files ----------------------------------------------------------------------------------------


def test_no_file_no_output(result, tmp_path):
    assert read_report(result) == NO_REPORT
    assert read_report(result, tmp_path / "nothing") == NO_REPORT
    assert read_report(tmp_path / "no-folder" / "result.json") == NO_REPORT


def make_link(path, tmp_path):
    (tmp_path / "elsewhere").write_text('{"status": "DONE"}')
    path.symlink_to(tmp_path / "elsewhere")


def make_socket(path, tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [
        make_link,
        make_socket,
        lambda path, _: path.symlink_to("/dev/zero"),
        lambda path, _: path.symlink_to(path),
        lambda path, _: path.symlink_to("/nowhere"),
        lambda path, _: path.mkdir(),
        lambda path, _: os.mkfifo(path),
    ],
    ids=["link", "socket", "device", "loop", "dangling", "folder", "fifo"],
)
@pytest.mark.timeout(10)
def test_only_a_regular_file_is_read(result, tmp_path, make):
    """Links are never followed, nothing blocks; the output does not stand in for a malformed file [I6]."""
    make(result, tmp_path)
    output = tmp_path / "output"
    output.write_text('```chargehand-report\n{"status": "DONE"}\n```\n')
    assert "must be a regular file" in str(read_report(result, output))


def test_a_folder_that_became_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "result.json").write_text('{"status": "DONE"}')
    (tmp_path / "out").symlink_to("real")
    assert "folder cannot be opened" in str(read_report(tmp_path / "out" / "result.json"))


def test_size(result):
    body = '{"status": "DONE", "summary": "%s"}'
    most = MAX_BYTES - len(body % "")
    assert isinstance(reading(result, body % ("x" * most)), Report)
    assert "larger than 1048576 bytes" in str(reading(result, body % ("x" * (most + 1))))
    with result.open("wb") as file:
        file.truncate(10**10)  # sparse: the size is only claimed
    assert "larger than" in str(read_report(result))


# -- fences ---------------------------------------------------------------------------------------


def fenced(body: str, *, mark: str = "```", tag: str = REPORT_TAG) -> str:
    return f"{mark}{tag}\n{body}\n{mark}\n"


DONE = '{"status": "DONE"}'
FAILED = '{"status": "FAILED"}'


@pytest.mark.parametrize(
    ("message", "block"),
    [
        (fenced(DONE), DONE),
        (f"words\n\n{fenced(DONE)}\nmore words", DONE),
        (fenced(FAILED) + "then\n" + fenced(DONE), DONE),
        (fenced(DONE, mark="~~~~"), DONE),
        ("   " + fenced(DONE), DONE),
        (f"``` json {REPORT_TAG}\n{DONE}\n`````   \n", DONE),
        (fenced(DONE).replace("\n", "\r\n"), DONE),
        (f"\x1b[32m```{REPORT_TAG}\x1b[0m\n{DONE}\n\x1b[32m```\x1b[0m\n", DONE),
        # the last complete one counts
        (fenced(DONE) + f"```{REPORT_TAG}\n{FAILED}\n", DONE),
        (f"```{REPORT_TAG}\n{FAILED}\n" + fenced(DONE), DONE),
        # a stray or cut fence before it does not swallow it
        ("```\nlog without an end\n" + fenced(DONE), DONE),
        ("text that was cut\n```\n\n" + fenced(DONE), DONE),
        ("````\nnever closed\n" + fenced(DONE), DONE),
        # quoted examples do not count
        ("````markdown\n" + fenced(FAILED) + "````\n", None),
        ("~~~\n" + fenced(FAILED) + "~~~\n", None),
        ("````markdown\n" + fenced(FAILED) + "````\n" + fenced(DONE), DONE),
        ("    " + fenced(DONE).replace("\n", "\n    "), None),
        # other blocks do not either
        (fenced(DONE, tag="json"), None),
        (fenced(DONE, tag="chargehand-reports"), None),
        (fenced(DONE, tag="chargehand-verdict"), None),
        (f"```{REPORT_TAG} `x`\n{DONE}\n```\n", None),
        (f"```{REPORT_TAG}\n{DONE}\n", None),
        (f"```{REPORT_TAG}\n{DONE}\n``\n~~~\n", None),
        (fenced(""), ""),
        ("", None),
    ],
)
def test_last_fence(message, block):
    assert last_fence(message, REPORT_TAG) == block


@pytest.mark.parametrize(
    "line", ["```x\n", "```\n", "````x\n```\n", "~~~x\n```x\n", "`" * 500 + "\n", f"```{REPORT_TAG}\n"]
)
@pytest.mark.timeout(20)
def test_fences_take_linear_time(line):
    last_fence(line * (MAX_BYTES // len(line)), REPORT_TAG)


def test_the_output_is_asked_only_without_a_file(result, tmp_path):
    output = tmp_path / "output"
    output.write_bytes(b"\xff noise\n" * 200_000 + fenced(DONE).encode())
    assert read_report(result, output) == Report(status=ReportStatus.DONE)
    assert read_object(result, output, VERDICT_TAG) == NO_REPORT
    result.write_text(FAILED)
    assert read_report(result, output) == Report(status=ReportStatus.FAILED)
    result.write_text("")
    assert "malformed" in str(read_report(result, output))


def test_a_malformed_block_is_told(result, tmp_path):
    output = tmp_path / "output"
    output.write_text(fenced("{"))
    assert "not JSON" in str(read_report(result, output))


def test_the_end_of_a_long_output_is_enough(result, tmp_path):
    output = tmp_path / "output"
    output.write_text(fenced(DONE) + "x" * MAX_BYTES)
    assert read_report(result, output) == NO_REPORT


def test_verdicts_are_objects_too(result):
    result.write_text('{"verdict": "PASS"}')
    assert read_object(result, None, VERDICT_TAG) == {"verdict": "PASS"}
