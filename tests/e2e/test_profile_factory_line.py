"""A handoff packet of Station Kit carried out in place: the line, its session chain and its records (SPEC 11)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import ChargehandError
from chargehand.domain.events import EffectIntended, TaskIntegrated
from chargehand.plans.detect import read_plan
from chargehand.plans.factory_session import read_session
from chargehand.wiring.landing import accept
from tests.e2e.cliworld import CliWorld
from tests.e2e.screens import screen
from tests.e2e.world import World
from tests.repos import Repo

FIXTURE = Path(__file__).parent.parent / "fixtures" / "factory_line"
PACKET = ".kilocode/handoff/SK-7.json"
PREP = ".kilocode/thinking/task-SK-7-prep-2026-02-01.json"
LINE = ".kilocode/line/SK-7"
DONE: dict[str, Any] = {"report": {"status": "DONE"}}


def put(path: str, text: str) -> dict[str, Any]:
    return {"write": {"path": path, "text": text}}


WORK: dict[str, Any] = {
    "subtask-2": [
        put("src/counter.py", "class Counter:\n    rows = 0\n"),
        {
            "report": {
                "status": "DONE",
                "summary": "Counter counts rows.",
                "risk": "Nobody may count twice.",
                "edit_plan": "One class, no callers yet.",
                "runtime_model_reported": "small-model",
                "runtime_mode_reported": "code",
            }
        },
    ],
    "subtask-3": [put("src/export.py", "def export(orders):\n    yield from orders\n"), DONE],
    "subtask-4": [put("src/report.py", "def report(counter):\n    return counter.rows\n"), DONE],
    "subtask-5": [put("src/export.py", "def export(orders):\n    yield from iter(orders)\n"), DONE],
    "subtask-6": [put("docs/export.md", "It streams.\n"), DONE],
    "subtask-7": [put("src/settings.py", "STREAM = True\n"), DONE],
    "subtask-8": [put("CHANGELOG.md", "- streams\n"), DONE],
    "tests": [put("tests/test_counter.py", "def test_counter():\n    assert True\n"), DONE],
    "gates": [DONE],
}
LINKS = [*(f"subtask-{number}" for number in range(2, 9)), "tests"]


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    shutil.copytree(FIXTURE, repo.path, dirs_exist_ok=True)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "orders")
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def carry_out(world: World, *, sets: Sequence[str] = (), observe: Any = None, **steps: Any) -> Mapping[str, Any]:
    """Carry the packet out with the scripted agent, `steps` instead of `WORK` (`_` stands for `-`)."""
    scenario = {**WORK, **{name.replace("_", "-"): value for name, value in steps.items()}}
    script = world.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")

    async def run() -> Mapping[str, Any]:
        shop = await world.shop(["agents.script.kind=scripted", f"agents.script.command={script}", *sets])
        loaded = shop.load_plan(world.repo.path)
        assert loaded.plan is not None, loaded.problems
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source))
        world.run = event.run
        return await world._drive(shop, shop.service.start(event), observe, unattended=True)

    return asyncio.run(run())


def take_in(world: World) -> None:
    async def land() -> None:
        await accept(await world.shop(()), world.run, None, squash=False)

    asyncio.run(land())


def artifact(world: World, name: str) -> str:
    return (world.repo.path / LINE / name).read_text(encoding="utf-8")


def link(world: World, name: str) -> Path:
    found = sorted((world.repo.path / ".kilocode" / "thinking").glob(f"execution-SK-7-{name}-20*.json"))
    assert len(found) == 1, found
    return found[0]


def marks(world: World) -> list[str]:
    return [line[:3] for line in artifact(world, "todo.md").splitlines() if line.startswith("[")]


def stop_after(number: int) -> Any:
    """An observer that ends the process of the run, as far as it can tell, after so many landings."""
    seen: list[str] = []

    def watch(recorded: Any, _state: Any, engine: Any) -> None:
        if isinstance(recorded.event, TaskIntegrated):
            seen.append(recorded.event.task)
            if len(seen) == number:
                engine.interrupt("test", now=True)

    return watch


# -- a whole line ---------------------------------------------------------------------------------


def test_a_packet_from_its_session_to_completion(world: World):
    """Every file of the line, before accept and after it; packet and prep session stay as they are."""
    before = {name: (world.repo.path / name).read_text() for name in (PACKET, PREP)}
    document = carry_out(world)
    assert document["state"] == "finished", [(task["id"], task["detail"]) for task in document["tasks"]]
    assert (document["profile"], document["plan"]) == ("factory-line", "sk-7")
    assert [task["id"] for task in document["tasks"]] == list(WORK)
    assert marks(world) == ["[x]"] * 12 + ["[-]"]
    pending = f"Not accepted yet: branch {document['branch']}, commit "
    assert artifact(world, "todo.md").splitlines()[-1].startswith(pending)
    assert pending in artifact(world, "completion.md")
    take_in(world)
    assert marks(world) == ["[x]"] * 13
    assert "Not accepted" not in artifact(world, "todo.md") + artifact(world, "completion.md")
    assert {name: (world.repo.path / name).read_text() for name in (PACKET, PREP)} == before
    left = [problem.message for problem in read_plan(None, world.repo.path).problems if problem.is_error]
    assert left == ["All subtasks of the packet and their tests are done."]
    names = sorted(str(file.relative_to(world.repo.path / LINE)) for file in (world.repo.path / LINE).rglob("*.*"))
    assert names == ["completion.md", "gates.jsonl", "prep-gate.json", "runtime.json", "todo.md"]


def test_the_prep_gate_leaves_its_report(world: World):
    carry_out(world)
    assert json.loads(artifact(world, "prep-gate.json")) == {
        "task_id": "SK-7",
        "session": PREP,
        "session_validity": "PASS",
        "failures": [],
        "approach": "Stream orders through a generator with a counter.\n\nBoth callers iterate; one counts.",
        "success_criteria": ["Exports of any size use constant memory.", "The report still shows the number of rows."],
        "risks": [{"risk": "A caller uses len() on the result.", "mitigation": "Find all callers first."}],
        "runtime_model_reported": "none",
        "runtime_mode_reported": "orchestrator",
    }


def test_each_link_of_the_chain_begins_with_the_one_before(world: World):
    """FORMATS 9: our reader of what the server accepts takes every link; numbers go on, nothing is repeated."""
    carry_out(world)
    before = json.loads((world.repo.path / PREP).read_text())["thoughts"]
    for name in LINKS:
        text = link(world, name).read_text()
        session, problems, _ = read_session(text)
        assert problems == []
        assert session is not None
        data = json.loads(text)
        assert data["thoughts"][: len(before)] == before
        own = data["thoughts"][len(before) :]
        assert [each["stage"] for each in own] == ["Analysis", "Conclusion"]
        assert [each["tags"] for each in own] == [
            ["execution", "risk-assessment", name],
            ["execution", "edit-plan", name],
        ]
        assert data["metadata"]["totalThoughts"] == len(data["thoughts"])
        assert sum(data["metadata"]["stages"].values()) == len(data["thoughts"])
        before = data["thoughts"]
    first = json.loads(link(world, "subtask-2").read_text())["thoughts"][-2:]
    assert [each["thoughtNumber"] for each in first] == [8, 9]
    assert "Risk: Nobody may count twice." in first[0]["thought"]
    assert first[1]["thought"].startswith("subtask-2: One class, no callers yet.\nFiles: src/counter.py\nLanded on")


def test_every_attempt_records_its_runtime(world: World):
    """The parent is model none, mode orchestrator; what nobody told is not made up."""
    carry_out(world)
    told = json.loads(artifact(world, "runtime.json"))
    assert told[0] == {
        "subtask": "Parent (Orchestrator)",
        "runtime_model_reported": "none",
        "runtime_mode_reported": "orchestrator",
    }
    assert [each["subtask"] for each in told[1:]] == list(WORK)
    assert (told[1]["runtime_model_reported"], told[1]["runtime_mode_reported"]) == ("small-model", "code")
    assert told[2]["runtime_mode_reported"] == "not reported"


def test_every_run_of_a_gate_leaves_one_line(world: World):
    carry_out(world)
    lines = [json.loads(line) for line in artifact(world, "gates.jsonl").splitlines()]
    assert len({each["run_signature"] for each in lines}) == len(lines)
    assert set(lines[0]) == {
        *("schema_version", "bead_id", "run_timestamp", "run_signature", "gate_id", "status", "exit_code"),
        *("elapsed_seconds", "invocation", "stop_reason"),
    }
    assert {each["bead_id"] for each in lines} == {"SK-7"}
    lint = [each for each in lines if each["gate_id"] == "ruff_check"]
    types = [each for each in lines if each["gate_id"] == "mypy"]
    assert len(lint) > 8, "after every subtask"
    assert len(types) == 2, "on the base and at the end"


def test_the_completion_report_has_its_sections(world: World):
    (world.repo.path / ".beads").mkdir()
    carry_out(world)
    text = artifact(world, "completion.md")
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == [
        "# Task Execution Complete: SK-7",
        "## Implementation Summary",
        "## Test Summary",
        "## Quality Gates",
        "## Files Modified",
        "## Session Exports",
        "## Success Criteria Met",
        "## Runtime Reports",
        "## Next Steps",
    ]
    assert "- Subtask 2: Counter counts rows." in text
    assert "- Tests added: 1\n- Tests modified: 0\n- All tests passing: YES" in text
    assert "- ruff_format_check: PASS\n- ruff_check: PASS\n- mypy: PASS\n- pytest: PASS" in text
    assert "- `src/counter.py` - subtask-2" in text
    assert f"- Prep: `{PREP}`" in text
    assert "- [x] Exports of any size use constant memory." in text
    assert "`bd close SK-7`, then `bd sync`" in text


# -- briefs ---------------------------------------------------------------------------------------


def test_a_worker_is_told_the_preparation_and_nothing_of_the_others(world: World):
    """The digest, approach, criteria, risks; not the descriptions of other subtasks still to come."""
    steps = [
        {"read_brief_check": "Approach: generator with a counter. Risk: callers that use len()."},
        {"read_brief_check": "Stream orders through a generator with a counter."},
        {"read_brief_check": "Exports of any size use constant memory."},
        {"read_brief_check": "Find every caller and every reference"},
        {"read_brief_check": "Counter counts rows."},
        *WORK["subtask-3"],
    ]
    assert carry_out(world, subtask_3=steps)["state"] == "finished"


def test_the_test_subtask_sees_all_summaries(world: World):
    said = {
        f"subtask-{n}": [WORK[f"subtask-{n}"][0], {"report": {"status": "DONE", "summary": f"Sum {n}."}}]
        for n in range(3, 9)
    }
    steps = [*({"read_brief_check": f"Sum {n}."} for n in range(3, 9)), *WORK["tests"]]
    assert carry_out(world, tests=steps, **said)["state"] == "finished"


# -- what does not go well ------------------------------------------------------------------------


def test_a_failed_subtask_halts_the_line(world: World):
    """No retry, nothing after it starts; the list says where it stands, and the base is not done."""
    document = carry_out(world, subtask_4=[{"exit": 3}])
    assert document["state"] == "failed"
    states = {task["id"]: (task["state"], task["attempts"]) for task in document["tasks"]}
    assert states["subtask-4"] == ("failed", 1)
    assert states["subtask-5"] == ("blocked", 0)
    assert states["gates"] == ("blocked", 0)
    assert marks(world) == ["[x]"] * 5 + ["[ ]"] * 8
    assert artifact(world, "completion.md").startswith("# Task Execution Halted: SK-7")
    assert "- Subtask 4: failed (" in artifact(world, "completion.md")


def test_format_is_mended_by_its_command_before_anybody_is_asked(world: World):
    """The old vocabulary's fix: the check without `--check`."""
    document = carry_out(world, subtask_2=[put("src/counter.py", "class Counter:\n    rows = 0\n\n\n"), DONE])
    assert document["state"] == "finished"
    lines = [json.loads(line) for line in artifact(world, "gates.jsonl").splitlines()]
    told = [each["status"] for each in lines if each["gate_id"] == "ruff_format_check"]
    assert told[:3] == ["pass", "fail", "pass"], "the base, the change, the change as it was mended"
    assert document["tasks"][0]["attempts"] == 1


