"""The native format: what is read, and what is said about what cannot be."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.check import World
from chargehand.domain.errors import UserError
from chargehand.domain.plan import (
    Barrier,
    Command,
    Complexity,
    Defaults,
    EnvSpec,
    Features,
    Files,
    GatePoint,
    GateSpec,
    Interfaces,
    Limits,
    Mode,
    Plan,
    Risk,
    Scope,
    SetupSpec,
    Task,
    TaskType,
    Weight,
)
from chargehand.domain.problem import Problem
from chargehand.plans.checking import check_loaded, survey_document
from chargehand.plans.convert import stated_of
from chargehand.plans.detect import FoundPlan, NativeReader, find_plan, read_plan
from chargehand.plans.document import MAX_BYTES, MAX_DEPTH
from chargehand.plans.fields import duration_text, parse_duration
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.models import PlanModel
from chargehand.plans.native import load_plan, parse_plan
from chargehand.plans.schema import plan_schema
from chargehand.plans.writer import dump_native, native_document

FULL = """\
chargehand: 1
plan: todo-api
goal: "One paragraph: what is true when the plan is done."
profile: sendit
barrier: wave
success_criteria: [it works]
risks: [{risk: slow, mitigation: measure}, {risk: late}]
features: {code_review: false, holistic: true}
setup: {run: [pip, install, -e, .], key: [requirements.txt], keep: [.venv]}
env: {pass: [DATABASE_URL], set: {ONE: 1, TWO: "2"}}
allowlist: [CHANGELOG.md]
allow_red: [lint]
defaults: {agent: claude, reviewer: codex, model: m, weight: light, mode: sequential,
           limits: {wall: 30m, idle: 5m, tokens: 2000000, usd: 5}}
gates:
  - {id: lint, run: [ruff, check, .], on: [task, wave], wall: 5m, idle: null, fix: [ruff, format, .]}
  - {id: tests, run: "pytest -q --junit-xml=$CHARGEHAND_JUNIT", idle: 90s, junit: true}
tasks:
  - id: model
    title: Todo model
    description: What to build.
    approach: The approach.
    depends_on: []
    wave: 1
    files: {create: [src/todo.py], modify: [a], test: [tests/test_todo.py], read: [docs/api.md]}
    scope: review
    acceptance: ["add() rejects an empty title"]
    verify: [[python, -m, pytest, -q, 4], make check]
    interfaces: {consumes: [x], produces: ["todo.add(title: str) -> Todo"]}
    type: tdd
    weight: full
    complexity: moderate
    needs_human: true
    allow_empty: true
    allow_test_changes: true
    overlay: true
    mandates: [use rg]
    agent: other
    model: big
    reviewer: me
    limits: {wall: 1h30m}
    mode: parallel
  - {id: 02, title: 404, depends_on: [model]}
