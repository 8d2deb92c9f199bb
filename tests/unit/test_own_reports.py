"""Reports in the form of another system: what agents write there is a claim, and never a traceback (SPEC 3.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chargehand.adapters.output import Redactor
from chargehand.adapters.own_files import REPORT_BYTES, keep_files, look_at
from chargehand.adapters.reports import NO_REPORT, read_own
from chargehand.domain.outcome import (
    Blocker,
    Concern,
    ConcernKind,
    Kickback,
    KickbackSignal,
    Report,
    ReportStatus,
)
from chargehand.ports import Left, OwnReport
from chargehand.profiles.konductor_report import SummaryReport
from chargehand.profiles.sendit_report import ResultReport
from chargehand.profiles.task_executor_report import EntryReport

SUMMARIES = SummaryReport(folder=".konductor/phases/01/plans", prefixes={1: "001", 12: "0012"})
SUMMARY = ".konductor/phases/01/plans/001-task-2-summary.md"
TASKS = "prompts/SHOP-7/iteration_2/tasks.yaml"
ENTRIES = EntryReport(file=TASKS)
RESULTS = ResultReport()


def summary(text: str | bytes, **left: Any) -> Report | str:
    data = text.encode() if isinstance(text, str) else text
    return read_own(SUMMARIES, Left(task="001-task-2", files={SUMMARY: data}, **left))


def entry(text: str | bytes, before: str = "tasks: []\n", said: str = "") -> Report | str:
    data = text.encode() if isinstance(text, str) else text
    return read_own(ENTRIES, Left(task="TASK-2", files={TASKS: data}, before={TASKS: before.encode()}, said=said))


def tasks(**values: Any) -> str:
    """A `tasks.yaml` in JSON, which is YAML."""
    others = {"id": "TASK-1", "status": "ACCEPTED", "rejection_reason": "nobody asks"}
    return json.dumps({"tasks": [others, {"id": "TASK-2", **values}]})


def result(**values: Any) -> Report | str:
    return message(f"All of it is over.\n\n```json\n{json.dumps(values, indent=1)}\n```\n")


def message(text: str, own: OwnReport = RESULTS, task: str = "task-1") -> Report | str:
    return read_own(own, Left(task=task, said=text))


def report(status: str, **values: Any) -> Report:
    return Report(status=ReportStatus(status), **values)


# -- Konductor ------------------------------------------------------------------------------------

WHOLE = """\
# Plan 001 - Task 2 Summary

## Status: DONE_WITH_CONCERNS

## Files Created
- `src/user.py` - the model

## Files Modified
- src/__init__.py (one line)

## Tests Added
- tests/test_user.py

### Test Results
```
## Status: BLOCKED
2 passed
```

## Deviations from Plan
1. (Rule 2) an empty name
   is refused
2. None of the others

## Decisions Made
- a frozen dataclass

## Verification
- [x] tests pass
- [ ] looked at by hand

## Notes
Users are there.

## Concerns
- **Security**: names are shown as they are
- (informational) names may repeat
- it is slow

## Review Status: passed
"""


def test_a_summary_with_all_its_sections():
    """FORMATS 1.7, section by section; what is said of a review is nobody's word but the runtime's."""
    assert summary(WHOLE) == report(
        "DONE_WITH_CONCERNS",
        summary="Users are there.",
        files_changed=("src/user.py", "src/__init__.py"),
        tests_added=("tests/test_user.py",),
        deviations=("(Rule 2) an empty name is refused", "None of the others"),
        decisions=("a frozen dataclass",),
        validation="## Status: BLOCKED\n2 passed\n[x] tests pass\n[ ] looked at by hand",
        concerns=(
            Concern(kind=ConcernKind.SECURITY, text="names are shown as they are"),
            Concern(kind=ConcernKind.INFO, text="names may repeat"),
            Concern(text="it is slow"),
        ),
    )


def test_a_summary_that_needs_context_or_is_blocked():
    text = "# Plan 1 - Task 2 Summary\r\n## Status\r\n**NEEDS_CONTEXT**\r\n\r\n## Missing Context\r\n- the key\r\n"
    assert summary(text) == report("NEEDS_CONTEXT", missing_context=("the key",))
    blocked = summary("## Status: blocked\n\n## Files Created\nNone\n\n## Blocker\nNo database.\n")
    assert blocked == report("BLOCKED", blocker=Blocker(text="No database."))


def test_where_a_summary_is_looked_for():
    """As the plan's file writes the number; a task of the runtime has none."""
    assert SUMMARIES.paths("001-task-2") == (SUMMARY,)
    assert SUMMARIES.paths("012-task-3") == (".konductor/phases/01/plans/0012-task-3-summary.md",)
    assert SUMMARIES.paths("fix-1") == ()
    assert message("## Status: DONE", SUMMARIES, "fix-1") == NO_REPORT
    assert (
        read_own(SUMMARIES, Left(task="001-task-2", files={"001-task-3-summary.md": b"## Status: DONE"})) == NO_REPORT
    )