def test_a_red_lint_gate_halts(world: World):
    document = carry_out(world, subtask_3=[put("src/export.py", "from os import *\n"), DONE])
    task = next(each for each in document["tasks"] if each["id"] == "subtask-3")
    assert (task["state"], task["reason"]) == ("failed", "gate_red")


def test_red_at_the_end_is_fixed_or_fails_also_when_the_base_was_red(world: World):
    """No exceptions: a type error that was there before counts."""
    (world.repo.path / "src" / "old.py").write_text("wrong_type = 1\n")
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "old")
    fix = [put("src/old.py", "right = 1\n"), DONE]
    document = carry_out(world, fix_1=fix)
    assert document["state"] == "finished", document
    assert document["tasks"][-1]["id"] == "fix-1"
    assert "- mypy: PASS" in artifact(world, "completion.md")


def test_a_fault_is_a_contract_and_its_restoration_too(world: World):
    """FORMATS 3.3: Line Fault, Restoration, and the run of the gate that verifies it; at most 50 lines of output."""
    gate = world.repo.path / "tools" / "check.py"
    hangs = (
        'import os, time\nif kind == "types" and pathlib.Path("src/counter.py").exists() and "FIT" not in os.environ:\n'
        '    print("line\\n" * 80, flush=True)\n    time.sleep(60)\n'
    )
    gate.write_text(gate.read_text().replace("sys.exit(bool(bad))", f"{hangs}sys.exit(bool(bad))"))
    fitter = world.repo.path / ".kilocode" / "fitter.toml"
    fitter.write_text(fitter.read_text().replace("timeout_seconds = 120", "timeout_seconds = 3"))
    world.repo.git("commit", "-q", "-am", "a gate that hangs")
    restoration = {
        "gate_id": "mypy",
        "mitigation_applied": ["a variable that it wants"],
        "verification_run": {"invocation": "", "status": "pass", "elapsed_seconds": 1},
        "env": {"FIT": "1"},
        "updated_fit_profile": {"timeout_seconds": 200, "stall_seconds": 90, "notes": "n", "confidence": "high"},
        "outcome": "GREEN",
    }
    steps = {"roles": {"fitter": [{"restoration": restoration}]}}
    document = carry_out(world, run=steps)
    faults = sorted((world.repo.path / LINE / "faults").glob("*.json"))
    assert [file.name for file in faults] == ["mypy-1.json", "mypy-2.json"], (
        "more time was the first answer, and is no retry"
    )
    fault = json.loads(faults[1].read_text())
    assert set(fault) == {
        *("gate_id", "invocation", "elapsed_seconds", "last_output_lines", "stop_reason", "repro_hints"),
    }
    assert fault["stop_reason"] == "timeout"
    assert 0 < len(fault["last_output_lines"]) <= 50
    told = json.loads(artifact(world, "restorations/mypy-2.json"))
    assert told["verification_run"]["status"] == "pass"
    assert told["updated_fit_profile"] == {
        "timeout_seconds": 200,
        "stall_seconds": 90,
        "notes": "n",
        "confidence": "high",
    }
    assert document["state"] == "finished"


