"""The state file of Nexus Cortexia under change: a value at a time, the rest byte by byte; its lists; its place."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import RunAccepted
from chargehand.domain.outcome import ReportStatus
from chargehand.domain.plan import Barrier, Command, GatePoint, GateSpec, Plan, Task
from chargehand.domain.state import RunState
from chargehand.domain.words import TaskStatus
from chargehand.plans.detect import read_plan
from chargehand.profiles import Site, profile_of
from chargehand.profiles.dispatch_state import Standing, standing_of, updated
from chargehand.profiles.dispatch_text import lines, set_members, set_value
from tests.play import Play, a_plan, a_task, done

FIXTURE = Path(__file__).parent.parent / "fixtures" / "dispatch"
STATE = (FIXTURE / ".nexus-cortexia" / "state.json").read_text(encoding="utf-8")
PROFILE = profile_of("dispatch")
AT = 1_800_000_000.0
STANDING = Standing(
    tasks=frozenset({"task-3.1", "task-4", "task-8", "task-9", "task-10", "fix-1"}),
    done={"task-3.1": "a model\nFiles: x", "fix-1": "mended"},
    failed={"task-4": ("no page", 1)},
    blocked={"task-10": "task-4"},
    idle=frozenset({"task-9", "task-10"}),
    wave=3,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)

# -- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("{}", ("a",), 1, '{"a": 1}'),
        ('{"a":1}', ("a",), 2, '{"a":2}'),
        ('{"a":1 }', ("b",), [], '{"a":1, "b": [] }'),
        ('{\n  "a": 1\n}\n', ("b", "c"), "x", '{\n  "a": 1,\n  "b": {"c": "x"}\n}\n'),
        ('{\r\n\t"a": {}\r\n}', ("a", "b"), 1, '{\r\n\t"a": {\r\n\t  "b": 1\r\n\t}\r\n}'),
        ('\ufeff{"a": {"b": "\\u00e9"}}', ("a", "c"), "é", '\ufeff{"a": {"b": "\\u00e9", "c": "é"}}'),
        ('{"a": [ "\\u00e9","b" ]}', ("a",), ["é", "c"], '{"a": ["\\u00e9", "c"]}'),
        ('{"a": [\n  {"x":1},\n  2\n]}', ("a",), [{"x": 1}, 3], '{"a": [\n  {"x":1},\n  3\n]}'),
        ('{"a": [\n]}', ("a",), [1], '{"a": [1]}'),
        ('{"a": [\n  1\n]}', ("a",), [], '{"a": []}'),
        ('{"a": 1.0, "b": "}"}', ("a",), 1.0, '{"a": 1.0, "b": "}"}'),
        ('{"a": true}', ("a",), 1, '{"a": 1}'),
    ],
)
def test_a_value_is_written_where_it_stands(before: str, path: tuple[str, ...], value: Any, after: str):
    assert set_value(before, path, value) == after
    assert set_value(after, path, value) == after


@settings(max_examples=100, deadline=None)
@given(data=OBJECTS, values=OBJECTS, indent=st.sampled_from([None, 2, "\t"]), is_there=st.booleans())
def test_many_members_at_once_are_the_same_as_one_by_one(
    data: dict[str, Any], values: dict[str, Any], indent: Any, is_there: bool
):
    text = json.dumps({"x": 1, "members": data} if is_there else {"x": 1}, indent=indent)
    after = set_members(text, "members", values)
    if is_there or values:
        assert json.loads(after) == {"x": 1, "members": {**(data if is_there else {}), **values}}
    assert set_members(after, "members", values) == after
    if is_there:
        for name, value in values.items():
            text = set_value(text, ("members", name), value)
        assert after == text


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}'])
def test_what_is_no_object_is_not_written_to(text: str):
    with pytest.raises(ValueError, match=r"object|Expecting|delimiter|decode"):
        set_value(text, ("a", "b"), 1)


@settings(max_examples=200, deadline=None)
@given(
    data=OBJECTS,
    key=st.text(max_size=3),
    value=VALUES,
    indent=st.sampled_from([None, 1, 4, "\t"]),
    ascii_only=st.booleans(),
)
def test_nothing_else_changes_whatever_the_object(
    data: dict[str, Any], key: str, value: Any, indent: Any, ascii_only: bool
):
    """Round trip: what is read afterwards is what was there, with the one value; each other keeps its own text."""
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    after = set_value(text, (key,), value)
    assert json.loads(after) == {**data, key: value}
    assert set_value(after, (key,), value) == after
    for name, other in data.items():
        if name != key:
            whole = json.dumps({name: other}, indent=indent, ensure_ascii=ascii_only)
            assert whole.strip("{}\n") in after


# -- lists ----------------------------------------------------------------------------------------


def test_the_lists_of_a_standing():
    """What was done before and what others keep stays; an old entry goes when its task succeeds or is blocked anew."""
    state = json.loads(updated(STATE, STANDING, AT))
    assert state["completed_tasks"] == ["task-1", "task-2", "task-3.1"]
    assert state["failed_tasks"] == [
        {"task_id": "task-8", "reason": "the counter never grew", "retry_count": 1},
        {"task_id": "task-4", "reason": "no page", "retry_count": 1},
    ]
    assert state["blocked_tasks"] == [
        {"task_id": "task-9", "blocked_on": "task-8"},
        {"task_id": "task-10", "blocked_on": "task-4"},
    ]
    assert state["compressed_outputs"]["task-3.1"] == "a model\nFiles: x"
    assert "fix-1" not in state["compressed_outputs"]
    assert (state["current_wave"], state["updated_at"]) == (3, "2027-01-15T08:00:00Z")


def test_the_same_standing_changes_nothing_and_no_time():
    after = updated(STATE, STANDING, AT)
    assert updated(after, STANDING, AT + 60) == after


def test_an_entry_of_a_person_keeps_its_own_keys():
    text = STATE.replace('"retry_count": 1}', '"retry_count": 1, "seen_by": "Ida"}')
    failed_again = replace(STANDING, failed={"task-8": ("still none", 2)}, blocked={"task-9": "task-8"})
    state = json.loads(updated(text, failed_again, AT))
    entry = {"task_id": "task-8", "reason": "still none", "retry_count": 2, "seen_by": "Ida"}
    assert state["failed_tasks"] == [entry]


def test_what_succeeds_is_cleared():
    standing = replace(STANDING, done={"task-8": "x", "task-9": "y"}, failed={}, blocked={})
    state = json.loads(updated(STATE, standing, AT))
    assert (state["failed_tasks"], state["blocked_tasks"]) == ([], [])


def test_lists_that_are_not_there_are_made_only_when_needed():
    plain = json.dumps({"task_graph": {"tasks": [{"id": "task-1"}]}, "completed_tasks": []})
    quiet = Standing(tasks=frozenset({"task-1"}), wave=1)
    assert set(json.loads(updated(plain, quiet, AT))) == {
        *("task_graph", "completed_tasks", "current_wave", "updated_at")
    }
    bad = replace(quiet, failed={"task-1": ("no", 1)})
    assert json.loads(updated(plain, bad, AT))["failed_tasks"] == [
        {"task_id": "task-1", "reason": "no", "retry_count": 1}
    ]


def test_the_retries_told_are_all_there_were():
    """Also those that somebody asked for: four attempts are three retries."""
    play = begun(Play(a_plan(a_task("task-1")), policy=profile_of("dispatch").policy))
    for number in range(4):
        play.attempt("task-1", done(ReportStatus.FAILED, summary=f"no {'abcd'[number]}"))
        if number == 1:
            assert standing_of(play.state).failed["task-1"][1] == 1
            play.answer("retry", play.task("task-1").decision)
    assert standing_of(play.state).failed["task-1"][1] == 3


@pytest.mark.parametrize("text", ["", "[]", '{"task_graph": []}', STATE[:-30]])
def test_what_is_no_state_any_more_is_not_written_to(text: str):
    with pytest.raises(ValueError, match=r"graph is gone|Expecting|Unterminated|delimiter"):
        updated(text, STANDING, AT)


LISTS = ("failed_tasks", "completed_tasks", "blocked_tasks", "compressed_outputs", "current_wave", "updated_at")


@settings(max_examples=150, deadline=None)
@given(found=st.fixed_dictionaries({}, optional=dict.fromkeys(LISTS[1:], VALUES)), entry=VALUES)
def test_whatever_somebody_made_of_the_lists_is_told_or_survives(found: dict[str, Any], entry: Any):
    """Entries that are of no task stay; only a place that holds something else altogether is refused."""
    data = {**json.loads(STATE), **found}
    data["failed_tasks"] = [entry, *(data["failed_tasks"] or ())]
    text = json.dumps(data)
    if not isinstance(data["compressed_outputs"], dict):
        with pytest.raises(ValueError, match="an object was expected"):
            updated(text, STANDING, AT)
        return
    after = json.loads(updated(text, STANDING, AT))
    assert after["task_graph"] == data["task_graph"]
    assert entry in after["failed_tasks"]


def test_what_agents_say_is_one_line_of_what_can_be_seen():
    assert lines(["a\nb\x1b[2Jc\u202e\x00\ud800", "", " d "]) == "a b [2Jc\nd"


NAMES = [task["id"] for task in json.loads(STATE)["task_graph"]["tasks"]]


@settings(max_examples=100, deadline=None)
@given(
    status=st.lists(st.sampled_from(["done", "failed", "blocked", "idle", "live", "other"]), min_size=10, max_size=10)
)
def test_a_standing_of_any_kind_is_read_back(status: list[str], tmp_path_factory: pytest.TempPathFactory):
    """Write and read: no task vanishes, none stands in two lists, and the graph is as it was."""
    kinds = dict(zip(NAMES[2:], status, strict=True))
    roots = [name for name, kind in kinds.items() if kind == "failed"]
    blocked = {name: roots[0] for name, kind in kinds.items() if kind == "blocked" and roots}
    standing = Standing(
        tasks=frozenset(name for name, kind in kinds.items() if kind != "other"),
        done={
            name: f"output\nAccepted: branch main, commit {'0' * 40}." for name, kind in kinds.items() if kind == "done"
        },
        failed=dict.fromkeys(roots, ("because", 1)),
        blocked=blocked,
        idle=frozenset(name for name, kind in kinds.items() if kind == "idle"),
        wave=2,
    )
    after = updated(STATE, standing, AT)
    folder = tmp_path_factory.mktemp("state")
    (folder / "state.json").write_text(after, encoding="utf-8")
    loaded = read_plan(folder, folder)
    assert [problem for problem in loaded.problems if problem.is_error and problem.code != "nothing_left"] == []
    assert loaded.counts["done"] == 2 + len(standing.done)
    assert sum(loaded.counts[name] for name in ("open", "done", "failed", "blocked", "pending")) == 12
    assert json.loads(after)["task_graph"] == json.loads(STATE)["task_graph"]
    assert updated(after, standing, AT + 1) == after


# -- standings ------------------------------------------------------------------------------------


def a_run() -> Play:
    """task-1, then task-2, then task-3; task-4 beside the first."""
    tasks = [
        a_task("task-1", wave=1),
        a_task("task-2", "task-1", wave=2),
        a_task("task-3", "task-2", wave=3),
        a_task("task-4", wave=1),
    ]
    return begun(Play(a_plan(*tasks, barrier=Barrier.WAVE), policy=PROFILE.policy, review=False))


def begun(play: Play) -> Play:
    play.begin()
    return play


def test_a_failure_that_waits_for_a_word_has_failed_already():
    play = a_run()
    play.attempt("task-1", done(ReportStatus.FAILED, summary="no disk"))
    assert standing_of(play.state).failed == {}, "its one retry is under way"
    play.attempt("task-1", done(ReportStatus.FAILED, summary="no disk at all"))
    standing = standing_of(play.state)
    assert standing.failed["task-1"][1] == 1
    assert "no disk at all" in standing.failed["task-1"][0]
    assert standing.blocked == {"task-2": "task-1", "task-3": "task-1"}
    assert (standing.wave, standing.done) == (1, {})
    play.answer("retry")
    assert standing_of(play.state).failed == {}
    assert standing_of(play.state).blocked == {}


def test_a_task_that_was_skipped_after_it_failed_stays_a_failure():
    """There is no word for it: the last that fits stays, and the reason says more."""
    play = a_run()
    for _ in range(2):
        play.attempt("task-1", done(ReportStatus.FAILED, summary="no disk"))
    play.answer("skip")
    assert play.task("task-1").status is TaskStatus.SKIPPED
    assert list(standing_of(play.state).failed) == ["task-1"]
    assert "task-1" not in standing_of(play.state).idle


# -- the profile ----------------------------------------------------------------------------------


def test_its_commands_become_gates():
    """Built on the task's own tree, tested as merged, after each wave, and at the end; gates of one's own stay."""
    plan = Plan(plan="p", tasks=(Task(id="task-1", title="t"),))
    assert PROFILE.arrange is not None
    assert PROFILE.arrange(plan, {"commands.build": None, "commands.test": None}) == plan
    build, test = Command(argv=("make",)), Command(argv=("make", "check"))
    arranged = PROFILE.arrange(plan, {"commands.build": build, "commands.test": test})
    assert [(gate.id, gate.run) for gate in arranged.gates] == [("build", build), ("test", test)]
    assert GatePoint.TASK in arranged.gates[0].on
    assert arranged.gates[1].on == {GatePoint.INTEGRATE, GatePoint.WAVE, GatePoint.RUN}
    own = replace(plan, gates=(GateSpec(id="test", run=build),))
    kept = PROFILE.arrange(own, {"commands.test": test})
    assert kept.gates == own.gates


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "todo"
    shutil.copytree(FIXTURE, folder)
    return folder


def a_state() -> RunState:
    play = begun(Play(a_plan(a_task("task-4", wave=2), barrier=Barrier.WAVE), policy=PROFILE.policy, review=False))
    for _ in range(2):
        play.attempt("task-4", done(ReportStatus.FAILED, summary="no disk"))
    state: RunState = play.state
    return state


def write(root: Path, source: Path) -> None:
    assert PROFILE.project is not None
    state = a_state()
    PROFILE.project(Site(root=root, source=source), state.plan).begin(state)


@pytest.mark.parametrize("named", [".nexus-cortexia", ".nexus-cortexia/state.json"])
def test_it_writes_where_it_was_read(project: Path, named: str):
    write(project, project / named)
    text = (project / ".nexus-cortexia" / "state.json").read_text()
    assert [each["task_id"] for each in json.loads(text)["failed_tasks"]] == ["task-8", "task-4"]
    assert [file.name for file in (project / ".nexus-cortexia").iterdir()] == ["state.json"]


def test_outside_of_the_work_tree_nothing_is_written(project: Path, tmp_path: Path):
    """I1: nor through a link that leads there."""
    outside = tmp_path / "outside"
    shutil.copytree(project / ".nexus-cortexia", outside)
    before = (outside / "state.json").read_text()
    write(project, outside)
    shutil.rmtree(project / ".nexus-cortexia")
    (project / ".nexus-cortexia").symlink_to(outside)
    write(project, project / ".nexus-cortexia")
    assert (outside / "state.json").read_text() == before


def test_a_link_within_the_work_tree_is_followed(project: Path):
    home = project / ".nexus-cortexia"
    (home / "state.json").rename(project / "kept.json")
    (home / "state.json").symlink_to(project / "kept.json")
    write(project, home)
    assert (home / "state.json").is_symlink()
    assert "no disk" in (project / "kept.json").read_text()


@pytest.mark.parametrize("how", ["gone", "broken"])
def test_a_state_that_cannot_be_brought_up_to_date_is_told(project: Path, how: str):
    file = project / ".nexus-cortexia" / "state.json"
    file.unlink()
    if how == "broken":
        file.write_text("{")
    with pytest.raises(AdapterError, match=r"state\.json cannot be brought up to date: .*chargehand resume"):
        write(project, project / ".nexus-cortexia")


def test_a_squash_has_a_commit_of_its_own():
    play = a_run()
    play.attempt("task-1")
    play.integrate("task-1")
    state = play.state
    assert state.tasks["task-1"].landed is not None
    last = standing_of(state).done["task-1"].splitlines()[-1]
    assert last == f"Not accepted yet: branch {state.branch}, commit {state.tasks['task-1'].landed}."
    for how, commit in (("squash", "f" * 40), ("merge", state.tasks["task-1"].landed)):
        state.accepted = RunAccepted(target="main", commit="f" * 40, how=how)
        assert standing_of(state).done["task-1"].splitlines()[-1] == f"Accepted: branch main, commit {commit}."