BAD_SUMMARIES: Mapping[str, tuple[str | bytes, str]] = {
    "nothing": ("", "it has no heading"),
    "prose": ("All is well. Status: DONE", "it has no heading"),
    "only in code": ("```\n## Status: DONE\n```\n", "it has no heading"),
    "only quoted": ("> ## Status: DONE\n", "it has no heading"),
    "of another level": ("# Status: DONE\n### Status: DONE\n", "it has no heading"),
    "only the review": ("## Review Status: passed\n", "it has no heading"),
    "twice": ("## Status: DONE\n\n## Status: BLOCKED\n", "it has two statuses"),
    "unknown word": ("## Status: FINISHED\n", "its status is 'FINISHED'"),
    "two words": ("## Status: DONE or not\n", "its status is 'DONE or not'"),
    "empty": ("## Status:\n\n## Notes\nDONE\n", "its status is ''"),
    "another task": ("# Plan 001 - Task 3 Summary\n## Status: DONE\n", "its title says plan 001, task 3"),
    "another plan": ("# Plan 2 – Task 2 Summary\n## Status: DONE\n", "its title says plan 2, task 2"),
    "no text": (b"## Status: DONE\n\xff\xfe", "it is not UTF-8 (byte 16)"),
    "wide text": ("## Status: DONE\n".encode("utf-16"), "it is not UTF-8 (byte 0)"),
    "huge": ("## Status: DONE\n" + "x" * REPORT_BYTES, "it is larger than"),
}


@pytest.mark.parametrize("name", BAD_SUMMARIES)
def test_what_is_no_summary(name: str):
    text, why = BAD_SUMMARIES[name]
    found = summary(text)
    assert isinstance(found, str)
    assert found.startswith(f"{NO_REPORT} What it left in its system's own form is malformed: 001-task-2-summary.md: ")
    assert why in found
    assert found.endswith(".")


def test_a_summary_that_cannot_be_read():
    found = read_own(SUMMARIES, Left(task="001-task-2", unread={SUMMARY: "it is no regular file"}))
    assert found == (
        f"{NO_REPORT} What it left in its system's own form is malformed: 001-task-2-summary.md: it is no regular file."
    )


# -- sendit ---------------------------------------------------------------------------------------


def test_a_result_object():
    """FORMATS 5.3, status by status."""
    done = result(
        task="Task 1", status="done", files_changed=["a.py"], commit="abc1234", verification="passed", notes="ok"
    )
    assert done == report(
        "DONE", summary="ok", files_changed=("a.py",), commit="abc1234", validation="verification passed"
    )
    assert result(task="1", status="failed", notes="no luck") == report("FAILED", summary="no luck")
    blocked = result(task="1", status="blocked", notes="no key")
    assert blocked == report("BLOCKED", summary="no key", blocker=Blocker(text="no key"))
    kicked = result(
        status="KICKBACK",
        reason="too much.",
        signal="scope_creep",
        details="9 files",
        recommendation="split",
        suggested_split=["a", "b"],
    )
    assert kicked == report(
        "KICKBACK",
        summary="too much.",
        kickback=Kickback(
            signal=KickbackSignal.SCOPE_CREEP,
            details="too much. 9 files",
            recommendation="split",
            suggested_split='["a", "b"]',
        ),
    )


def test_a_failed_verification_is_no_success():
    """I6: done and not verified do not go together."""
    failed = result(task="1", status="done", verification="failed")
    assert isinstance(failed, Report)
    assert (failed.status, failed.summary) == (ReportStatus.FAILED, "The verification failed.")


