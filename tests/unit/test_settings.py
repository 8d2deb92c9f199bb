"""Settings: sources in their order, where each value came from, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.plan import (
    Barrier,
    Command,
    Defaults,
    EnvSpec,
    Features,
    GatePoint,
    GateSpec,
    Limits,
    Mode,
    Plan,
    SetupSpec,
    Task,
    Weight,
)
from chargehand.domain.problem import Problem
from chargehand.plans.loaded import Stated
from chargehand.plans.native import parse_plan
from chargehand.settings import (
    OPTIONS,
    Commands,
    Notify,
    Rank,
    Sandbox,
    Settings,
    SettingsInvalid,
    load_settings,
    merge_into,
)
from chargehand.settings.lines import line_of, toml_lines
from chargehand.settings.options import option_for, split_key

HOME = {"HOME": "/no/such/home"}

FULL = """\
jobs = 8
agent = "claude"
reviewer = "codex"
profile = "sendit"
barrier = "wave"
unattended = true
accept = true
state_dir = "state"
rescue_days = 7

[defaults]
agent = "other"
model = "m"
weight = "light"
mode = "sequential"
limits = { wall = "10m", idle = "1m", tokens = 5, usd = 1.5 }

[[gates]]
id = "lint"
run = ["ruff", "check"]
on = ["task"]

[[gates]]
id = "tests"
run = "pytest -q"

[setup]
run = ["pip", "install"]
key = ["requirements.txt"]
keep = [".venv"]

[env]
pass = ["A", "B"]
[env.set]
X = "1"

[features]
code_review = false
holistic = true

[commands]
build = "make"
test = ["make", "test"]

[sandbox]
kind = "bwrap"
read = ["/opt"]
write = ["/cache"]
network = "none"

[agents.claude]
kind = "scripted"
command = "python 'my agent.py'"
model = "big"
jobs = 2
fallback = "gpt-5.1"
args = ["--effort", "high"]
key = "env:MY_KEY"
base_url = "https://models.example/api/"
meter = false
turns = 40
home = "persistent"
project_config = true
login = "~"
[agents."gpt-5.1"]
command = "x"

[caps]
task_attempts = 3
run_wall = "1h"
attempt_wall = "1m"
attempt_idle = "2m"
gate_wall = "3m"
setup_wall = "4m"
task_tokens = "none"
run_tokens = 10
task_usd = 2
run_usd = "none"
brief_tokens = 100
output_bytes = 1000
disk_bytes = 2000
report_grace = "5s"

[notify]
bell = true
desktop = true
webhook = "env:HOOK"
"""


METER = ("meter.prices", "meter.record", "meter.replay")


def project(folder: Path, text: str, name: str = "chargehand.toml") -> Path:
    (folder / name).write_text(text)
    return folder


def mine(folder: Path, text: str) -> dict[str, str]:
    """An environment whose user's file says this."""
    file = folder / "xdg" / "chargehand" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {**HOME, "HOOK": "https://x", "XDG_CONFIG_HOME": str(folder / "xdg")}


def load(folder: Path | None = None, **more: Any) -> Settings:
    return load_settings(folder, more.pop("env", HOME), more.pop("sets", ()), more.pop("flags", {}), **more)