def test_a_change_outside_the_files_is_a_question(world: World):
    """Nobody reviews here, so a person is asked; where nobody is there, silence approves nothing [I9]."""
    document = carry_out(world, subtask_5=[put("src/caller.py", "CALLS = 1\n"), DONE])
    task = next(each for each in document["tasks"] if each["id"] == "subtask-5")
    assert (task["state"], task["reason"]) == ("failed", "review_needed")


# -- resume ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 5])
def test_a_resume_brings_every_file_back(world: World, number: int):
    """I4: what was lost meanwhile is written anew, the same; the next pending subtask is started, none twice."""
    started: list[str] = []

    def watch(recorded: Any, _state: Any, _engine: Any) -> None:
        event = recorded.event
        if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt):
            started.append(event.effect.task)

    carry_out(world, observe=stop_after(number))
    first = link(world, "subtask-2").read_text()
    (world.repo.path / LINE / "todo.md").unlink()
    (world.repo.path / LINE / "prep-gate.json").unlink()
    document = world.resume(watch, unattended=True)
    assert {task["state"] for task in document["tasks"]} == {"integrated"}
    assert started == list(WORK)[number:]
    assert link(world, "subtask-2").read_text() == first
    assert [read_session(link(world, name).read_text())[1] for name in LINKS] == [[]] * len(LINKS)
    assert marks(world) == ["[x]"] * 12 + ["[-]"]
    assert json.loads(artifact(world, "prep-gate.json"))["session_validity"] == "PASS"