def test_where_a_result_object_stands():
    """The end of the message, else the last closed block that is tagged as JSON or not at all."""
    done = '{"task": 1, "status": "done"}'
    failed = '{\n  "task": "x",\n  "status": "failed",\n  "notes": "n"\n}'
    for text in (done, f"words\n{done}\n", f"```\n{done}\n```", f"~~~json\n{failed}\n~~~\n{done}", f"{failed}\n{done}"):
        assert message(text) == report("DONE"), text
    assert message(f"```json\n{done}\n```\n```json\n{failed}\n```") == report("FAILED", summary="n")


BAD_RESULTS: Mapping[str, tuple[str, str]] = {
    "nothing": ("", ""),
    "prose": ("status: done", ""),
    "no status": ('{"task": "1"}', ""),
    "a list": ('[{"task": "1", "status": "done"}]', ""),
    "a key twice": ('{"task": "1", "status": "failed", "status": "done"}', ""),
    "no JSON": ("{'task': '1', 'status': 'done'}", ""),
    "no number": ('{"task": "1", "status": "done", "notes": NaN}', ""),
    "another language": ('```python\n{"task": "1", "status": "done"}\n```\n', ""),
    "never closed": ('```json\n{"task": "1", "status": "done"}\nand so on\n', ""),
    "in the middle of a line": ('so {"task": "1", "status": "done"}', ""),
    "deep": ('{"status": ' * 100_000 + "1" + "}" * 100_000, ""),
    "unknown word": ('{"task": "1", "status": "DONE"}', "`status` must be one of done, failed, blocked, KICKBACK"),
    "no word": ('{"task": "1", "status": ["done"]}', "found a list"),
    "no task": ('{"status": "done", "commit": "abc1234"}', "`task` is missing"),
    "commit is no text": ('{"task": "1", "status": "done", "commit": 7}', "`commit` must be text; found 7"),
    "files are no list": ('{"task": "1", "status": "done", "files_changed": "a"}', "`files_changed` must be a list"),
    "files are no texts": ('{"task": "1", "status": "done", "files_changed": [1]}', "`files_changed` must be a list"),
    "verification": (
        '{"task": "1", "status": "done", "verification": true}',
        "`verification` must be passed or failed",
    ),
    "no signal": ('{"status": "KICKBACK", "reason": "r"}', "`signal` must be one of scope_creep"),
    "unknown signal": ('{"status": "KICKBACK", "signal": "tired"}', 'found "tired"'),
    "split": ('{"status":"KICKBACK","signal":"needs_split","suggested_split":' + "[" * 200 + "]" * 200 + "}", ""),
}


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_what_is_no_result_object(name: str):
    text, why = BAD_RESULTS[name]
    found = message(text)
    if name == "split":  # text of any depth stands as JSON
        assert isinstance(found, Report)
    elif why:
        assert isinstance(found, str)
        assert found.startswith(f"{NO_REPORT} What it left in its system's own form is malformed: the result object: ")
        assert why in found
    else:
        assert found == NO_REPORT


def test_text_that_cannot_be_written_is_mended():
    """Half a pair of a character that JSON can spell, and no file can hold."""
    found = message('{"task": "1", "status": "done", "notes": "\\ud800"}')
    assert found == report("DONE", summary="\ufffd")


# -- task-executor --------------------------------------------------------------------------------


def test_an_entry_is_the_word_of_its_agent():
    """FORMATS 4.2: only of the task itself, and only what it says otherwise than before."""
    before = tasks(status="PENDING", validation_details="old")
    done = entry(tasks(status="DONE", validation_details="built", files_modified=["a.py", "b.py"]), before)
    assert done == report("DONE", validation="built", files_changed=("a.py", "b.py"))
    assert entry(tasks(status="SYNTAX_VALID", validation_details="old"), before) == report("DONE")
    error = entry(tasks(status="ERROR", validation_details="no key"), before)
    assert error == report("FAILED", summary="no key", validation="no key")
    rejected = entry(tasks(status="REJECTED", rejection_reason="too slow"), before)
    assert rejected == report("FAILED", summary="too slow")
    assert entry(tasks(status="SYNTAX_ERROR"), before) == report(
        "FAILED", summary="Its entry says SYNTAX_ERROR, and not why."
    )