def problems(folder: Path | None = None, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        load(folder, **more)
    return caught.value.problems


def test_without_any_source_there_are_defaults(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found == Settings(values=found.values)
    assert found.caps == Caps()
    assert {row[2] for row in found.explain()} == {"default"}
    assert ("caps.run_wall", "12h", "default") in found.explain()
    assert load(None).jobs == 4


def test_every_option_of_a_file(tmp_path: Path) -> None:
    found = load(tmp_path, env=mine(tmp_path, FULL), cwd=Path("/here"))
    assert found == Settings(
        jobs=8,
        agent="claude",
        reviewer="codex",
        profile="sendit",
        barrier=Barrier.WAVE,
        unattended=True,
        accept=True,
        state_dir=tmp_path / "state",
        rescue_days=7,
        defaults=found.defaults,
        code_review=False,
        holistic=True,
        gates=(
            GateSpec(id="lint", run=Command(argv=("ruff", "check")), on=frozenset({GatePoint.TASK})),
            GateSpec(id="tests", run=Command(argv=("pytest -q",), shell=True)),
        ),
        setup=SetupSpec(run=Command(argv=("pip", "install")), key=("requirements.txt",), keep=(".venv",)),
        env=EnvSpec(passed=("A", "B"), values=(("X", "1"),)),
        commands=Commands(build=Command(argv=("make",), shell=True), test=Command(argv=("make", "test"))),
        sandbox=Sandbox(kind="bwrap", read=("/opt",), write=("/cache",), network="none"),
        agents=(
            AgentDef(
                name="claude",
                kind="scripted",
                command="python 'my agent.py'",
                cwd="/here",
                model="big",
                jobs=2,
                fallback="gpt-5.1",
                args=("--effort", "high"),
                key="env:MY_KEY",
                base_url="https://models.example/api",
                meter=False,
                turns=40,
                home="persistent",
                project_config=True,
                login=HOME["HOME"],
            ),
            AgentDef(name="gpt-5.1", kind="command", command="x", cwd="/here"),
        ),
        caps=Caps(
            task_attempts=3,
            run_wall_s=3600,
            attempt_wall_s=60,
            attempt_idle_s=120,
            gate_wall_s=180,
            setup_wall_s=240,
            task_tokens=None,
            run_tokens=10,
            task_usd=2,
            run_usd=None,
            brief_tokens=100,
            output_bytes=1000,
            disk_bytes=2000,
            report_grace_s=5,
        ),
        notify=Notify(bell=True, desktop=True, webhook="https://x"),
        values=found.values,
    )
    assert found.defaults.limits == Limits(wall_s=600, idle_s=60, tokens=5, usd=1.5)
    assert (found.defaults.agent, found.defaults.weight, found.defaults.mode) == (
        "other",
        Weight.LIGHT,
        Mode.SEQUENTIAL,
    )


def test_every_value_says_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "xdg" / "chargehand" / "config.toml"
    rows = {key: (value, source) for key, value, source in load(tmp_path, env=mine(tmp_path, FULL)).explain()}
    assert rows["jobs"] == ("8", f"{file}:1")
    assert rows["unattended"] == ("true", f"{file}:6")
    assert rows["defaults.limits.usd"] == ("1.5", f"{file}:16")
    assert rows["gates"] == ("[lint, tests]", f"{file}:18")
    assert rows["env.set.X"] == ("1", f"{file}:35")
    assert rows["agents.gpt-5.1.command"] == ("x", f"{file}:66")
    assert rows["notify.webhook"] == ("env:HOOK", f"{file}:87")
    assert list(rows)[:2] == ["jobs", "agent"]
    exotic = [option.key for option in OPTIONS if "*" not in option.key and option.key not in rows]
    assert exotic == [
        "agent_command",
        "reviewer_command",
        "defaults.reviewer",
        *METER,
        "caps.task_retries",
        "notify.command",
    ]


def test_sources_in_rising_order(tmp_path: Path) -> None:
    config = tmp_path / "xdg"
    (config / "chargehand").mkdir(parents=True)
    (config / "chargehand" / "config.toml").write_text("jobs = 2\nagent = 'user'\nreviewer = 'user'\n")
    project(tmp_path, "jobs = 3\nagent = 'project'\n")
    env = {**HOME, "XDG_CONFIG_HOME": str(config)}
    found = load(tmp_path, env=env)
    assert (found.jobs, found.agent, found.reviewer) == (3, "project", "user")
    assert (found.rank("jobs"), found.rank("reviewer"), found.rank("nope")) == (Rank.PROJECT, Rank.USER, Rank.BUILT_IN)
    env["CHARGEHAND_JOBS"] = "4"
    assert load(tmp_path, env=env).jobs == 4
    assert load(tmp_path, env=env, sets=["jobs=5"]).jobs == 5
    found = load(tmp_path, env=env, sets=["jobs=5"], flags={"jobs": 6, "agent": None, "state_dir": "s"}, cwd=tmp_path)
    assert (found.jobs, found.agent, found.state_dir) == (6, "project", tmp_path / "s")
    assert found.values["jobs"].source == "--jobs"


def test_the_user_file_is_below_home_too(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "chargehand"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("jobs = 9\nstate_dir = '~/x'\n")
    found = load(env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"})
    assert (found.jobs, found.state_dir) == (9, tmp_path / "x")
    assert load(env={}, cwd=tmp_path, sets=["state_dir=~/x"]).state_dir == tmp_path / "~/x"


def test_the_project_file_may_be_pyproject(tmp_path: Path) -> None:
    text = "[tool.chargehand]\njobs = 'many'\n[tool.chargehand.caps]\nrun_wall = '1h'\n"
    (problem,) = problems(project(tmp_path, text, "pyproject.toml"))
    assert (problem.file, problem.line) == (str(tmp_path / "pyproject.toml"), 2)
    project(tmp_path, text.replace("'many'", "3"), "pyproject.toml")
    assert (load(tmp_path).jobs, load(tmp_path).caps.run_wall_s) == (3, 3600)
    project(tmp_path, "[tool.other\n", "pyproject.toml")
    assert load(tmp_path).jobs == 4
    project(tmp_path, "[tool.chargehand]\n[[", "pyproject.toml")
    assert problems(tmp_path)[0].code == "syntax"


def test_two_project_files_are_refused(tmp_path: Path) -> None:
    project(tmp_path, "jobs = 1")
    project(tmp_path, "[tool.chargehand]\n", "pyproject.toml")
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert caught.value.code == "two_project_files"
    assert "pyproject.toml" in caught.value.message
    assert "chargehand.toml" in caught.value.message


# -- text -----------------------------------------------------------------------------------------


def test_values_from_text() -> None:
    found = load(
        env={
            **HOME,
            "CHARGEHAND_CAPS_RUN_WALL": "3h",
            "CHARGEHAND_ENV_PASS": "A, B,",
            "CHARGEHAND_COMMANDS_TEST": "make",
        },
        sets=[
            "sandbox.read=/a,/b",
            'sandbox.write=["/c,d"]',
            'commands.build=["a", "b c"]',
            "agents.gpt-5.1.model = m",
            "env.set.X=a=b",
            "caps.task_usd=none",
            "features.code_review=false",
            "defaults.weight=light",
        ],
        flags={"env.pass": ("C",), "sandbox.kind": "none", "accept": True},
    )
    assert found.caps.run_wall_s == 10800
    assert found.caps.task_usd is None
    assert found.env == EnvSpec(passed=("C",), values=(("X", "a=b"),))
    assert found.sandbox == Sandbox(kind="none", read=("/a", "/b"), write=("/c,d",))
    assert found.commands == Commands(build=Command(argv=("a", "b c")), test=Command(argv=("make",), shell=True))
    assert [(agent.name, agent.model) for agent in found.agents] == [("gpt-5.1", "m")]
    assert (found.code_review, found.accept, found.defaults.weight) == (False, True, Weight.LIGHT)


def test_what_an_attempt_finds_in_its_environment_is_no_setting() -> None:
    env = {**HOME, "CHARGEHAND_TASK": "a", "CHARGEHAND_JOB": "4", "CHARGEHAND_MY_OWN_THING_ENTIRELY": "x"}
    (warning,) = load(env=env).warnings
    assert not warning.is_error
    assert "CHARGEHAND_JOB is no setting" in warning.message
    assert warning.hint == "Did you mean 'CHARGEHAND_JOBS'?"


def test_names_of_options() -> None:
    assert len({option.key for option in OPTIONS}) == len(OPTIONS)
    names = [option.env for option in OPTIONS if option.env]
    assert len(set(names)) == len(names)
    by_key = {option.key: option for option in OPTIONS}
    assert by_key["caps.run_wall"].env == "CHARGEHAND_CAPS_RUN_WALL"
    assert by_key["gates"].env == ""
    assert by_key["agents.*.model"].env == ""
    assert all(option.help.endswith(".") for option in OPTIONS)
    assert {f"caps.{name.removesuffix('_s')}" for name in Caps.__dataclass_fields__} == {
        key for key in by_key if key.startswith("caps.")
    }
    assert split_key("agents.a.b.model") == ("agents", "a.b", "model")
    assert split_key("env.set.A.B") == ("env", "set", "A.B")
    assert option_for(("agents", "a")) is None


# -- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "code", "said", "hint"),
    [
        ("\njob = 1", 2, "unknown_key", "The setting 'job' is unknown.", "Did you mean 'jobs'?"),
        ("[cap]\nx = 1", 2, "unknown_key", "'cap.x'", ""),
        ("[zzz]", 1, "unknown_key", "'zzz'", "'chargehand config'"),
        ("[agents.a]\ncomand = 'x'", 2, "unknown_key", "'agents.a.comand'", "Did you mean 'agents.a.command'?"),
        ("agents = 5", 1, "unknown_key", "'agents'", ""),
        ("[agents]\na = 5", 2, "unknown_key", "'agents.a'", ""),
        ("jobs = 'x'", 1, "bad_setting", "jobs: Expected a whole number from 1, found 'x'.", ""),
        ("jobs = 0", 1, "bad_setting", "found the number 0", ""),
        ("unattended = 1", 1, "bad_setting", "Expected true or false", ""),
        ("profile = 'hous'", 1, "bad_setting", "Expected one of house", "Did you mean 'house'?"),
        ("[caps]\nrun_wall = 30", 2, "bad_setting", "add the unit", ""),
        ("[caps]\ntask_usd = 'x'", 2, "bad_setting", "Expected an amount in US dollars", ""),
        ("[caps]\ntask_usd = -1", 2, "bad_setting", "Expected an amount in US dollars", ""),
        ("[sandbox]\nread = 'x'", 2, "bad_setting", "Expected a list, found 'x'.", "brackets"),
        ("[sandbox]\nread = [1]", 2, "bad_setting", "Expected text", ""),
        ("[gates]\nid = 'x'", 1, "bad_setting", "gates: Expected a list, found a mapping.", ""),
        ("[[gates]]\nid = 'x'", 1, "bad_setting", "The key 'run' of gates[0] is missing.", ""),
        (
            "[[gates]]\nid = 'x'\nrun = 'y'\n[[gates]]\nid = 'z'\nrun = 'y'\nonn = []",
            7,
            "bad_setting",
            "The key 'onn' of gates[1] is unknown.",
            "Did you mean 'on'?",
        ),
        ("[[gates]]\nid = 'x'\nrun = 'y'\n[[gates]]\nid = 'x'\nrun = 'y'", 1, "bad_setting", "used twice", "Rename"),
        (
            "[agents.a]\nargs = ['ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaa']",
            2,
            "bad_setting",
            "looks like a secret",
            "env:NAME",
        ),
        ("[agents.a]\nhome = 'mine'", 2, "bad_setting", "agents.a.home", ""),
        ("[setup]\nkey = ['x']", 2, "bad_setting", "setup.key is set, but setup.run is not.", "Name the command"),
        ("[setup]\n\nkeep = ['x']", 3, "bad_setting", "setup.keep is set", ""),
        ("[env]\npass = ['1']", 2, "bad_setting", "name of an environment variable", ""),
        ("[env.set]\n'A B' = 'x'", 2, "bad_setting", "name of an environment variable", ""),
        (
            "[env]\nset = { K = 'ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaa' }",
            2,
            "bad_setting",
            "looks like a secret",
            "env.pass",
        ),
        ("[env.set]\nMY_TOKEN = 'abcdefghijklmnop1234'", 2, "bad_setting", "looks like a secret", "env.pass"),
        ("[env.set]\nX = 1", 2, "bad_setting", "Expected text", "quotes"),
        ("[agents.a]\ncommand = 'x --key sk-ant-aaaaaaaaaaaaaaaaaaaaaaaa'", 2, "bad_setting", "secret", "env.pass"),
        ("[notify]\nwebhook = 'https://h/s3cret'", 2, "bad_setting", "notify.webhook is a URL, which is", "env:NAME"),
        ("[notify]\nwebhook = 'env:HOME'", 2, "bad_setting", "begins with https://", ""),
        ("[notify]\ncommand = 'x'", 2, "bad_setting", "outside the sandbox", "your own settings file"),
        ("[commands]\ntest = ['x', \"a\\u0000\"]", 2, "bad_setting", "NUL", "Remove it."),
        ("a = ", 1, "syntax", "This is not valid TOML: Invalid value.", ""),
        ("jobs = 1\njobs = 2", 2, "syntax", "not valid TOML", ""),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, line: int, code: str, said: str, hint: str) -> None:
    (problem,) = problems(project(tmp_path, text))
    assert (problem.file, problem.line, problem.code) == (str(tmp_path / "chargehand.toml"), line, code)
    assert said in problem.message
    assert hint in problem.hint


def test_what_looks_like_a_name_of_a_secret_may_be_harmless(tmp_path: Path) -> None:
    text = "[env.set]\nSORT_KEY = 'name'\nKEY_PATH = '/etc/keys/some/where.pem'\nSSH_KEY = '/etc/keys/some/where.pem'"
    assert len(load(project(tmp_path, text)).env.values) == 3


def test_empty_tables_and_files_are_fine(tmp_path: Path) -> None:
    assert load(project(tmp_path, "[env]\n[agents.a]\n[caps]\n")).jobs == 4
    assert load(project(tmp_path, "")).jobs == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sets": ["jobs"]}, "--set 'jobs' has no '='."),
        ({"sets": ["gates=x"]}, "--set gates: gates: It can only be set in a file."),
        ({"sets": ["nope=x"]}, "--set nope: The setting 'nope' is unknown."),
        ({"sets": ["jobs=x"]}, "--set jobs: jobs: Expected a whole number"),
        ({"sets": ["sandbox.read=[x"]}, "--set sandbox.read: sandbox.read: It begins with '['"),
        ({"sets": ["agents.a.key=abc"]}, "--set agents.a.key: agents.a.key is no reference to a variable."),
        ({"sets": ["agents.a.key=env:A B"]}, "agents.a.key is no reference to a variable."),
        ({"sets": ["setup.key=a"]}, "--set setup.key: setup.key is set"),
        ({"env": {"CHARGEHAND_JOBS": "x"}}, "environment CHARGEHAND_JOBS: jobs: Expected"),
        ({"flags": {"jobs": "x"}}, "--jobs: jobs: Expected"),
        ({"flags": {"nope": 1}}, "--nope: The setting 'nope' is unknown."),
        ({"flags": {"rescue_days": -1}}, "--rescue_days: rescue_days: Expected a whole number from 0"),
    ],
)
def test_mistakes_elsewhere(more: dict[str, Any], said: str) -> None:
    (problem,) = problems(**more)
    assert problem.file is None
    assert said in problem.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load(project(tmp_path, "jobs = 0\njobz = 1\n"), sets=["x"])
    assert len(caught.value.problems) == 3
    assert caught.value.message.endswith("found the number 0. (2 more problems with the settings.)")
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "chargehand.toml"), 1)
    with pytest.raises(SettingsInvalid, match=r"\(1 more problem with the settings\.\)"):
        load(sets=["x", "y"])


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "chargehand.toml").write_bytes(b"a = '\xff'")
    assert problems(tmp_path)[0].code == "not_utf8"
    (tmp_path / "chargehand.toml").unlink()
    (tmp_path / "chargehand.toml").mkdir()
    assert problems(tmp_path)[0].code == "unreadable"


