"""Whatever a reviewer or a fitter leaves behind, reading it is a value or a sentence: no traceback."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.adapters.command_lines import argv_of
from chargehand.adapters.looking import relative_to
from chargehand.adapters.restorations import read_restoration
from chargehand.adapters.verdicts import MOST_ITEMS, read_verdict
from chargehand.domain.line import Restoration, RestorationOutcome
from chargehand.domain.review import Criterion, Finding, Severity, Verdict

KEYS = [
    *(
        *Verdict.__dataclass_fields__,
        *Finding.__dataclass_fields__,
        *Criterion.__dataclass_fields__,
        "verdict",
        "status",
    ),
    *(*Restoration.__dataclass_fields__, "updated_fit_profile", "verification_run", "invocation", "environment"),
    *("timeout_seconds", "stall_seconds", "", "\ud800"),
]
WORDS = [
    *Severity,
    *RestorationOutcome,
    "PASS",
    "FAIL",
    "MET",
    "NOT MET",
    "resolved",
    "open",
    "12-20",
    "a.py:3",
    "a | b",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(list(map(str, WORDS)))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)
A_FINDING = OBJECT.map(lambda data: {"severity": "major", "claim": "c", **data})
ALMOST = st.builds(
    lambda word, findings, criteria, more: {**more, "verdict": word, "findings": findings, "criteria": criteria},
    st.sampled_from(["PASS", "FAIL"]),
    st.lists(A_FINDING, max_size=5),
    st.lists(OBJECT.map(lambda data: {"criterion": "c", "met": True, **data}), max_size=3),
    OBJECT,
)
RAW = st.binary(max_size=200) | st.builds(json.dumps, JSON | OBJECT | ALMOST, ensure_ascii=st.booleans()).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def check(answer: object) -> None:
    if isinstance(answer, str):
        assert answer.endswith(".")
        assert "\n" not in answer
        assert len(answer) < 1000
        return
    repr(answer).encode("utf-8")
    if isinstance(answer, Verdict):
        ids = [finding.id for finding in answer.findings]
        assert all(ids)
        assert len(set(ids)) == len(ids) <= MOST_ITEMS
        assert all(finding.line is None or finding.line > 0 for finding in answer.findings)
        assert isinstance(json.loads(answer.extra), dict)
    else:
        assert isinstance(answer, Restoration)
        assert answer.gate_id == "g"
        assert answer.fit.wall_s is None or answer.fit.wall_s > 0


@settings(max_examples=400, deadline=None)
@given(RAW)
def test_any_bytes(raw):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result"
        path.write_bytes(raw)
        check(read_verdict(path))
        check(read_restoration(path, None, "g"))


@settings(max_examples=400, deadline=None)
@given(ALMOST)
def test_any_verdict(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result"
        path.write_text(json.dumps(data))
        check(read_verdict(path))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text("ab '\"\\$`|&;<>()[]{}*?#~=!\n\0", max_size=20))
def test_any_command_line(text):
    """What needs no shell is what a shell would make of it: plain words."""
    argv = argv_of(text)
    assert isinstance(argv, str) or argv == ("sh", "-c", text) or set("|&;<>()") & set(text) <= set("".join(argv))


@given(st.text("ab./", max_size=20))
def test_any_path(text):
    found = relative_to(Path("/w"), text)
    assert found == text or (not found.startswith("/") and ".." not in found.split("/"))
