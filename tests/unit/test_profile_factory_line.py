"""The profile of Station Kit without a run: its rules, its gates, and a chain that counts on."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import Recorded
from chargehand.domain.evolve import fold
from chargehand.domain.line import Fit, Restoration
from chargehand.domain.outcome import AttemptResult, GateStatus, ReportStatus, Role
from chargehand.domain.plan import Command, GatePoint, GateSpec, Plan, Task
from chargehand.domain.silencing import Silencing
from chargehand.domain.words import TaskStatus
from chargehand.ports import AttemptSpec, Projection
from chargehand.profiles import Site, profile_of
from chargehand.profiles.factory_chain import moment, thoughts_of
from chargehand.profiles.factory_line import PROFILE, _contract
from chargehand.profiles.factory_text import gate_report, todo_rows, todo_text
from chargehand.testing.fakes import attempt_result, look_result
from tests.play import Play, a_plan, a_task
from tests.unit.played import play

PLAN = Plan(plan="sk-1", tasks=(Task(id="subtask-1", title="One"),), profile="factory-line")


def test_the_profile_is_found_by_its_name():
    assert profile_of("factory-line") is PROFILE
    assert PROFILE.policy.retries == 0
    assert PROFILE.policy.stages == ()
    assert not PROFILE.policy.final_baseline
    assert not PROFILE.accepts
    assert PROFILE.policy.silencing is Silencing.FAILS


def test_every_role_has_its_rules():
    words = dict(PROFILE.wording)
    for text in (
        "Verify the signatures",
        "Edit narrowly",
        "every caller",
        "`# type: ignore`",
        "runtime_model_reported",
    ):
        assert text in words[Role.IMPLEMENTER.value]
    assert words[Role.FIXER.value] == words[Role.IMPLEMENTER.value]
    assert "not whole logs" in words[Role.FITTER.value]
    assert "the product is not" in words[Role.FITTER.value]


def test_a_line_without_gates_takes_the_commands_of_the_settings():
    assert PROFILE.arrange is not None
    test = Command(argv=("make", "check"))
    plan = PROFILE.arrange(PLAN, {"commands.build": None, "commands.test": test})
    assert plan.gates == (GateSpec(id="test", run=test, on=frozenset({GatePoint.RUN})),)
    assert PROFILE.arrange(plan, {}) is plan
    with pytest.raises(UserError, match="has no quality gates"):
        PROFILE.arrange(PLAN, {"commands.build": None, "commands.test": None})


def test_a_packet_outside_the_work_tree_is_never_written_for(tmp_path: Path):
    """I1."""
    root, other = tmp_path / "root", tmp_path / "other"
    (root / ".git").mkdir(parents=True)
    other.mkdir()
    packet = other / "packet.json"
    packet.write_text("{}")
    assert PROFILE.project is not None
    projection: Any = PROFILE.project(Site(root=root, source=packet), PLAN)
    projection.begin(None)
    projection.take(None, None)
    projection.accepted(None, "")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".git", "other", "packet.json", "root"]


def test_the_todo_list_is_made_of_the_run(tmp_path: Path):
    """For the run and for a task; what the list does not know has no line, nor has a packet from elsewhere."""
    home = tmp_path / "project" / ".kilocode"
    home.mkdir(parents=True)
    packet = home / "packet.json"
    done = {"id": 1, "description": "Done before"}
    subtasks = [done, {"id": 2, "description": "Now"}]
    packet.write_text(json.dumps({"task_id": "X", "session_export": "p", "subtasks": subtasks}))
    tasks = (a_task("subtask-2"), a_task("tests", "subtask-2"), a_task("gates", "tests"), a_task("fix-1", "gates"))
    play = Play(a_plan(*tasks, profile="factory-line"))
    play.begin()
    site = Site(root=home.parent, source=packet)
    assert PROFILE.shown is not None
    assert PROFILE.shown(site, play.state, None) == (
        "[x] Runtime Model Report (record runtime model/mode)",
        "[x] Pre-Execution Gate: Load and verify prep session",
        "[x] Subtask 1: Done before",
        "[-] Subtask 2: Now",
        "[ ] Subtask 3: Add/update tests",
        "[ ] Subtask 4: Run quality gates",
        "[ ] Complete: Update beads and present results",
    )
    assert PROFILE.shown(site, play.state, "subtask-2") == ("[-] Subtask 2: Now",)
    assert PROFILE.shown(site, play.state, "fix-1") == ()
    assert PROFILE.shown(Site(root=tmp_path / "other", source=packet), play.state, None) == ()


@pytest.mark.parametrize(("fails", "accepted", "mark"), [(True, True, " "), (False, True, "x"), (False, False, "-")])
def test_a_line_that_halted_is_never_complete(fails: bool, accepted: bool, mark: str):
    """Whoever accepts what a halted line has landed has not completed its task."""
    failing: dict[Hashable, Any] = {"subtask-2": lambda spec: attempt_result(spec, status=ReportStatus.FAILED)}
    tasks = Task(id="subtask-1", title="The 1"), Task(id="subtask-2", title="The 2", depends_on=("subtask-1",))
    outcomes = failing if fails else {}
    state, _ = play(*tasks, outcomes=outcomes, unattended=True, policy=PROFILE.policy)
    assert state.tasks["subtask-1"].status is TaskStatus.INTEGRATED
    rows = dict(reversed(list(todo_rows(state, [(1, "The 1"), (2, "The 2")], accepted=accepted))))
    assert [row for row in todo_text(state, [(1, "The 1")], accepted=accepted).splitlines() if "Complete:" in row] == [
        f"[{mark}] Complete: Update beads and present results"
    ]
    assert rows["subtask-2"] == f"[{' ' if fails else 'x'}] Subtask 2: The 2"


def project(root: Path, history: Sequence[Recorded] = ()) -> Projection:
    """The files of a line with two subtasks below `root`, whose journal is `history`."""
    home = root / ".kilocode"
    home.mkdir(parents=True, exist_ok=True)
    prep = {"thoughts": [{"thoughtNumber": 1, "thought": "t", "stage": "Analysis", "totalThoughts": 1}]}
    (home / "prep.json").write_text(json.dumps(prep))
    packet = home / "packet.json"
    subtasks = [{"id": number, "description": f"The {number}"} for number in (1, 2)]
    packet.write_text(json.dumps({"task_id": "X", "session_export": ".kilocode/prep.json", "subtasks": subtasks}))
    assert PROFILE.project is not None
    return PROFILE.project(Site(root=root, source=packet, history=lambda: history), PLAN)


def files_of(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def fitted(spec: AttemptSpec) -> AttemptResult:
    result = look_result(spec)
    more = Fit(wall_s=60.0 + spec.attempt)
    return replace(result, restoration=replace(result.restoration, fit=more) if result.restoration else None)


def test_a_process_that_ends_between_an_event_and_its_file_loses_no_record(tmp_path: Path):
    """I4: wherever it ends, the next one writes what the journal has: runs of gates, faults, restorations, runtimes."""
    gate = GateSpec(id="lint", run=Command(argv=("lint", ".")), on=frozenset({GatePoint.TASK}))
    _, events = play(
        Task(id="subtask-1", title="The 1"),
        Task(id="subtask-2", title="The 2", depends_on=("subtask-1",)),
        gates={("subtask-2", 1, "lint"): GateStatus.FAULT},
        outcomes={("subtask-2", 2): fitted, ("subtask-2", 3): fitted},
        plan={"gates": (gate,), "profile": "factory-line"},
        unattended=True,
        policy=PROFILE.policy,
    )
    whole = project(tmp_path / "whole")
    whole.begin(fold(events[:1]))
    for number, recorded in enumerate(events[1:], start=2):
        whole.take(recorded, fold(events[:number]))
    expected = files_of(tmp_path / "whole")
    assert any(name.startswith(".kilocode/line/X/restorations/lint-") for name in expected), sorted(expected)
    for end in range(2, len(events) + 1):
        root = tmp_path / f"ended-{end}"
        before = project(root)
        before.begin(fold(events[:1]))
        for number in range(2, end):
            before.take(events[number - 1], fold(events[:number]))
        after = project(root, events[:end])  # of the last of these events nothing was written
        after.begin(fold(events[:end]))
        for number in range(end + 1, len(events) + 1):
            after.take(events[number - 1], fold(events[:number]))
        assert files_of(root) == expected, end


@pytest.mark.parametrize(
    "text", ["{", '{"task_id": "X"}', '{"task_id":"X","session_export":"p","subtasks":[{"id":"1"}]}']
)
def test_a_packet_that_broke_meanwhile_stops_the_resume(tmp_path: Path, text: str):
    packet = tmp_path / ".kilocode" / "packet.json"
    packet.parent.mkdir()
    packet.write_text(text)
    assert PROFILE.project is not None
    with pytest.raises(AdapterError, match="cannot be read any more"):
        PROFILE.project(Site(root=tmp_path, source=packet), PLAN)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"thoughts": 3}', '{"thoughts": [3]}', '{"thoughts": [{"thoughtNumber": "1"}]}']
)
def test_a_session_nobody_can_go_on_from_is_told(tmp_path: Path, text: str):
    file = tmp_path / "prep.json"
    file.write_text(text)
    with pytest.raises(AdapterError, match="cannot be read"):
        thoughts_of(file)


def test_a_failed_gate_says_why():
    report = json.loads(gate_report("SK-1", "prep.json", PLAN, ["Prep gate FAIL, Conclusion reached."]))
    assert (report["session_validity"], report["failures"]) == ("FAIL", ["Prep gate FAIL, Conclusion reached."])
    assert (report["runtime_model_reported"], report["runtime_mode_reported"]) == ("none", "orchestrator")


def test_a_restoration_has_the_fields_of_its_contract():
    told = _contract(Restoration(gate_id="mypy", fit=Fit(wall_s=9.0, env=(("A", "1"),)), notes="n", confidence="low"))
    assert told == {
        "gate_id": "mypy",
        "outcome": "GREEN",
        "mitigation_applied": [],
        "verification_run": {"invocation": "", "status": "pending", "elapsed_seconds": None},
        "env": {"A": "1"},
        "updated_fit_profile": {"timeout_seconds": 9.0, "stall_seconds": None, "notes": "n", "confidence": "low"},
    }


def test_times_are_those_of_utc():
    assert moment(0.9) == "1970-01-01T00:00:00Z"