def test_a_session_that_vanished_meanwhile_halts_the_resume(world: World):
    """The hole of the system: the line does not go on without the session it builds on, and nothing is lost."""
    carry_out(world, observe=stop_after(2))
    prep = (world.repo.path / PREP).read_text()
    (world.repo.path / PREP).unlink()
    with pytest.raises(ChargehandError, match="is gone, and the chain goes on from it"):
        world.resume(unattended=True)
    (world.repo.path / PREP).write_text(prep)
    assert world.resume(unattended=True)["state"] == "finished"


def test_a_kill_in_the_middle_loses_nothing(world: World, tmp_path: Path):
    """I4: SIGKILL while a subtask is at work; the resume ends with the files of a run that was not killed."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    work = simple()
    cli.script({**work, "subtask-4": [{**work["subtask-4"][0], "stay": True}]})
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--run-id", "k")
    with cli.start(*words) as process:
        cli.wait_until_written()
        process.kill()
    assert marks(world)[4:6] == ["[x]", "[-]"]
    cli.script(work)
    done = cli.call("resume", "k", "--json")
    assert done.code == 0, done.stderr
    assert cli.call("accept", "k", "--yes").code == 0
    assert marks(world) == ["[x]"] * 13
    assert [read_session(link(world, name).read_text())[1] for name in LINKS] == [[]] * len(LINKS)


def test_a_run_that_was_accepted_in_part_is_taken_up(world: World):
    """The list an accepted run left is where the next one starts; its chain goes on from the last link."""
    carry_out(world, subtask_6=[{"exit": 3}])
    take_in(world)
    plan = read_plan(None, world.repo.path).plan
    assert plan is not None
    assert [task.id for task in plan.tasks] == ["subtask-6", "subtask-7", "subtask-8", "tests", "gates"]
    fifth = json.loads(link(world, "subtask-5").read_text())["thoughts"]
    assert carry_out(world)["state"] == "finished"
    sixth = json.loads(link(world, "subtask-6").read_text())["thoughts"]
    assert sixth[: len(fifth)] == fifth


# -- the command line -----------------------------------------------------------------------------


def simple() -> dict[str, list[Mapping[str, Any]]]:
    """`WORK` for the small agent of the command line."""
    return {
        task: [{"write": {step["write"]["path"]: step["write"]["text"] for step in steps if "write" in step}}]
        for task, steps in WORK.items()
    }


def test_run_needs_no_argument(world: World, tmp_path: Path):
    cli = CliWorld(world.repo, tmp_path / "cli")
    checked = cli.call("check", "--json")
    assert checked.code == 0, checked.stderr
    assert checked.document["profile"] == "factory-line"
    assert checked.document["counts"]["subtasks"] == 8
    assert not (world.repo.path / LINE).exists(), "check writes nothing"
    cli.script(simple())
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--json")
    done = cli.call(*words, "--run-id", "k")
    assert done.code == 0, done.stderr
    assert "(profile factory-line: read as station-kit, for it is JSON with" in " ".join(done.stderr.split())
    assert {task["state"] for task in done.document["tasks"]} == {"integrated"}


def test_the_todo_list_is_shown(world: World, tmp_path: Path):
    """As it stands in the file, at any time, for the run and for one task; it is made of the run, not of the file."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    cli.script({**simple(), "subtask-3": [{"exit": 3}]})
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--run-id", "k", "--json")
    assert cli.call(*words).code == 1
    shown = cli.call("show", "--json").document["shown"]
    assert [line[:3] for line in shown] == marks(world)
    assert [line[:14] for line in shown[3:5]] == ["[x] Subtask 2:", "[ ] Subtask 3:"]
    (world.repo.path / LINE / "todo.md").unlink()
    one = cli.call("show", "subtask-2", "--json").document["shown"]
    assert one == [line for line in shown if line.startswith("[x] Subtask 2:")]
    assert cli.call("show").stdout.count("[x]") == len([line for line in shown if line.startswith("[x]")])