def test_a_file_nested_without_end_is_told(tmp_path: Path) -> None:
    (problem,) = problems(project(tmp_path, "a = " + "[" * 100_000))
    assert problem.code == "syntax"


@settings(max_examples=200, deadline=None)
@given(text=st.text("jobs=[]{}\"'#.\n 1ax", max_size=40))
def test_any_file_gives_settings_or_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = project(tmp_path_factory.mktemp("p"), text)
    with suppress(SettingsInvalid):
        load(folder)


# -- lines ----------------------------------------------------------------------------------------


def test_lines_of_toml() -> None:
    text = '''\
a.b = 1 # x = 2
"c d" = """
no = 1
"""
list = [
  "x = 1",
  { y = 2 },
]
[t]
'q.r' = [[1], [2]]
[[t.u]]
v = 1
[[t.u]]
[t.u.w]
x = 'y"'
z = 1
'''
    lines = toml_lines(text)
    assert lines == {
        ("a", "b"): 1,
        ("c d",): 2,
        ("list",): 5,
        ("t",): 9,
        ("t", "q.r"): 10,
        ("t", "u", 0): 11,
        ("t", "u", 0, "v"): 12,
        ("t", "u", 1): 13,
        ("t", "u", 1, "w"): 14,
        ("t", "u", 1, "w", "x"): 15,
        ("t", "u", 1, "w", "z"): 16,
    }
    assert line_of(lines, ("t", "u", 1, "w", "x", "deep")) == 15
    assert line_of(lines, ("zzz",)) is None