"""


def told(text: str, source: str = "plan.yaml") -> list[tuple[str, int | None, str]]:
    loaded = parse_plan(text, source)
    assert (loaded.plan is None) == any(problem.is_error for problem in loaded.problems)
    return [(problem.code, problem.line, problem.message) for problem in loaded.problems]


def one(text: str, source: str = "plan.yaml") -> Problem:
    (problem,) = parse_plan(text, source).problems
    return problem


def small(extra: str = "", task: str = "") -> str:
    return f"chargehand: 1\nplan: p\n{extra}\ntasks:\n- id: a\n  title: A\n{task}\n"


def test_every_key_of_the_format_is_read() -> None:
    loaded = parse_plan(FULL, "plan.yaml")
    assert loaded.problems == ()
    defaults = Defaults(
        agent="claude",
        reviewer="codex",
        model="m",
        weight=Weight.LIGHT,
        mode=Mode.SEQUENTIAL,
        limits=Limits(wall_s=1800, idle_s=300, tokens=2_000_000, usd=5),
    )
    assert loaded.plan == Plan(
        plan="todo-api",
        goal="One paragraph: what is true when the plan is done.",
        profile="sendit",
        barrier=Barrier.WAVE,
        success_criteria=("it works",),
        risks=(Risk(risk="slow", mitigation="measure"), Risk(risk="late")),
        features=Features(code_review=False, holistic=True),
        setup=SetupSpec(run=Command(argv=("pip", "install", "-e", ".")), key=("requirements.txt",), keep=(".venv",)),
        env=EnvSpec(passed=("DATABASE_URL",), values=(("ONE", "1"), ("TWO", "2"))),
        allowlist=("CHANGELOG.md",),
        allow_red=("lint",),
        defaults=defaults,
        gates=(
            GateSpec(
                id="lint",
                run=Command(argv=("ruff", "check", ".")),
                on=frozenset({GatePoint.TASK, GatePoint.WAVE}),
                wall_s=300,
                fix=Command(argv=("ruff", "format", ".")),
            ),
            GateSpec(
                id="tests",
                run=Command(argv=("pytest -q --junit-xml=$CHARGEHAND_JUNIT",), shell=True),
                idle_s=90,
                junit=True,
            ),
        ),
        tasks=(
            Task(
                id="model",
                title="Todo model",
                description="What to build.",
                approach="The approach.",
                wave=1,
                files=Files(
                    create=("src/todo.py",), modify=("a",), test=("tests/test_todo.py",), read=("docs/api.md",)
                ),
                scope=Scope.REVIEW,
                acceptance=("add() rejects an empty title",),
                verify=(
                    Command(argv=("python", "-m", "pytest", "-q", "4")),
                    Command(argv=("make check",), shell=True),
                ),
                interfaces=Interfaces(consumes=("x",), produces=("todo.add(title: str) -> Todo",)),
                type=TaskType.TDD,
                weight=Weight.FULL,
                complexity=Complexity.MODERATE,
                needs_human=True,
                allow_empty=True,
                allow_test_changes=True,
                overlay=True,
                mandates=("use rg",),
                agent="other",
                model="big",
                reviewer="me",
                limits=Limits(wall_s=5400, idle_s=300, tokens=2_000_000, usd=5),
                mode=Mode.PARALLEL,
            ),
            Task(
                id="02",
                title="404",
                depends_on=("model",),
                agent="claude",
                reviewer="codex",
                model="m",
                weight=Weight.LIGHT,
                mode=Mode.SEQUENTIAL,
                limits=defaults.limits,
            ),
        ),
    )


def test_what_is_required_is_enough() -> None:
    loaded = parse_plan('{"chargehand": 1, "plan": "p", "tasks": [{"id": "a", "title": "A"}]}', "p.json")
    assert loaded.plan == Plan(plan="p", tasks=(Task(id="a", title="A"),))
    assert loaded.plan.tasks[0].files is None
    assert loaded.stated == Stated(keys=frozenset({"chargehand", "plan", "tasks"}))
    assert parse_plan(FULL, "p.yaml").stated.gates == 2


def test_json_and_yaml_read_the_same() -> None:
    plan = parse_plan(FULL, "plan.yaml").plan
    assert plan is not None
    assert parse_plan(json.dumps(native_document(plan)), "plan.json").plan == plan
    assert parse_plan(json.dumps(native_document(plan), indent="\t"), "plan.yaml").plan == plan


def test_a_plan_in_flow_style_is_yaml_too() -> None:
    assert parse_plan("{chargehand: 1, plan: p, tasks: [{id: a, title: A}]}", "p.yaml").plan is not None


def test_what_the_plan_states_itself_is_known() -> None:
    stated = parse_plan(FULL, "plan.yaml").stated
    assert {"profile", "barrier", "features.code_review", "defaults.weight", "defaults.limits.wall"} <= stated.keys
    assert stated.tasks == {
        name: frozenset({"model"}) for name in ("agent", "model", "reviewer", "weight", "mode", "limits.wall")
    }
    assert stated_of(PlanModel.model_validate({"chargehand": 1, "plan": "p", "defaults": {}})).tasks == {}


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("500ms", 0.5), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    plan = parse_plan(small(task=f"  limits: {{wall: {text}}}"), "p.yaml").plan
    assert plan is not None
    assert plan.tasks[0].limits.wall_s == seconds
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize("seconds", [0.001, 1.5, 59.999, 3601.0])
def test_durations_are_written_as_they_are_read(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("30", "found '30'; add the unit, as in '30s' or '30m'."),
        ("1.5", "add the unit, as in '1.5s'"),
        ("0", "add the unit"),
        ("0s", "longer than zero"),
        ("9999d", "at most a year"),
        ("30:00", "found '30:00'; write it like 90s, 30m or 2h."),
        ("soon", "found 'soon'"),
        ("-5m", "found '-5m'"),
        ("[1s]", "found a list"),
        ("{}", "found a mapping"),
        ('""', "found an empty text"),
    ],
)
def test_what_is_no_duration(value: str, said: str) -> None:
    problem = one(small(task=f"  limits: {{wall: {value}}}"))
    assert (problem.code, problem.line) == ("bad_value", 7)
    assert said in problem.message
    assert problem.message.startswith("tasks[0].limits.wall: Expected a duration")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("needs_human", "yes", "Expected true or false, found 'yes'."),
        ("needs_human", "on", "Expected true or false, found 'on'."),
        ("needs_human", '"true"', "Expected true or false, found 'true'."),
        ("needs_human", "1", "Expected true or false, found '1'."),
        ("wave", "0", "Expected the number of a wave, from 1, found '0'."),
        ("wave", "1.5", "Expected the number of a wave"),
        ("wave", "0x10", "Expected the number of a wave"),
        ("wave", "2000000", "up to 1000000"),
        ("wave", '"1"', "Leave the quotes out."),
        ("wave", "99999999999999999999", "Expected the number of a wave"),
        ("limits", "{tokens: 0}", "Expected a whole number from 1"),
        ("limits", "{tokens: 2_000}", "Expected a whole number from 1"),
        ("limits", "{tokens: -5}", "Expected a whole number from 1"),
        ("limits", "{usd: 0}", "Expected an amount in US dollars"),
        ("limits", "{usd: .inf}", "Expected an amount in US dollars"),
        ("limits", '{usd: "5"}', "Expected an amount in US dollars"),
        ("limits", "5", "Expected a mapping, found '5'."),
        ("type", "tddd", "Expected one of execute, tdd; found 'tddd'."),
        ("weight", "{}", "Expected one of light, full; found a mapping."),
        ("verify", "pytest", "Expected a list, found 'pytest'."),
        ("verify", "[python, -m, pytest]", "'-m' is an option, not a command"),
        ("verify", "[[]]", "found a list without a program"),
        ("verify", '[""]', "found an empty text"),
        ("verify", "[[a, [b]]]", "found a list in it"),
        ("verify", "[[a, null]]", "found nothing in it"),
        ("verify", "[{run: a}]", "found a mapping"),
        ("files", "[a]", "Expected a mapping, found a list."),
        ("acceptance", "[[a]]", "Expected text, found a list."),
        ("description", "[a]", "Expected text, found a list."),
        ("depends_on", "model", "Expected a list, found 'model'."),
    ],
)
def test_values_that_do_not_fit(key: str, value: str, said: str) -> None:
    problem = one(small(task=f"  {key}: {value}"))
    assert problem.line == 7
    assert problem.column is not None
    assert said in problem.message


def test_hints_say_what_to_do() -> None:
    assert one(small(task="  depends_on: model")).hint == "Put it in brackets: [ … ]."
    assert one(small(task="  type: tddd")).hint == "Did you mean 'tdd'?"
    number = one('{"chargehand": 1, "plan": "p", "tasks": [{"id": 1, "title": "A"}]}', "p.json")
    assert (number.message, number.hint) == ("tasks[0].id: Expected text, found the number 1.", "Put it in quotes.")
    truth = one('{"chargehand": 1, "plan": "p", "tasks": [{"id": true, "title": "A"}]}', "p.json")
    assert truth.message == "tasks[0].id: Expected text, found 'true'."
    small_number = one(
        '{"chargehand": 1, "plan": "p", "tasks": [{"id": "a", "title": "A", "limits": {"usd": 1e400}}]}', "p.json"
    )
    assert "Expected an amount" in small_number.message


def test_json_numbers_are_numbers() -> None:
    text = '{"chargehand": 1, "plan": "p", "tasks": [{"id": "a", "title": "A", "wave": 2, "limits": {"usd": 2.5}}]}'
    plan = parse_plan(text, "p.json").plan
    assert plan is not None
    assert (plan.tasks[0].wave, plan.tasks[0].limits.usd) == (2, 2.5)
    assert "add the unit, as in '30s'" in one(text.replace('"usd": 2.5', '"wall": 30'), "p.json").message
    assert "Expected true or false" in one(text.replace('"wave": 2', '"overlay": 1'), "p.json").message
    assert parse_plan(text.replace('"wave": 2', '"overlay": true'), "p.json").plan is not None


def test_words_that_older_yaml_bends_stay_what_they_are() -> None:
    text = small(
        "gates: [{id: g, run: [x], on: [run]}]", "  description: yes\n  acceptance: [no, 1.10, 12:30, 0o17, 010]"
    )
    plan = parse_plan(text, "p.yaml").plan
    assert plan is not None
    assert plan.gates[0].on == {GatePoint.RUN}
    assert plan.tasks[0].description == "yes"
    assert plan.tasks[0].acceptance == ("no", "1.10", "12:30", "0o17", "010")
    assert type(plan.tasks[0].description) is str
    assert all(type(text) is str for text in plan.tasks[0].acceptance)


def test_an_empty_value_is_not_stated() -> None:
    plan = parse_plan(small("goal:\ngates: ~\nenv: null", "  depends_on:\n  files:\n  wave:"), "p.yaml").plan
    assert plan == Plan(plan="p", tasks=(Task(id="a", title="A"),))


@pytest.mark.parametrize("name", ["A-B", "1A", "", "CHARGEHAND_X", "A B"])
def test_names_of_environment_variables_are_checked(name: str) -> None:
    assert one(small(f'env: {{pass: ["{name}"]}}')).code == "bad_value"
    assert one(small(f'env: {{set: {{"{name}": x}}}}')).code == "bad_value"


def test_a_gate_runs_somewhere() -> None:
    assert "at least one" in one(small("gates: [{id: g, run: [x], on: []}]")).message


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "said", "hint"),
    [
        (small("gaol: x"), 3, 1, "The key 'gaol' is unknown.", "Did you mean 'goal'?"),
        (
            small(task="  depnds_on: []"),
            7,
            3,
            "The key 'depnds_on' of tasks[0] is unknown.",
            "Did you mean 'depends_on'?",
        ),
        (small(task="  needs: [x]"), 7, 3, "'needs'", "Did you mean 'depends_on'?"),
        (small(task="  Acceptance-Criteria: [x]"), 7, 3, "'Acceptance-Criteria'", "Did you mean 'acceptance'?"),
        (small(task="  files: {creat: [x]}"), 7, 11, "of tasks[0].files", "Did you mean 'create'?"),
        (small("env: {sets: {}}"), 3, 7, "of env", "Did you mean 'set'?"),
        (small("gates:\n- {id: g, run: x, qqqq: 1}"), 4, 19, "of gates[0]", "Known keys: id, run, on, wall"),
        (small("x: &a {}"), 3, 1, "'x'", "Known keys: chargehand, plan, goal"),
    ],
)
def test_unknown_keys(text: str, line: int, column: int, said: str, hint: str) -> None:
    problem = one(text)
    assert (problem.code, problem.line, problem.column) == ("unknown_key", line, column)
    assert said in problem.message
    assert hint in problem.hint


def test_missing_keys() -> None:
    assert told("plan: p\ntasks: []") == [("missing_key", 1, "The key 'chargehand' is missing.")]
    assert told("chargehand: 1") == [("missing_key", 1, "The key 'plan' is missing.")]
    assert told("chargehand: 1\nplan: p\ntasks:\n- title: x\n- id: y") == [
        ("missing_key", 4, "The key 'id' of tasks[0] is missing."),
        ("missing_key", 5, "The key 'title' of tasks[1] is missing."),
    ]
    assert told(small("gates: [{id: g}]\nsetup: {key: [a]}\nrisks: [{}]"))[0][0] == "missing_key"


def test_another_version_is_refused() -> None:
    problem = one("chargehand: 2\nplan: p\ntasks: [{id: a, title: A}]")
    assert problem.message == (
        "chargehand: This file is written in version 2 of the format; this program reads version 1."
    )
    assert "version of the format" in one("chargehand: one\nplan: p\ntasks: [{id: a, title: A}]").message


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = small("goal: [x]", "  wave: x\n- foo\n- {id: b, title: B, type: x}")
    assert [line for _, line, _ in told(text)] == [3, 7, 8, 9]


def test_a_key_stands_once() -> None:
    assert told(small(task="  title: B\n  title: C")) == [
        ("duplicate_key", 7, "The key 'title' stands here twice; the first is in line 6."),
        ("duplicate_key", 8, "The key 'title' stands here twice; the first is in line 6."),
    ]
    text = '{"chargehand": 1, "plan": "p",\n "tasks": [{"id": "a", "title": "A",\n "title": "B"}], "plan": "q"}'
    assert told(text, "p.json") == [
        ("duplicate_key", 3, "The key 'title' stands here twice; the first is in line 2."),
        ("duplicate_key", 3, "The key 'plan' stands here twice; the first is in line 1."),
    ]


# -- YAML and JSON --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "line", "said"),
    [
        ("a: b: c", "syntax", 1, "not valid YAML: mapping values are not allowed"),
        ("a:\n\t- b", "syntax", 2, "cannot start any token"),
        ("a: [1", "syntax", 1, "not valid YAML"),
        ("- a", "wrong_type", 1, "A plan is a mapping"),
        ("chargehand", "wrong_type", 1, "A plan is a mapping"),
        ("# nothing", "wrong_type", None, "A plan is a mapping"),
        ("a: !!str b", "syntax", 1, "The tag 'tag:yaml.org,2002:str'"),
        ("a: !x {}", "syntax", 1, "The tag '!x'"),
        ("a: !!python/object:os.system [ls]", "syntax", 1, "The tag"),
        ("a: *b", "syntax", 1, "The alias '*b'"),
        ("a: &b [*b]", "syntax", 1, "The alias '*b'"),
        ("a: &b x\nc: &b [*b]", "syntax", 2, "The alias '*b'"),
        ("[a]: b", "syntax", 1, "A key must be plain text."),
        ("? {a: b}\n: c", "syntax", 1, "A key must be plain text."),
        ("a: &a {b: c}\nd:\n  <<: *a", "merge_key", 3, "The merge key '<<' is not read"),
        ("a: {<<: {b: c}}", "merge_key", 1, "The merge key '<<' is not read"),
        ("a: 1\n---\nb: 1", "syntax", 2, "more than one document"),
        ("a: \x07", "syntax", 1, "U+0007"),
        ('a: "\\0"', "syntax", 1, "NUL"),
        ("- " * (MAX_DEPTH + 5), "too_large", 1, "nested deeper"),
        ("[" * 100_000, "too_large", 1, "nested deeper"),
    ],
)
def test_yaml_that_is_not_read(text: str, code: str, line: int | None, said: str) -> None:
    problem = one(text)
    assert (problem.code, problem.line) == (code, line)
    assert said in problem.message


def test_aliases_are_written_out() -> None:
    text = small(
        "allowlist: &list [x, &name y]", "  mandates: *list\n  approach: *name\n  interfaces: {produces: *list}"
    )
    plan = parse_plan(text, "p.yaml").plan
    assert plan is not None
    assert (plan.tasks[0].mandates, plan.tasks[0].approach) == (("x", "y"), "y")


def test_an_alias_may_be_a_key() -> None:
    assert told("a: &k plan\nchargehand: 1\n*k : p\ntasks: []") == [("unknown_key", 1, "The key 'a' is unknown.")]


def test_aliases_do_not_multiply_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    problem = one("\n".join(lines))
    assert (problem.code, problem.line) == ("too_large", 7)


@pytest.mark.parametrize(
    ("text", "code", "line", "said"),
    [
        ('{"a":\n}', "syntax", 2, "not valid JSON: expecting value"),
        ('{"a": NaN}', "syntax", None, "NaN is not a number"),
        ('{"a": 1' + "0" * 5000 + "}", "syntax", None, "not valid JSON"),
        ("[" * 100_000, "too_large", None, "nested too deeply"),
        ("[" * 60 + "]" * 60, "too_large", None, "nested deeper"),
        ('{"a": "\\u0000"}', "syntax", None, "NUL"),
        ('{"\\ud800": 1}', "syntax", None, "surrogate"),
        ("[]", "wrong_type", 1, "A plan is a mapping"),
        ("null", "wrong_type", None, "A plan is a mapping"),
    ],
)
def test_json_that_is_not_read(text: str, code: str, line: int | None, said: str) -> None:
    problem = one(text, "plan.json")
    assert (problem.code, problem.line) == (code, line)
    assert said in problem.message


def test_positions_in_json() -> None:
    text = (
        '{"chargehand": 1, "plan": "p", "gates": [],\n "tasks": [{"id": "a", "title": "A"},\n'
        '  {"id": "b", "title": [],\n "depends_on": ["a", 5], "x\\u0041": {"y": [[1], {}]}}]}'
    )
    loaded = parse_plan(text, "p.json")
    assert [(p.code, p.line, p.column) for p in loaded.problems] == [
        ("wrong_type", 3, 15),
        ("wrong_type", 4, 22),
        ("unknown_key", 4, 26),
    ]


def test_positions_through_an_alias_are_those_of_the_alias() -> None:
    text = small("allowlist: &list [x, [y]]\nallow_red: *list")
    assert [line for _, line, _ in told(text)] == [3, 4]


# -- files ----------------------------------------------------------------------------------------


def test_a_plan_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + FULL.encode().replace(b"\n", b"\r\n"))
    loaded = load_plan(file)
    assert loaded.problems == ()
    assert loaded.source == str(file)
    assert loaded.plan is not None


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, "unreadable", "does not exist"),
        (b"", "empty", "is empty"),
        (b" \n\t\n", "empty", "is empty"),
        (b"a: 1\nb: \xff", "not_utf8", "is not UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, "too_large", "16 MiB"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, code: str, said: str) -> None:
    file = tmp_path / "plan.yaml"
    if content is not None:
        file.write_bytes(content)
    (problem,) = load_plan(file).problems
    assert (problem.code, problem.file) == (code, str(file))
    assert said in problem.message
    assert problem.line == (2 if code == "not_utf8" else None)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    assert "is a folder" in load_plan(tmp_path).problems[0].message
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in load_plan(tmp_path / "pipe").problems[0].message
    assert load_plan("a\0b").problems[0].code == "unreadable"
    assert "cannot be read" in load_plan("/proc/self/mem").problems[0].message
    (tmp_path / "loop").symlink_to("loop")
    assert load_plan(tmp_path / "loop").problems[0].code == "unreadable"


# -- check ----------------------------------------------------------------------------------------


def test_problems_of_the_plan_have_file_and_line() -> None:
    text = small(
        task="  depends_on:\n  - b\n  - nope\n  files: {create: [/x]}\n- {id: b, title: B, depends_on: [a]}\n"
        "- {id: b, title: C}"
    )
    found = check_loaded(parse_plan(text, "some/plan.yaml"), World())
    assert [(p.code, p.file, p.line) for p in found.problems if p.is_error] == [
        ("cycle", "some/plan.yaml", 7),
        ("unknown_dependency", "some/plan.yaml", 9),
        ("unsafe_path", "some/plan.yaml", 10),
        ("duplicate_id", "some/plan.yaml", 12),
    ]


def test_what_could_be_read_is_checked_too() -> None:
    """All problems at once: a wrong key does not hide a cycle, and what is missing is not told twice."""
    text = small("bogus: 1", "  depends_on: [a, zz]\n- {title: B}\n- foo\n- {id: d, title: [x], verify: 5}")
    found = check_loaded(parse_plan(text, "p.yaml"))
    assert [(p.code, p.line) for p in found.problems] == [
        ("unknown_key", 3),
        ("missing_key", 8),
        ("wrong_type", 9),
        ("wrong_type", 10),
        ("wrong_type", 10),
        ("cycle", 7),
        ("unknown_dependency", 7),
    ]


def test_an_unknown_key_does_not_hide_warnings() -> None:
    found = check_loaded(parse_plan(small("bogus: 1"), "p.yaml"))
    assert [p.code for p in found.problems] == ["unknown_key", "no_criteria"]


@pytest.mark.parametrize(
    "extra",
    [
        "gates: [5, {id: g}, {id: h, run: []}]\nrisks: [{}, 5]\nsetup: {run: []}\nenv: {pass: [1A], set: 5}",
        "defaults: 5\nenv: {set: {1A: x}}",
        "gates: {}\nsetup: 5\nallowlist: [[x], y, {}]\nfeatures: {holistic: maybe}",
    ],
)
def test_the_rest_is_checked_whatever_is_wrong(extra: str) -> None:
    found = check_loaded(parse_plan(small(extra, "  depends_on: [zz]"), "p.yaml"))
    assert "unknown_dependency" in [p.code for p in found.problems]


@pytest.mark.parametrize("text", ["chargehand: 1\nplan: [x]\ntasks: 5", "chargehand: x\ntasks: {}", "x: 1"])
def test_a_plan_without_the_required_is_checked_too(text: str) -> None:
    loaded = parse_plan(text, "p.yaml")
    assert loaded.draft is not None
    assert loaded.plan is None
    assert check_loaded(loaded).problems


def test_what_settings_added_has_no_place_in_the_file_of_the_plan() -> None:
    loaded = parse_plan(small("gates: [{id: g, run: [nope]}]"), "p.yaml")
    assert loaded.plan is not None
    more = (GateSpec(id="h", run=Command(argv=("nix",))), GateSpec(id="verify", run=Command(argv=("nope",))))
    setup = SetupSpec(run=Command(argv=("nop",)))
    joined = replace(loaded, plan=replace(loaded.plan, gates=(*loaded.plan.gates, *more), setup=setup))
    found = check_loaded(joined, World())
    assert [(p.code, p.file, p.line) for p in found.problems if p.code in {"missing_program", "bad_id"}] == [
        ("missing_program", "p.yaml", 3),
        ("bad_id", None, None),
        ("missing_program", None, None),
        ("missing_program", None, None),
    ]


def test_ten_thousand_tasks_are_read_and_checked() -> None:
    task = "- id: t{0}\n  title: Task {0}\n  depends_on: [{1}]\n  files: {{create: [src/m{0}.py], test: [t/x{0}.py]}}\n"
    tasks = "".join(task.format(n, f"t{n // 2}" if n else "") for n in range(10_000))
    loaded = parse_plan(f"chargehand: 1\nplan: p\ntasks:\n{tasks}", "p.yaml")
    found = check_loaded(loaded, World())
    assert loaded.plan is not None
    assert len(loaded.plan.tasks) == 10_000
    assert len(found.critical_path) == 15
    assert found.problems[0].line == 3


def test_the_document_of_check() -> None:
    text = small(
        "gates: [{id: g, run: [nope]}]",
        "  files: {modify: [x]}\n- {id: b, title: B, files: {modify: [x]}, acceptance: [y]}",
    )
    loaded = parse_plan(text, "p.yaml")
    document = survey_document(loaded, check_loaded(loaded, World()))
    assert json.loads(json.dumps(document)) == {
        "plan": "p",
        "profile": "house",
        "source": "p.yaml",
        "counts": {"tasks": 2, "dependencies": 0, "gates": 1, "waves": 1},
        "waves": [["a", "b"]],
        "critical_path": ["a"],
        "width": 2,
        "serialised": [{"tasks": ["a", "b"], "because": "may change x"}],
        "inferred": [],
        "errors": [
            {
                "code": "missing_program",
                "message": "The program 'nope' is not on PATH, and neither the plan nor a setup makes it.",
                "file": "p.yaml",
                "line": 3,
                "hint": "Install it, or write the path to it. The command is: nope",
            }
        ],
        "warnings": [
            {
                "code": "no_criteria",
                "task": "a",
                "text": "Task a has neither verify commands nor acceptance criteria.",
                "command": None,
            },
            {
                "code": "serialised",
                "task": "a",
                "text": "Tasks a, b could run together, but both may change x; they will be serialised.",
                "command": None,
            },
        ],
    }


def test_the_document_of_what_could_not_be_read() -> None:
    loaded = parse_plan("a: b: c", "p.yaml")
    document = survey_document(loaded, check_loaded(loaded))
    assert (document["plan"], document["counts"]["tasks"], document["errors"][0]["line"]) == (None, 0, 1)


# -- the writer -----------------------------------------------------------------------------------


def test_a_full_plan_reads_back() -> None:
    plan = parse_plan(FULL, "plan.yaml").plan
    assert plan is not None
    assert parse_plan(dump_native(plan), "plan.yaml").plan == plan


def test_inferred_order_becomes_a_comment() -> None:
    plan = Plan(plan="p", tasks=(Task(id="a", title="A"),), inferred=("b after a:\n document order",))
    text = dump_native(plan)
    assert text.startswith("# inferred: b after a: document order\n")
    assert parse_plan(text, "p.yaml").plan == Plan(plan="p", tasks=plan.tasks)


@pytest.mark.parametrize(
    "defaults", [Defaults(agent="x"), Defaults(limits=Limits(tokens=5)), Defaults(limits=Limits(wall_s=5))]
)
def test_a_plan_that_cannot_be_written_is_refused(defaults: Defaults) -> None:
    with pytest.raises(ValueError, match=r"Task a: .* cannot be written as unset"):
        dump_native(Plan(plan="p", tasks=(Task(id="a", title="A"),), defaults=defaults))


# -- the schema -----------------------------------------------------------------------------------

KEYS = {
    "": "chargehand plan goal profile barrier success_criteria risks features setup env allowlist allow_red defaults "
    "gates tasks",
    "RiskModel": "risk mitigation",
    "FeaturesModel": "code_review holistic",
    "SetupModel": "run key keep",
    "EnvModel": "pass set",
    "DefaultsModel": "agent reviewer model weight mode limits",
    "LimitsModel": "wall idle tokens usd",
    "GateModel": "id run on wall idle fix junit",
    "FilesModel": "create modify test read",
    "InterfacesModel": "consumes produces",
    "TaskModel": "id title description approach depends_on wave files scope acceptance verify interfaces type weight "
    "complexity needs_human allow_empty allow_test_changes overlay mandates agent model reviewer limits mode",
}


def test_the_schema_has_every_key_with_a_description() -> None:
    schema = plan_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for name, keys in KEYS.items():
        part = schema["$defs"][name] if name else schema
        assert set(part["properties"]) == set(keys.split())
        assert part["additionalProperties"] is False
        assert all(entry.get("description") for entry in part["properties"].values())
    assert schema["required"] == ["chargehand", "plan"]
    assert schema["$defs"]["TaskModel"]["required"] == ["id", "title"]


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Enough of JSON Schema to hold a plan against its own."""
    if "$ref" in schema:
        schema = {
            **root["$defs"][schema["$ref"].rpartition("/")[2]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    if "anyOf" in schema and not any(fits(value, part, root) for part in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    kind = schema.get("type")
    if kind == "null":
        return value is None
    if kind and not isinstance(value, kinds[kind]):
        return False
    if isinstance(value, dict) and "properties" in schema:
        known = all(key in schema["properties"] for key in value)
        there = all(key in value for key in schema.get("required", ()))
        return known and there and all(fits(part, schema["properties"][key], root) for key, part in value.items())
    if isinstance(value, list):
        return all(fits(part, schema.get("items", {}), root) for part in value)
    return True


def test_a_plan_fits_its_schema() -> None:
    plan = parse_plan(FULL, "plan.yaml").plan
    assert plan is not None
    document = native_document(plan)
    schema = plan_schema()
    assert fits(document, schema, schema)
    assert not fits({**document, "goal": 5}, schema, schema)
    assert not fits({**document, "bogus": 5}, schema, schema)
    assert not fits({"plan": "p"}, schema, schema)


# -- which plan -----------------------------------------------------------------------------------


class OtherReader:
    """Another system's reader, as small as can be."""

    name = "other"
    wants = "it begins with 'other'"
    places = ("OTHER.md", ".other")

    def claims(self, path: Path, text: str | None) -> bool:
        return path.name == ".other" if text is None else text.startswith(("other", "chargehand: 1 # other"))

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:
        return LoadedPlan(source=source, reader=self.name, counts={"seen": 1})


READERS = (NativeReader(), OtherReader())


def refused(path: Path | None, root: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        find_plan(path, root, READERS)
    return caught.value


def test_a_file_is_read_by_whoever_knows_its_content(tmp_path: Path) -> None:
    native, other = tmp_path / "x.yml", tmp_path / "plan.txt"
    native.write_text(small())
    other.write_text("other")
    assert read_plan(native, tmp_path, READERS).plan is not None
    assert read_plan(other, tmp_path, READERS).counts == {"seen": 1}
    assert refused(_write(tmp_path / "z.md", "hello"), tmp_path).code == "unknown_format"
    assert refused(_write(tmp_path / "z.yaml", "a: 1"), tmp_path).code == "unknown_format"
    both = refused(_write(tmp_path / "both.yaml", "chargehand: 1 # other"), tmp_path)
    assert (both.code, both.message.count("both.yaml")) == ("ambiguous_plan", 2)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_broken_or_missing_file_is_told_as_such(tmp_path: Path) -> None:
    broken = read_plan(_write(tmp_path / "p.yaml", "chargehand: 1\na: b: c"), tmp_path)
    assert broken.problems[0].code == "syntax"
    nameless = read_plan(_write(tmp_path / "q.yaml", "a: b: c"), tmp_path)
    assert (nameless.problems[0].code, nameless.problems[0].line) == ("syntax", 1)
    missing = read_plan(tmp_path / "nope.yaml", tmp_path)
    assert (missing.problems[0].code, missing.problems[0].file) == ("unreadable", str(tmp_path / "nope.yaml"))


def test_without_a_name_the_known_places_are_looked_at(tmp_path: Path) -> None:
    assert refused(None, tmp_path).code == "no_plan"
    _write(tmp_path / "plan.yaml", "kind: Deployment")
    _write(tmp_path / "chargehand.yaml", "\xff" * 3)
    assert refused(None, tmp_path).code == "no_plan"
    _write(tmp_path / ".chargehand" / "plan.json", '{\n "chargehand": 1, "plan": "p", "tasks": []}')
    assert find_plan(None, tmp_path, READERS).path == tmp_path / ".chargehand" / "plan.json"
    (tmp_path / ".other").mkdir()
    both = refused(None, tmp_path)
    assert both.code == "ambiguous_plan"
    assert "(native)" in both.message
    assert "(other)" in both.message


def test_a_folder_is_looked_into(tmp_path: Path) -> None:
    assert refused(tmp_path, tmp_path).code == "no_plan"
    _write(tmp_path / "plans" / "a.yaml", small())
    _write(tmp_path / "plans" / "b.yaml", "x: 1")
    _write(tmp_path / "plans" / "c.txt", small())
    assert find_plan(tmp_path / "plans", tmp_path, READERS).path.name == "a.yaml"
    _write(tmp_path / "plans" / "d.json", json.dumps({"chargehand": 1}))
    assert refused(tmp_path / "plans", tmp_path).code == "ambiguous_plan"
    _write(tmp_path / "plans" / "plan.yaml", small())
    assert find_plan(tmp_path / "plans", tmp_path, READERS).path.name == "plan.yaml"
    (tmp_path / ".other").mkdir()
    assert find_plan(tmp_path / ".other", tmp_path, READERS).reader.name == "other"


def test_a_folder_of_another_system_is_read_by_its_reader(tmp_path: Path) -> None:
    found = FoundPlan(path=tmp_path, source="x", reader=OtherReader())
    assert found.read().reader == "other"


def test_a_plan_that_was_not_read_from_text_has_no_lines() -> None:
    loaded = LoadedPlan(source="x")
    assert loaded.placed([Problem(code="c", message="m.")]) == (Problem(code="c", message="m.", file="x"),)