def test_the_todo_list_stands_on_the_terminal(world: World, tmp_path: Path):
    cli = CliWorld(world.repo, tmp_path / "cli")
    cli.script({**simple(), "subtask-3": [{"hang": True, "say": "hanging now"}]})
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--yes", "--run-id", "k")
    with screen(cli, *words, columns=120) as shown:
        shown.wait_for("[x] Subtask 2:")
        shown.wait_for("[-] Subtask 3:")
        shown.wait_for("[ ] Subtask 4:")
        shown.wait_for("hanging now")
        shown.press("\x03")
        assert shown.end() == 130


def test_a_failed_prep_gate_exits_2_and_leaves_its_report(world: World, tmp_path: Path):
    cli = CliWorld(world.repo, tmp_path / "cli")
    (world.repo.path / PREP).unlink()
    done = cli.call("run", "--agent-command", cli.agent, "--sandbox", "none", "--json")
    assert done.code == 2
    assert done.document["error"]["code"] == "prep_missing"
    assert "/orchestrate-start-task SK-7" in done.document["error"]["hint"]
    report = json.loads(artifact(world, "prep-gate.json"))
    assert (report["session_validity"], len(report["failures"])) == ("FAIL", 1)
    assert cli.call("runs", "--json").document["runs"] == []


def beads(world: World, cli: CliWorld, code: int = 0) -> Path:
    """A `bd` on PATH that records its calls; the file it records them in."""
    (world.repo.path / ".beads").mkdir()
    folder, calls = cli.folder / "bin", cli.folder / "calls"
    folder.mkdir()
    (folder / "bd").write_text(f'#!/bin/sh\necho "$@" >> {calls}\nprintf "no \\033[1mdatabase"\nexit {code}\n')
    (folder / "bd").chmod(0o755)
    cli.environ["PATH"] = f"{folder}:{cli.environ['PATH']}"
    return calls