# -- with a plan ----------------------------------------------------------------------------------


PLAN = """\
chargehand: 1
plan: p
barrier: none
features: {holistic: true}
env: {pass: [A], set: {X: plan}}
defaults: {agent: planned, limits: {wall: 1m}}
gates: [{id: lint, run: [mine]}]
tasks:
- {id: a, title: A}
- {id: b, title: B, agent: own, weight: full, limits: {tokens: 7}}
"""


def merged(folder: Path | None = None, text: str = PLAN, **more: Any) -> Plan:
    loaded = parse_plan(text, "p.yaml")
    assert loaded.plan is not None
    return merge_into(loaded.plan, load(folder, **more), loaded.stated)


def test_without_settings_the_plan_stays(tmp_path: Path) -> None:
    assert merged() == parse_plan(PLAN, "p.yaml").plan


def test_files_fill_in_what_the_plan_does_not_say(tmp_path: Path) -> None:
    plan = merged(tmp_path, env=mine(tmp_path, FULL))
    assert (plan.profile, plan.barrier) == ("sendit", Barrier.NONE)
    assert plan.features == Features(code_review=False, holistic=True)
    assert plan.setup == SetupSpec(run=Command(argv=("pip", "install")), key=("requirements.txt",), keep=(".venv",))
    assert plan.env == EnvSpec(passed=("A", "B"), values=(("X", "plan"),))
    assert [(gate.id, gate.run.text) for gate in plan.gates] == [("lint", "mine"), ("tests", "pytest -q")]
    assert plan.defaults == Defaults(
        agent="planned",
        reviewer="codex",
        model="m",
        weight=Weight.LIGHT,
        mode=Mode.SEQUENTIAL,
        limits=Limits(wall_s=60, idle_s=60, tokens=5, usd=1.5),
    )
    a, b = plan.tasks
    assert (a.agent, a.reviewer, a.model, a.weight, a.mode) == ("planned", "codex", "m", Weight.LIGHT, Mode.SEQUENTIAL)
    assert a.limits == plan.defaults.limits
    assert (b.agent, b.weight, b.mode) == ("own", Weight.FULL, Mode.SEQUENTIAL)
    assert b.limits == Limits(wall_s=60, idle_s=60, tokens=7, usd=1.5)


