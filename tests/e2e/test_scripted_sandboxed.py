"""The scripted agent inside every sandbox this machine has: it plays there, and what it must not do fails [I8, I11]."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from chargehand.adapters.agents import make_agent
from chargehand.adapters.process import EndKind, ProcessSpec
from chargehand.adapters.process import run as run_process
from chargehand.adapters.reports import read_report
from chargehand.adapters.sandbox import Confinement, choose
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Report, ReportStatus, Role
from chargehand.ports import AttemptSpec, Places


@pytest.fixture(params=["bwrap", "landlock", "none"])
def sandbox(request, run):
    try:
        return run(choose(request.param)).sandbox
    except UserError as error:
        pytest.skip(error.message)


@pytest.fixture
def places(tmp_path):
    room = tmp_path / "room"
    made = {name: room / name for name in ("workspace", "home", "tmp", "scratch")}
    for folder in (*made.values(), room / "in", room / "out"):
        folder.mkdir(parents=True)
    return Places(**made, brief=room / "in" / "brief.md", result=room / "out" / "result.json")


def test_it_plays_in_every_sandbox(sandbox, repo, places, tmp_path, run):
    """The scenario lies in the user's hidden work tree: the agent gets its part of it all the same."""
    outside, pids = tmp_path / "outside", tmp_path / "room" / "out" / "pid"
    outside.mkdir()
    steps = [
        {"read_brief_check": "Build it."},
        {"write": {"path": "src/new.py", "text": "x = 1\n"}},
        {"git": ["init", "-q"]},
        {"git": ["-c", "user.name=a", "-c", "user.email=b", "commit", "-q", "--allow-empty", "-m", "one"]},
        {"stray": str(repo.path / "README.md")},
        {"stray": str(outside / "stray.txt")},
        {"spawn": {"how": "double_fork", "pid": str(pids), "seconds": 600}},
        {"print": "done"},
        {"report": {"status": "DONE"}},
    ]
    scenario = repo.write("scenario.json", json.dumps({"tasks": {"a": steps}}))
    places.brief.write_text("Build it.")
    agent = make_agent(AgentDef(name="s", kind="scripted", command=str(scenario)))
    attempt = AttemptSpec(
        key="k", run="r", task="a", attempt=1, role=Role.IMPLEMENTER, base="", title="", brief="Build it.", agent="s"
    )
    launch = agent.launch(attempt, places)
    env = {
        **repo.environ,
        "HOME": str(places.home),
        "TMPDIR": str(places.tmp),
        "CHARGEHAND_TASK": "a",
        "CHARGEHAND_BRIEF": str(places.brief),
        "CHARGEHAND_RESULT": str(places.result),
    }
    confinement = Confinement(
        workspace=places.workspace,
        writable=(places.home, places.tmp, places.scratch, places.result.parent),
        readable=(places.brief.parent,),
        hidden=(repo.path,),
        env=env,
    )
    output = tmp_path / "output"
    end = run(
        run_process(
            ProcessSpec(
                argv=sandbox.wrap(launch.argv, confinement),
                cwd=places.workspace,
                env=env,
                stdin=launch.stdin,
                stdout=output,
                wall_s=60,
            )
        )
    )
    said = output.read_text()
    assert (end.kind, end.code) == (EndKind.EXITED, 0), said
    assert said.endswith("done\n")
    assert read_report(places.result) == Report(status=ReportStatus.DONE)
    assert (places.workspace / "src" / "new.py").read_text() == "x = 1\n"
    confined = sandbox.kind != "none"
    assert (outside / "stray.txt").exists() != confined
    assert (repo.files("HEAD")["README.md"] == (repo.path / "README.md").read_text().rstrip("\n")) == confined
    assert pids.read_text().strip().isdigit()
    assert survivors(str(places.brief.with_name("scenario.json"))) == []


def survivors(text: str) -> list[str]:
    """The processes whose command line holds a text; in a pid namespace of its own one would have another number."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            lines.append((folder / "cmdline").read_bytes().decode("utf-8", "replace"))
    return [line for line in lines if text in line]