def run_once(cli: CliWorld) -> None:
    """What is left of the packet when all subtasks but the last are done."""
    packet = cli.repo.path / PACKET
    text = packet.read_text().replace('"in_progress"', '"completed"').replace('"pending"', '"completed"')
    packet.write_text('"pending"'.join(text.rsplit('"completed"', 1)))
    cli.script(simple())
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--run-id", "k", "--json")
    done = cli.call(*words)
    assert done.code == 0, done.stderr


def test_the_issue_is_closed_once_after_accept(world: World, tmp_path: Path):
    """Closed, never "done"; nothing is told to beads before, and nothing twice."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    calls = beads(world, cli)
    run_once(cli)
    assert not calls.exists()
    done = cli.call("accept", "k", "--yes")
    assert done.code == 0, done.stderr
    assert "ran `bd close SK-7`." in done.stdout
    assert calls.read_text() == "close SK-7\nsync\n"
    assert cli.call("accept", "k", "--yes").code == 0
    assert calls.read_text() == "close SK-7\nsync\n"


@pytest.mark.parametrize("there", ["only the program", "only the books", "neither"])
def test_without_beads_nothing_is_told_to_anybody(world: World, tmp_path: Path, there: str):
    """An absent tool is no problem, and no word about it: many projects have none."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    if there == "only the books":
        if shutil.which("bd", path=cli.environ["PATH"]):
            pytest.skip("beads is installed here.")
        (world.repo.path / ".beads").mkdir()
    else:
        calls = beads(world, cli)
        (world.repo.path / ".beads").rmdir()
    if there == "neither":
        (cli.folder / "bin" / "bd").unlink()
    run_once(cli)
    done = cli.call("accept", "k", "--yes", "--json")
    assert done.code == 0, done.stderr
    assert done.document["warnings"] == []
    assert there == "only the books" or not calls.exists()


def test_books_that_stay_open_are_told(world: World, tmp_path: Path):
    """What was accepted stands, and no sequence of a program gets onto the screen."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    calls = beads(world, cli, code=3)
    run_once(cli)
    done = cli.call("accept", "k", "--yes", "--json")
    assert done.code == 0, done.stderr
    assert done.document["warnings"] == [
        {"code": "books_open", "task": None, "text": "`bd close SK-7` failed: no [1mdatabase. Run it by hand."}
    ]
    assert calls.read_text() == "close SK-7\n"


def test_accept_is_never_automatic(world: World, tmp_path: Path):
    cli = CliWorld(world.repo, tmp_path / "cli")
    done = cli.call("run", "--agent-command", cli.agent, "--sandbox", "none", "--accept", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "accept_refused")


def test_a_line_without_gates_does_not_start(world: World, tmp_path: Path):
    cli = CliWorld(world.repo, tmp_path / "cli")
    (world.repo.path / ".kilocode" / "fitter.toml").unlink()
    done = cli.call("run", "--agent-command", cli.agent, "--sandbox", "none", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "no_gates")