def test_flags_and_environment_go_before_what_a_plan_says_for_all_its_tasks() -> None:
    plan = merged(
        env={**HOME, "CHARGEHAND_BARRIER": "wave", "CHARGEHAND_FEATURES_HOLISTIC": "false"},
        sets=["defaults.limits.wall=2m"],
        flags={"agent": "flagged", "defaults.weight": "light"},
    )
    assert (plan.barrier, plan.features.holistic) == (Barrier.WAVE, False)
    assert (plan.defaults.agent, plan.defaults.limits.wall_s) == ("flagged", 120)
    assert [(task.agent, task.weight) for task in plan.tasks] == [("flagged", Weight.LIGHT), ("own", Weight.FULL)]


def test_defaults_name_an_agent_where_the_top_level_names_none(tmp_path: Path) -> None:
    project(tmp_path, "[defaults]\nagent = 'd'\n")
    assert load(tmp_path).agent == "d"
    plain = Plan(plan="p", tasks=(Task(id="a", title="A"),))
    assert merge_into(plain, load(tmp_path), Stated()).tasks[0].agent == "d"


# -- notifications ----------------------------------------------------------------------------------


def test_a_webhook_whose_variable_is_not_set_is_a_warning(tmp_path: Path) -> None:
    """A shared file must not stop those who have no such variable."""
    found = load(project(tmp_path, "[notify]\nwebhook = 'env:NOPE'"))
    assert found.notify.webhook is None
    (warning,) = found.warnings
    assert (warning.code, warning.line) == ("unset_variable", 2)
    assert "NOPE" in warning.message