def test_an_entry_that_says_nothing_new():
    before = tasks(status="ERROR", attempts=1)
    for said in (before, tasks(status="ACTIVE"), tasks(status="PENDING"), tasks(status="ERROR", attempts=2)):
        assert entry(said, before) == NO_REPORT
    assert read_own(ENTRIES, Left(task="TASK-2")) == NO_REPORT


def test_a_final_message_counts_where_the_entry_says_nothing():
    """In its exact form, and of the task itself; the entry goes before it."""
    text = "Done.\ntask-executor completed for TASK-2 (attempt 1)\nStatus: {}\nMode: PARALLEL\n"
    assert message(text.format("SYNTAX_VALID"), ENTRIES, "TASK-2") == report("DONE")
    failed = report("FAILED", summary="Its final message says ERROR.")
    assert message(text.format("ERROR"), ENTRIES, "TASK-2") == failed
    assert entry(tasks(status="ACTIVE"), said=text.format("ERROR")) == failed
    assert entry(tasks(status="DONE"), said=text.format("ERROR")) == report("DONE")
    for other in (text.format("ACTIVE"), text.format("DONE").replace("TASK-2", "TASK-1"), "Status: DONE", ""):
        assert message(other, ENTRIES, "TASK-2") == NO_REPORT


BAD_ENTRIES: Mapping[str, tuple[str | bytes, str]] = {
    "nothing": ("", "it is no YAML with a list `tasks`"),
    "no YAML": ("tasks: [", "it is no YAML with a list `tasks`"),
    "a list": ("- id: TASK-2\n", "it is no YAML with a list `tasks`"),
    "no list": ("tasks: {TASK-2: DONE}\n", "it is no YAML with a list `tasks`"),
    "the entry is gone": ("tasks: []\n", "it has no entry TASK-2 any more"),
    "an alias of nothing": ("tasks: [*gone]\n", "it is no YAML with a list `tasks`"),
    "itself": ("tasks: &all [*all]\n", "it is no YAML with a list `tasks`"),
    "deep": ("tasks: " + "[" * 100_000, "nested more than 64 levels deep"),
    "deep in blocks": ("- " * 100_000, "nested more than 64 levels deep"),
    "unknown word": (tasks(status="FINISHED"), "the status of TASK-2 is 'FINISHED'"),
    "no word": (tasks(status=["DONE"]), "the status of TASK-2 must be a word"),
    "a number": (tasks(status=1), "the status of TASK-2 is '1'"),
    "no text": (b"tasks:\n- id: TASK-2\n  status: DONE\n# \xff", "it is not UTF-8 (byte 37)"),
    "control characters": ("tasks:\n- id: TASK-2\n  status: \x01\n", "it is no YAML with a list `tasks`"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_what_is_no_entry(name: str):
    text, why = BAD_ENTRIES[name]
    found = entry(text)
    assert isinstance(found, str)
    assert found.startswith(f"{NO_REPORT} What it left in its system's own form is malformed: tasks.yaml: ")
    assert why in found


def test_an_entry_larger_than_its_file():
    """Aliases make a file of lists that nobody could hold: what is no text or list of texts is left alone."""
    names = "abcdefghijklmnopqrstuvwxyz"
    lines = [f"a: &a [{', '.join('x' * 20)}]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 20)}]" for old, new in pairwise(names)]
    text = "\n".join([*lines, "tasks:", "- {id: TASK-2, status: DONE, files_modified: *z, validation_details: *z}\n"])
    assert entry(text, before=text.replace("DONE", "PENDING")) == report("DONE")


def test_an_entry_that_cannot_be_read():
    found = read_own(ENTRIES, Left(task="TASK-2", unread={TASKS: "it is a link"}))
    assert found == f"{NO_REPORT} What it left in its system's own form is malformed: tasks.yaml: it is a link."


def test_a_final_message_without_its_status():
    for text, why in (("Mode: PARALLEL", "it has no line `Status: …`"), ("Status: FINE", "its status is 'FINE'")):
        found = message(f"task-executor completed for TASK-2 (attempt 1)\n{text}\n", ENTRIES, "TASK-2")
        assert isinstance(found, str)
        assert why in found


# -- anything -------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(
            "## Status: DONE\n",
            "## Status",
            "# Plan 001 - Task 2 Summary\n",
            "## Concerns\n",
            "- ",
            "```\n",
            "> ",
            "\n",
        ),
        *("## Blocker\n", "- (security) x\n", "1. x\n", "`a`", "<!--", "[a]: b\n", "\t", "\x00", "\ud7ff", "\u2028"),
        *(
            "tasks:\n",
            "- id: TASK-2\n",
            "  status: DONE\n",
            "  status: ",
            "&a ",
            "*a",
            "[",
            "]",
            "{",
            "}",
            ": ",
            "!!x ",
        ),
        *('"status"', ': "done"', ', "task": "1"', "```json\n", ', "status": "KICKBACK"', '"signal": "needs_split"'),
        *(
            "task-executor completed for TASK-2 (attempt 1)\n",
            "Status: DONE\n",
            "Status: ",
            "%YAML 1.1\n---\n",
            "#",
            "'",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, tail=st.binary(max_size=4))
@example(text="## Status: DONE\n## Files Created\n- `", tail=b"")
@example(text="{" * 1000, tail=b"}")
def test_whatever_an_agent_writes_is_a_report_or_a_sentence(text: str, tail: bytes):
    """SPEC 7.4: agent output is data; no reader raises, and what it says is bounded."""
    data = text.encode("utf-8", "surrogatepass") + tail
    found = (summary(data), entry(data, said=text), message(text), message(text, ENTRIES, "TASK-2"))
    for one in found:
        if isinstance(one, str):
            assert one.startswith(NO_REPORT)
            assert len(one) < 600
        else:
            assert isinstance(one, Report)


# -- files ----------------------------------------------------------------------------------------


def test_only_files_of_the_workspace_are_read(tmp_path: Path):
    """Links are not followed, wherever on the way they are, pipes are not waited for, and sizes are bounded."""
    (tmp_path / "secret").write_text("## Status: DONE\n")
    root = tmp_path / "work"
    (root / "real").mkdir(parents=True)
    (root / "real" / "good").write_text("good")
    (root / "real" / "link").symlink_to("../../secret")
    (root / "folder").symlink_to("..")
    (root / "real" / "huge").write_bytes(b"x" * (REPORT_BYTES + 1))
    (root / "real" / "sub").mkdir()
    paths = [
        "real/good",
        "real/link",
        "folder/secret",
        "real/huge",
        "real/sub",
        "real/none",
        "real/good/below",
        "a" * 300,
    ]
    found = look_at(root, paths)
    assert found.files == {"real/good": b"good"}
    assert set(found.unread) == {"real/link", "folder/secret", "real/huge", "real/sub", "a" * 300}
    assert found.unread["real/huge"] == f"it is larger than {REPORT_BYTES} bytes"


def test_what_was_left_out_is_copied_without_secrets(tmp_path: Path):
    """I2: every byte of it, but for known secrets; a deleted file needs no copy."""
    root, kept = tmp_path / "work", tmp_path / "kept"
    (root / "a").mkdir(parents=True)
    (root / "a" / "one").write_bytes(b"\xff key=hunter2hunter2\r\n")
    (root / "two").write_text("two")
    assert keep_files(root, ["a/one", "two", "gone"], kept, Redactor(["hunter2hunter2"]))
    copied = (kept / "a" / "one").read_bytes()
    assert copied.startswith(b"\xff key=")
    assert copied.endswith(b"\r\n")
    assert b"hunter2" not in copied
    assert (kept / "two").read_text() == "two"


def test_what_cannot_be_copied_is_said(tmp_path: Path):
    """Then a rescue keeps the whole workspace."""
    root, kept = tmp_path / "work", tmp_path / "kept"
    root.mkdir()
    (root / "link").symlink_to("/etc/passwd")
    (root / "huge").write_bytes(b"x" * (1024 * 1024 + 1))
    (root / "many").write_bytes(b"x" * (1024 * 1024))
    assert not keep_files(root, ["link"], kept, Redactor())
    assert not keep_files(root, ["huge"], kept, Redactor())
    assert not keep_files(root, ["many"] * 9, kept, Redactor())
    assert not keep_files(root, [str(n) for n in range(101)], kept, Redactor())
    (tmp_path / "file").write_text("")
    assert not keep_files(root, ["many"], tmp_path / "file", Redactor())
