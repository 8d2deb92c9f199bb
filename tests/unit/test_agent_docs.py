"""The pages that others write agents against say what the code does."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from chargehand.adapters.answers import MAX_BYTES, last_fence
from chargehand.adapters.probes import ALL_S, EACH_S, MOST
from chargehand.adapters.reports import read_report
from chargehand.adapters.restorations import read_restoration
from chargehand.adapters.verdicts import MOST_ITEMS, read_verdict
from chargehand.domain.line import RestorationOutcome
from chargehand.domain.outcome import BlockerKind, ConcernKind, KickbackSignal, Report, ReportStatus, Role
from chargehand.domain.review import Criterion, Finding, Severity, Verdict
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


def test_every_key_and_word_of_a_verdict_is_told():
    """`passed` is said as `verdict`; what a later round says of a finding as `status`."""
    text = page("report-and-verdict")
    keys = {*Verdict.__dataclass_fields__, *Finding.__dataclass_fields__, *Criterion.__dataclass_fields__}
    words = [*(keys - {"extra", "passed", "resolved", "criterion", "met", "evidence"}), *Severity, "verdict", "status"]
    words += ["gate_id", "outcome", "mitigation_applied", "updated_fit_profile", "invocation", "environment"]
    assert [name for name in [*words, *RestorationOutcome] if f"`{name}`" not in text] == []
    assert f"at most {MOST_ITEMS} findings" in text
    assert (MOST, EACH_S, ALL_S) == (10, 120.0, 300.0), "as the page says"


def test_the_verdicts_shown_are_verdicts(tmp_path):
    shown = [block for block in blocks("report-and-verdict", "json") if "status" not in json.loads(block)]
    assert len(shown) == 3
    path = tmp_path / "result.json"
    for block in shown:
        path.write_text(block)
        found = read_verdict(path) if "verdict" in json.loads(block) else read_restoration(path, None, "tests")
        assert not isinstance(found, str), found


def test_the_reviewer_shown_is_one(repo, tmp_path):
    """Run as it stands, on a tree with something left undone and on one without."""
    script = next(block for block in blocks("agent-contract", "sh") if "verdict" in block)
    (tmp_path / "review.sh").write_text(script)
    result = tmp_path / "result.json"
    for text, passes in (("x\n", True), ("x\ny = 1  # TO" + "DO\n", False)):
        repo.write("src/todo.py", text)
        repo.commit("more")
        env = {**repo.environ, "CHARGEHAND_RESULT": str(result)}
        subprocess.run(["sh", str(tmp_path / "review.sh")], cwd=repo.path, env=env, check=True)
        verdict = read_verdict(result)
        assert isinstance(verdict, Verdict), verdict
        assert verdict.passed is passes
        assert [(finding.file, finding.line) for finding in verdict.findings] == [("src/todo.py", 2)] * (not passes)


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
    shown = blocks("scripted-agent", "yaml")
    assert len(shown) == 2
    assert [problem for each in shown for problem in problems(json.loads(json.dumps(yaml.safe_load(each))))] == []