def test_the_url_of_a_webhook_is_never_shown(tmp_path: Path) -> None:
    """7.3: wherever it came from, neither `config` nor an error nor a dump of the settings has it."""
    for name, env in (
        ("env:HOOK", {"HOOK": "https://h/s3cret", "CHARGEHAND_NOTIFY_WEBHOOK": "env:HOOK"}),
        ("[hidden]", {"CHARGEHAND_NOTIFY_WEBHOOK": "https://h/s3cret"}),
    ):
        found = load(tmp_path, env={**HOME, **env})
        assert found.notify.webhook == "https://h/s3cret"
        assert ("notify.webhook", name, "environment CHARGEHAND_NOTIFY_WEBHOOK") in found.explain()
        assert "s3cret" not in repr(found)
    (problem,) = problems(tmp_path, sets=["notify.webhook=https://h/s3cret"])
    assert "secret" in problem.message
    assert "s3cret" not in repr(problem)


@pytest.mark.parametrize(
    ("text", "argv"), [("tell 'a b' $X", ("tell", "a b", "$X")), ('["tell", "a b"]', ("tell", "a b"))]
)
def test_the_command_of_notify_is_split_without_a_shell(tmp_path: Path, text: str, argv: tuple[str, ...]) -> None:
    assert load(tmp_path, sets=[f"notify.command={text}"]).notify.command == Command(argv=argv)
    (problem,) = problems(tmp_path, sets=["notify.command=tell 'a"])
    assert "cannot be split" in problem.message


