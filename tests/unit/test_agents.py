"""Agents: how command lines are read, what is missing, and kinds from other packages."""

import json
import sys
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from chargehand.adapters.agents import GROUP, agent_kinds, make_agent
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Role
from chargehand.ports import Agent, AttemptSpec, Launch, Places

SPEC = AttemptSpec(
    key="a/1/attempt",
    run="r",
    task="a",
    attempt=1,
    role=Role.IMPLEMENTER,
    base="0" * 40,
    title="t",
    brief="Dö it.",
    agent="x",
)


@pytest.fixture
def places(tmp_path):
    return Places(**{name: tmp_path / name for name in ("workspace", "home", "tmp", "scratch", "brief", "result")})


def command(text: str, cwd: str = "/started/here") -> Agent:
    return make_agent(AgentDef(name="x", kind="command", command=text, cwd=cwd))


# -- command --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("claude -p", ("claude", "-p")),
        ("a 'b c' \"d e\" f\\ g", ("a", "b c", "d e", "f g")),
        ("a $HOME ~ *.py `x` $(y) | z && w > v; u # t", None),
        ("./agent.sh ./x", ("/started/here/./agent.sh", "./x")),
        ("tools/agent", ("/started/here/tools/agent",)),
        ("../agent", ("/started/here/../agent",)),
        ("/opt/agent x", ("/opt/agent", "x")),
        ("'/opt/my agent'", ("/opt/my agent",)),
        ("agent ''", ("agent", "")),
    ],
)
def test_command_lines(places, text, argv):
    """POSIX words and nothing else: no shell, no variables, no patterns (SPEC 3.5)."""
    launch = command(text).launch(SPEC, places)
    assert launch.argv == (argv or tuple(text.split()))
    assert launch.stdin == "Dö it.".encode()
    assert dict(launch.env) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no command"), ("  ", "no command"), ("''", "no command"), ("a 'b", "cannot be split"), ("a\0b", "NUL")],
)
def test_command_lines_that_cannot_be(text, said):
    with pytest.raises(UserError, match=said):
        command(text)


LOOKING = replace(SPEC, role=Role.SPEC_REVIEWER, commit="1" * 40)


def test_whoever_only_looks_gets_no_tools_to_write_files(places):
    """I7, as far as a program has a switch for it: its answer may stand in its last message, too."""

    def launch(kind: str, spec: AttemptSpec) -> Launch:
        return make_agent(AgentDef(name="x", kind=kind, command="")).launch(spec, places)

    claude = launch("claude", LOOKING).argv
    assert claude[claude.index("--disallowedTools") + 1].endswith(",Edit,Write,NotebookEdit")
    assert "Edit" not in str(launch("claude", SPEC).argv)
    permission = [
        json.loads(next(iter(launch("opencode", spec).home.values())))["permission"] for spec in (LOOKING, SPEC)
    ]
    assert [each["edit"] for each in permission] == ["deny", "allow"]
    assert permission[0]["bash"] == permission[1]["bash"]
    assert "--dry-run" in launch("aider", LOOKING).argv
    assert "--dry-run" not in launch("aider", SPEC).argv


def test_missing_programs(tmp_path, monkeypatch):
    """Named with what is wrong with them."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "good").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "good").chmod(0o755)
    (tmp_path / "plain").write_text("")
    (tmp_path / "broken").symlink_to("nowhere")
    here = str(tmp_path)
    assert command("good", here).missing() == ""
    assert command("./bin/good", here).missing() == ""
    assert command("none", here).missing() == "The program `none` is not on PATH."
    assert command("./none", here).missing() == f"There is no program {here}/./none."
    assert command("./bin", here).missing().endswith("is no program but a folder, a broken link or the like.")
    assert command("./broken", here).missing().endswith("is no program but a folder, a broken link or the like.")
    assert command("./plain", here).missing().endswith("is not executable; `chmod +x` makes it so.")


# -- scripted -------------------------------------------------------------------------------------


def scripted(path: Path) -> Agent:
    return make_agent(AgentDef(name="x", kind="scripted", command=path.name, cwd=str(path.parent)))


def test_scenarios_in_yaml_become_json(tmp_path, places):
    """Next to the brief, where every sandbox shows it, and only this task's part."""
    path = tmp_path / "demo.yaml"
    path.write_text(
        "tasks:\n  a:\n    attempts:\n      1: [{wait: 0}]\n      2: [{print: 2020-01-01}]\n  b: []\n  '*': []\n"
    )
    launch = scripted(path).launch(SPEC, places)
    written = Path(launch.argv[-1])
    assert written.parent == places.brief.parent
    assert json.loads(written.read_text()) == {
        "tasks": {"a": {"attempts": {"1": [{"wait": 0}], "2": [{"print": "2020-01-01"}]}}, "*": []}
    }
    assert launch.argv[:3] == (sys.executable, "-I", "-S")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.json", "{", "cannot be read"),
        ("s.json", "[" * 100_000, "cannot be read"),
        ("s.json", "[]", "no mapping `tasks`"),
        ("s.yaml", "tasks: [", "cannot be read"),
        ("s.yaml", "a: &x [*x]", "cannot be read"),
        ("s.yaml", "? [1]\n: 2", "cannot be read"),
        ("s.yaml", "!!python/object/apply:os.system [exit]", "cannot be read"),
        ("s.yml", "tasks: 3", "no mapping `tasks`"),
        ("s.yaml", b"\xff", "cannot be read"),
        ("none.yaml", None, "cannot be read"),
    ],
)
def test_unreadable_scenarios(tmp_path, places, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in scripted(path).missing()
    with pytest.raises(AdapterError, match=said):
        scripted(path).launch(SPEC, places)


# -- kinds ----------------------------------------------------------------------------------------


@dataclass
class Foreign:
    """An agent of another package."""

    definition: AgentDef


def entries(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    found = EntryPoints(
        EntryPoint(name=name, value=value, group=GROUP) for name, _, value in (v.partition("=") for v in values)
    )
    monkeypatch.setattr("importlib.metadata.entry_points", found.select)


def test_kinds_of_other_packages(monkeypatch):
    """Found by their entry point, loaded only when asked for."""
    entries(monkeypatch, f"foreign={__name__}:Foreign", "broken=no_such_module:Agent")
    assert {"broken", "command", "foreign", "scripted"} <= set(agent_kinds())
    assert agent_kinds() == sorted(agent_kinds())
    made = make_agent(AgentDef(name="x", kind="foreign"))
    assert isinstance(made, Foreign)
    with pytest.raises(UserError, match="no_such_module:Agent"):
        make_agent(AgentDef(name="x", kind="broken"))


def test_an_unknown_kind():
    with pytest.raises(UserError, match="`magic`, which is not known") as caught:
        make_agent(AgentDef(name="x", kind="magic"))
    assert "command, " in caught.value.hint
