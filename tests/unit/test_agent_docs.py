"""The pages that others write agents against say what the code does."""

import json
import re
from pathlib import Path

import pytest

from chargehand.adapters.answers import MAX_BYTES, last_fence
from chargehand.adapters.reports import read_report
from chargehand.domain.outcome import BlockerKind, ConcernKind, KickbackSignal, Report, ReportStatus, Role
from chargehand.testing.scripted.scenario import problems
from chargehand.testing.scripted.table import CONDITIONS, STEPS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text("utf-8")


def blocks(name: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)


def test_every_key_and_word_of_a_report_is_told():
    text = page("report-and-verdict")
    keys = [key for key in Report.__dataclass_fields__ if key != "extra"]
    words = [*ReportStatus, *BlockerKind, *KickbackSignal, *(kind for kind in ConcernKind if kind != "unstated")]
    assert [name for name in [*keys, *words] if f"`{name}`" not in text] == []
    assert MAX_BYTES == 1024**2


def test_the_reports_shown_are_reports(tmp_path):
    shown = [block for block in blocks("report-and-verdict", "json") if "status" in json.loads(block)]
    assert len(shown) == 3
    for number, block in enumerate(shown):
        (tmp_path / f"{number}.json").write_text(block)
        report = read_report(tmp_path / f"{number}.json")
        assert isinstance(report, Report), report
        assert report.extra == "{}"
    (quoted,) = re.findall(r"^ +````text\n(.*?)^ +````$", page("report-and-verdict"), re.MULTILINE | re.DOTALL)
    assert json.loads(last_fence(re.sub(r"^ +", "", quoted, flags=re.MULTILINE), "chargehand-report") or "")


def test_every_role_is_told():
    assert [role for role in Role if f"`{role}`" not in page("agent-contract")] == []


def test_every_step_is_told_with_its_keys():
    """Of reports and the like the value itself is the step: they have no keys."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", page("scripted-agent"), re.MULTILINE))
    for name, step in STEPS.items():
        assert name in rows
        if not step.whole:
            assert [key for key in step.known if f"`{key}`" not in rows[name]] == [], name
    assert set(rows) == {*STEPS, "if"}
    assert [name for name in CONDITIONS if name not in rows["if"]] == []


def test_the_scenario_shown_is_one():
    yaml = pytest.importorskip("yaml")
    (shown,) = blocks("scripted-agent", "yaml")
    assert problems(json.loads(json.dumps(yaml.safe_load(shown)))) == []