def test_your_own_file_may_name_the_command_of_notify(tmp_path: Path) -> None:
    (tmp_path / "chargehand").mkdir()
    (tmp_path / "chargehand/config.toml").write_text("[notify]\ncommand = ['tell']")
    assert load(None, env={"XDG_CONFIG_HOME": str(tmp_path)}).notify.command == Command(argv=("tell",))


def test_what_the_command_of_notify_finds_is_no_misspelt_setting(tmp_path: Path) -> None:
    names = ("NOTICE", "RUN", "TASK", "DECISION", "TITLE")
    assert load(tmp_path, env={**HOME, **{f"CHARGEHAND_{name}": "x" for name in names}}).warnings == ()


def test_the_files_of_the_meter(tmp_path: Path) -> None:
    """A cassette says what providers say, or takes it in: whoever brings a repository along names none."""
    given = {**HOME, "CHARGEHAND_METER_RECORD": "~/tape", "CHARGEHAND_METER_PRICES": "~/prices.json"}
    found = load(tmp_path, env=given).meter
    home = Path(HOME["HOME"])
    assert (found.prices, found.record, found.replay) == (home / "prices.json", home / "tape", None)
    (problem,) = problems(tmp_path, sets=["meter.record=a", "meter.replay=b"])
    assert "both set" in problem.message
    for name in ("record", "replay", "prices"):
        project(tmp_path, f"[meter]\n{name} = 'tape'")
        (problem,) = problems(tmp_path)
        assert (problem.line, "cannot be set by a project's file" in problem.message) == (2, True)
        assert f"CHARGEHAND_METER_{name.upper()}" in problem.hint
