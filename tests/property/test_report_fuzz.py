"""Whatever an agent leaves behind, reading it is a report or a sentence: no traceback, no more than the bound."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chargehand.adapters import answers
from chargehand.adapters.answers import MAX_BYTES, last_fence
from chargehand.adapters.reports import REPORT_TAG, read_report
from chargehand.domain.outcome import ConcernKind, KickbackSignal, Report, ReportStatus

KEYS = [*Report.__dataclass_fields__, "text", "kind", "signal", "details", "suggested_split", "", "\ud800"]
WORDS = [*ReportStatus, *KickbackSignal, *ConcernKind]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([str(word) for word in WORDS])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
ALMOST = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8).map(lambda data: {"status": "DONE", **data})
DUMPED = st.builds(json.dumps, JSON | ALMOST, ensure_ascii=st.booleans()).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
TOKENS = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"status"', b":", b",", b'"DONE"', b"NaN", b"1e999", b"\\", b'"', b"\xff", b"\x00"]
    ),
    max_size=60,
).map(b"".join)


def of(raw: bytes) -> Report | str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result"
        path.write_bytes(raw)
        return read_report(path)


def check(answer: Report | str) -> None:
    if isinstance(answer, str):
        assert answer.endswith(".")
        assert "\n" not in answer
        assert len(answer) < 1000
    else:
        assert isinstance(json.loads(answer.extra), dict)
        text = "".join([answer.extra, answer.summary, answer.validation, *answer.files_changed, *answer.decisions])
        text.encode("utf-8")


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | DUMPED | TOKENS)
@example(raw='{"status":"\x85"}'.encode())
def test_any_bytes(raw):
    check(of(raw))


@settings(max_examples=300, deadline=None)
@given(ALMOST)
def test_any_object_with_a_status(data):
    check(of(json.dumps(data).encode()))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400_000), st.sampled_from(["[", '{"a":', '{"status":[', "[[],"]))
def test_any_depth(depth, opening):
    check(of((opening * depth).encode()[: MAX_BYTES + 10]))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["```", "````", "~~~", f"```{REPORT_TAG}", f"~~~~ {REPORT_TAG}", "x", "", "   ```", "    ```"])
    )
)
def test_any_fences(lines):
    """What is found is complete: a tagged line stands before it and a closing line after."""
    block = last_fence("\n".join(lines), REPORT_TAG)
    if block is not None:
        found = [
            (start, end)
            for start, line in enumerate(lines)
            if REPORT_TAG in line
            for end in range(start + 1, len(lines))
            if lines[end].strip() and lines[end].strip() == lines[end].strip()[0] * len(lines[end].strip()) != "x"
        ]
        assert block in ["\n".join(lines[start + 1 : end]) for start, end in found]


@pytest.mark.parametrize("size", [0, 1, MAX_BYTES, MAX_BYTES + 1, 10 * MAX_BYTES])
def test_never_more_than_the_bound_is_read(tmp_path, monkeypatch, size):
    """Counted where the bytes come in."""
    path = tmp_path / "result"
    path.write_bytes(b" " * size)
    asked = []
    read_up_to = answers._read_up_to

    def counted(read, limit):
        raw = read_up_to(read, limit)
        asked.append((limit, len(raw)))
        return raw

    monkeypatch.setattr(answers, "_read_up_to", counted)
    check(read_report(path))
    check(read_report(tmp_path / "none", path))
    assert asked == [(MAX_BYTES + 1, min(size, MAX_BYTES + 1)), (MAX_BYTES, min(size, MAX_BYTES))]


def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "result"
    path.write_text('{"status": "DONE"}')
    path.chmod(0)
    answer = read_report(path)
    check(answer)
    assert os.geteuid() == 0 or "cannot be read" in str(answer)
