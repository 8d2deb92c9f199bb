"""Verdicts and restorations: what counts, what is malformed and why (SPEC 4, 5)."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.adapters.answers import MAX_BYTES
from chargehand.adapters.command_lines import argv_of, needs_shell
from chargehand.adapters.looking import relative_to, unfounded
from chargehand.adapters.restorations import NO_RESTORATION, RESTORATION_TAG, read_restoration
from chargehand.adapters.verdicts import MOST_ITEMS, NO_VERDICT, VERDICT_TAG, read_verdict
from chargehand.domain.line import Fit, Restoration, RestorationOutcome
from chargehand.domain.review import Criterion, Finding, Severity, Verdict


@pytest.fixture
def result(tmp_path):
    return tmp_path / "result.json"


def reading(result: Path, value: object) -> Verdict | str:
    result.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return read_verdict(result)


def finding(result: Path, **more) -> Finding:
    answer = reading(result, {"verdict": "FAIL", "findings": [{"severity": "major", "claim": "c", **more}]})
    assert isinstance(answer, Verdict), answer
    return answer.findings[0]


# -- what counts ----------------------------------------------------------------------------------


def test_the_minimal_verdict(result):
    assert reading(result, {"verdict": "PASS"}) == Verdict(passed=True)


def test_a_later_round_may_say_no_more_than_fail(result):
    """What was found before, and is not said to be resolved, stays open."""
    assert reading(result, {"verdict": "FAIL"}) == Verdict(passed=False)


FOUND = Finding(id="f1", severity=Severity.MAJOR, claim="c", file="a.py", line=3)
MET, UNMET = (Criterion(criterion="it runs", met=met) for met in (True, False))


@pytest.mark.parametrize(
    ("verdict", "there", "told"),
    [
        (Verdict(passed=True), (), ""),
        (Verdict(passed=True, findings=(FOUND,)), (), ""),
        (Verdict(passed=True, findings=(FOUND,)), ("f1",), "PASS, but it says that this is open: f1."),
        (Verdict(passed=True, findings=(replace(FOUND, resolved=True),)), ("f1",), ""),
        (Verdict(passed=True, findings=(replace(FOUND, severity=Severity.MINOR),)), ("f1",), ""),
        (Verdict(passed=True, criteria=(MET, UNMET)), (), "PASS, but it says that this is open: it runs."),
        (Verdict(passed=False, findings=(FOUND,)), ("f1",), ""),
        (Verdict(passed=False, criteria=(UNMET,)), (), ""),
        (Verdict(passed=False, findings=(FOUND,)), (), "the tree has no such place: a.py:3."),
        (Verdict(passed=False, findings=(replace(FOUND, file="", line=None),)), (), "such place: no file:?."),
        (Verdict(passed=False, findings=(replace(FOUND, severity=Severity.NOTE),)), ("f1",), "there is none."),
        (Verdict(passed=False, criteria=(MET,)), (), "there is none."),
        (Verdict(passed=False), (), "there is none."),
    ],
)
def test_the_verdict_of_a_first_round_holds_together(verdict, there, told):
    """SPEC 4: else it is returned."""
    found = unfounded(verdict, there)
    assert told in found
    assert bool(found) == bool(told)


def test_the_full_verdict(result):
    assert reading(
        result,
        {
            "verdict": "fail",
            "criteria": [
                {"criterion": " it runs ", "met": True, "evidence": "ran it"},
                {"criterion": "it stops", "met": "Not met", "evidence": {"exit": 1}},
                {"criterion": "it works", "met": "yes"},
            ],
            "findings": [
                {
                    "id": "F1",
                    "severity": "CRITICAL",
                    "file": "src/a.py",
                    "line": 12,
                    "claim": "wrong",
                    "clause": "it runs",
                    "evidence_command": ["python", "-c", "print('x y')"],
                },
                {"severity": "Note", "claim": "odd", "line": "3", "file": "b"},
            ],
            "summary": "s",
        },
    ) == Verdict(
        passed=False,
        criteria=(
            Criterion(criterion="it runs", met=True, evidence="ran it"),
            Criterion(criterion="it stops", met=False, evidence='{"exit": 1}'),
            Criterion(criterion="it works", met=True),
        ),
        findings=(
            Finding(
                id="F1",
                severity=Severity.CRITICAL,
                claim="wrong",
                file="src/a.py",
                line=12,
                clause="it runs",
                evidence_command="python -c 'print('\"'\"'x y'\"'\"')'",
            ),
            Finding(id="f2", severity=Severity.NOTE, claim="odd", file="b", line=3),
        ),
        summary="s",
    )


def test_what_is_not_known_is_kept(result):
    data = {
        "verdict": "PASS",
        "format": "chargehand-verdict/1",
        "findings": [{"severity": "note", "claim": "c", "why": "because"}],
        "criteria": [{"criterion": "c", "met": True}],
    }
    answer = reading(result, data)
    assert isinstance(answer, Verdict)
    assert json.loads(answer.extra) == {"format": "chargehand-verdict/1", "findings": data["findings"]}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (12, 12),
        ("12", 12),
        ("12-20", 12),
        ("12 – 20", 12),
        ("L12", 12),
        ("12:5", 12),
        (None, None),
        ("", None),
        (0, None),
    ],
)
def test_lines(result, given, line):
    assert finding(result, file="a.py", line=given).line == line


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("a.py:7", ("a.py", 7)),
        ("a.py:7-9", ("a.py", 7)),
        ("a.py:7:3", ("a.py", 7)),
        ("a:b", ("a:b", None)),
        ("", ("", None)),
    ],
)
def test_a_file_may_hold_its_line(result, given, place):
    found = finding(result, file=given)
    assert (found.file, found.line) == place
    assert finding(result, file=given, line=1).file == given


def test_every_finding_gets_a_name_of_its_own(result):
    """Later rounds speak of a frozen finding by its id."""
    ids = ["x", "", None, "x", "f2", " x ", 7, "x-2"]
    named = [{"id": name, "severity": "minor", "claim": "c"} for name in ids]
    answer = reading(result, {"verdict": "PASS", "findings": named})
    assert isinstance(answer, Verdict)
    found = [each.id for each in answer.findings]
    assert found == ["x", "f2-2", "f3", "x-3", "f2", "x-4", "7", "x-2"]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ({"status": "resolved"}, True),
        ({"status": "Fixed"}, True),
        ({"status": "not resolved"}, False),
        ({"status": "not_resolved"}, False),
        ({"status": "OPEN"}, False),
        ({"status": "unresolved"}, False),
        ({"resolved": True}, True),
        ({"resolved": False}, False),
        ({"resolved": "no"}, False),
        ({"status": None, "resolved": "yes"}, True),
        ({}, None),
        ({"status": "", "resolved": None}, None),
    ],
)
def test_what_a_later_round_says_of_a_frozen_finding(result, given, resolved):
    assert finding(result, **given).resolved is resolved


def test_a_frozen_finding_is_answered_in_short(result):
    answer = reading(result, {"verdict": "FAIL", "findings": [{"id": "f1", "status": "not resolved"}]})
    assert isinstance(answer, Verdict)
    assert answer.findings == (Finding(id="f1", severity=Severity.MAJOR, claim="", resolved=False),)


def test_nothing_at_all(result, tmp_path):
    assert read_verdict(result) == NO_VERDICT == read_verdict(result, tmp_path / "none")
    assert read_restoration(result, None, "g") == NO_RESTORATION


@pytest.mark.parametrize("tag", [VERDICT_TAG, RESTORATION_TAG])
def test_the_last_words_count_where_there_is_no_file(result, tmp_path, tag):
    said = tmp_path / "said"
    other = "chargehand-report" if tag == VERDICT_TAG else VERDICT_TAG
    good = '{"verdict": "PASS"}' if tag == VERDICT_TAG else '{"gate_id": "g"}'
    said.write_text(f"```{tag}\nno\n```\n```{tag}\n{good}\n```\n```{other}\n{{}}\n```\n")
    assert read_verdict(result, said) == Verdict(passed=True) or tag == RESTORATION_TAG
    assert read_restoration(result, said, "g") == Restoration(gate_id="g") or tag == VERDICT_TAG
    result.write_text("{}")
    assert "malformed" in str(read_verdict(result, said))


# -- what is malformed ----------------------------------------------------------------------------

A_FINDING = {"severity": "major", "claim": "c"}

MALFORMED = [
    ("", "it is not JSON"),
    ("PASS", "it is not JSON"),
    ('"PASS"', "it must be a JSON object."),
    ("[]", "it must be a JSON object."),
    ('{"verdict": "PASS", "verdict": "FAIL"}', "the key `verdict` stands twice."),
    ('{"verdict": NaN}', "it is not JSON (NaN is no number there)."),
    ('{"verdict": "PASS"} {}', "it is not JSON"),
    ({}, "`verdict` is missing; it is PASS or FAIL."),
    ({"findings": []}, "`verdict` is missing"),
    ({"status": "DONE"}, "it is a report; a reviewer answers with `verdict`, which is PASS or FAIL."),
    ({"verdict": None}, "`verdict` must be PASS or FAIL; found null."),
    ({"verdict": True}, "`verdict` must be PASS or FAIL; found true."),
    ({"verdict": "APPROVED"}, '`verdict` must be PASS or FAIL; found "APPROVED".'),
    ({"verdict": "PASS", "criteria": {"c": True}}, "`criteria` must be a list of objects"),
    ({"verdict": "PASS", "criteria": ["c"]}, "`criteria[0]` must be an object with `criterion` and `met`"),
    ({"verdict": "PASS", "criteria": [{"met": True}]}, "`criteria[0].criterion` is missing"),
    ({"verdict": "PASS", "criteria": [{"criterion": 7, "met": True}]}, "`criteria[0].criterion` must be text"),
    ({"verdict": "PASS", "criteria": [{"criterion": "c"}]}, "`criteria[0].met` is missing; it is true or false."),
    ({"verdict": "PASS", "criteria": [{"criterion": "c", "met": "partly"}]}, "`criteria[0].met` must be true or false"),
    (
        {"verdict": "PASS", "criteria": [{"criterion": "c", "met": 1}]},
        "`criteria[0].met` must be true or false; found 1.",
    ),
    ({"verdict": "FAIL", "findings": "it is bad"}, "`findings` must be a list of objects"),
    ({"verdict": "FAIL", "findings": ["it is bad"]}, "`findings[0]` must be an object with `severity` and `claim`"),
    ({"verdict": "FAIL", "findings": [{"claim": "c"}]}, "`findings[0].severity` is missing; it is one of critical,"),
    (
        {"verdict": "FAIL", "findings": [{**A_FINDING, "severity": "blocker"}]},
        '`findings[0].severity` must be one of critical, major, minor, note; found "blocker".',
    ),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "severity": 1}]}, "`findings[0].severity` must be one of"),
    ({"verdict": "FAIL", "findings": [{"severity": "major"}]}, "`findings[0].claim` is missing"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "claim": ["c"]}]}, "`findings[0].claim` must be text"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "id": ["x"]}]}, "`findings[0].id` must be text"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "file": 3}]}, "`findings[0].file` must be text"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "line": "twelve"}]}, "`findings[0].line` must be a whole number"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "line": 1.5}]}, "`findings[0].line` must be a whole number"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "line": True}]}, "`findings[0].line` must be a whole number"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "line": 10**30}]}, "`findings[0].line` must be a whole number"),
    (
        {"verdict": "FAIL", "findings": [{**A_FINDING, "evidence_command": {"run": "x"}}]},
        "`findings[0].evidence_command`",
    ),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "evidence_command": ["x", 1]}]}, "`findings[0].evidence_command`"),
    ({"verdict": "FAIL", "findings": [A_FINDING, {**A_FINDING, "status": "maybe"}]}, "`findings[1].status` must be"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "status": True}]}, "`findings[0].status` must be `resolved` or"),
    ({"verdict": "FAIL", "findings": [{**A_FINDING, "resolved": "?"}]}, "`findings[0].resolved` must be true or false"),
    ({"verdict": "FAIL", "findings": [A_FINDING] * (MOST_ITEMS + 1)}, "`findings` holds 201 items; at most 200"),
    ({"verdict": "PASS", "criteria": [{}] * (MOST_ITEMS + 1)}, "`criteria` holds 201 items; at most 200"),
    (" " * (MAX_BYTES + 1), f"it is larger than {MAX_BYTES} bytes."),
]


@pytest.mark.parametrize(("value", "told"), MALFORMED)
def test_what_is_wrong_is_said_in_one_sentence(result, value, told):
    answer = reading(result, value)
    assert isinstance(answer, str)
    assert answer.startswith(f"The verdict is malformed: {told}")
    assert answer.endswith(".")
    assert "\n" not in answer


# -- restorations ---------------------------------------------------------------------------------


def restoring(result: Path, value: object) -> Restoration | str:
    result.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return read_restoration(result, None, "tests")


def test_the_whole_restoration(result):
    assert restoring(
        result,
        {
            "gate_id": "tests",
            "mitigation_applied": ["fewer workers", {"what": "more time"}],
            "verification_run": {"invocation": "pytest", "status": "pass", "elapsed_seconds": 3},
            "updated_fit_profile": {"timeout_seconds": 900, "stall_seconds": 1.5, "notes": "n", "confidence": 0.8},
            "outcome": "yellow",
            "invocation": ["pytest", "-q"],
            "environment": {"B": "2", "A": "1"},
        },
    ) == Restoration(
        gate_id="tests",
        outcome=RestorationOutcome.YELLOW,
        mitigation_applied=("fewer workers", '{"what": "more time"}'),
        fit=Fit(wall_s=900.0, idle_s=1.5, argv=("pytest", "-q"), env=(("A", "1"), ("B", "2"))),
        notes="n",
        confidence="0.8",
    )


def test_the_minimal_restoration(result):
    assert restoring(result, {}) == Restoration(gate_id="tests")
    assert restoring(result, {"outcome": "RED", "notes": "It needs a login."}) == Restoration(
        gate_id="tests", outcome=RestorationOutcome.RED, notes="It needs a login."
    )


@pytest.mark.parametrize(
    ("given", "argv"),
    [
        ("pytest -q 'a b'", ("pytest", "-q", "a b")),
        ("CI=1 pytest", ("sh", "-c", "CI=1 pytest")),
        ("", ()),
        (None, ()),
        ([], ()),
    ],
)
def test_an_invocation(result, given, argv):
    answer = restoring(result, {"invocation": given})
    assert isinstance(answer, Restoration)
    assert answer.fit.argv == argv


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"status": "DONE"}, "it is a report; a fitter answers with `gate_id`"),
        ({"gate_id": "lint"}, '`gate_id` must be tests, the gate that was asked about; found "lint".'),
        ({"gate_id": 1}, "`gate_id` must be text"),
        ({"outcome": "BLUE"}, '`outcome` must be one of GREEN, YELLOW, RED; found "BLUE".'),
        ({"outcome": 1}, "`outcome` must be one of"),
        ({"mitigation_applied": [1]}, "`mitigation_applied` must be a list of texts"),
        ({"updated_fit_profile": []}, "`updated_fit_profile` must be an object"),
        ({"updated_fit_profile": {"timeout_seconds": 0}}, "`updated_fit_profile.timeout_seconds` must be seconds"),
        ({"updated_fit_profile": {"timeout_seconds": True}}, "`updated_fit_profile.timeout_seconds` must be seconds"),
        ({"updated_fit_profile": {"timeout_seconds": "long"}}, "`updated_fit_profile.timeout_seconds` must be seconds"),
        ({"updated_fit_profile": {"stall_seconds": -1}}, "`updated_fit_profile.stall_seconds` must be seconds"),
        ({"updated_fit_profile": {"stall_seconds": 10**400}}, "`updated_fit_profile.stall_seconds` must be seconds"),
        ({"verification_run": "pass"}, "`verification_run` must be an object"),
        ({"invocation": {"run": "x"}}, "`invocation` must be a text or a list of texts"),
        ({"invocation": "it's"}, "`invocation` cannot be read as a command: No closing quotation."),
        ({"invocation": [""]}, "`invocation` must begin with a program"),
        ({"invocation": ["a", "b\0"]}, "`invocation` must begin with a program"),
        ({"environment": ["A=1"]}, "`environment` must be an object"),
        ({"environment": {"A B": "1"}}, '`environment` has the name "A B", which is none of a variable.'),
        ({"environment": {"A": 1}}, "`environment.A` must be text; found 1."),
        ({"environment": {f"A{n}": "1" for n in range(101)}}, "`environment` has 101 names; at most 100"),
    ],
)
def test_what_is_wrong_with_a_restoration(result, value, told):
    answer = restoring(result, value)
    assert isinstance(answer, str)
    assert answer.startswith(f"The restoration is malformed: {told}")
    assert re.fullmatch(r"[^\n]+\.", answer)


# -- commands and paths ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["pytest 'a[1]' -k \"x y\"", "python -c 'a; $b | c'", "git show HEAD~1:x", "make a=1", "test ! -e x", r"a \; b"],
)
def test_lines_that_need_no_shell(text):
    assert not needs_shell(text)


@pytest.mark.parametrize(
    "text",
    [
        "a|b",
        "a && b",
        "a > b",
        "$(a)",
        "`a`",
        'echo "$A"',
        "ls *.py",
        "A=1 b",
        "! a",
        "cat ~/x",
        "echo {a,b}",
        "a\nb",
        "a[1]",
    ],
)
def test_lines_that_need_one(text):
    assert argv_of(text) == ("sh", "-c", text)


@pytest.mark.parametrize("text", ["", "  ", "''", "'", "a\0b"])
def test_lines_that_are_no_command(text):
    assert isinstance(argv_of(text), str)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("./a.py", "a.py"),
        ("a//b/./c", "a/b/c"),
        ("/w/s/a.py", "a.py"),
        ("/w/s/../x", "../x"),
        ("/etc/passwd", "/etc/passwd"),
        ("/w/sx/a", "/w/sx/a"),
        ("../a", "../a"),
        ("a/../b", "a/../b"),
        ("", ""),
        (".", "."),
    ],
)
def test_paths_are_those_of_the_tree(given, path):
    assert relative_to(Path("/w/s"), given) == path
