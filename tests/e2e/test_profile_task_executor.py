"""An iteration of tasks.yaml carried out in place: what the file and the log say, field by field (SPEC 11)."""

from __future__ import annotations

import asyncio
import difflib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import DecisionAsked, EffectIntended, TaskIntegrated
from chargehand.plans.detect import read_plan
from chargehand.wiring.landing import accept
from tests.e2e.cliworld import CliWorld
from tests.e2e.world import World, write
from tests.repos import Repo

FIXTURE = Path(__file__).parent.parent / "fixtures" / "task_executor"
TICKET = "prompts/SHOP-7"
TASKS = f"{TICKET}/iteration_2/tasks.yaml"
DONE: dict[str, Any] = {"report": {"status": "DONE"}}
TEST = "def test_it():\n    assert True\n"

WORK: dict[str, Any] = {
    "TASK-2": [write("src/basket.py", "TOTAL = 0\n"), write("tests/test_basket.py", TEST), DONE],
    "TASK-3": [write("src/voucher.py", "USED = 0\n"), write("tests/test_voucher.py", TEST), DONE],
    "TASK-4": [write("src/tax.py", "TAX = 19\n"), write("docs/tax.md", "19 of 100.\n"), DONE],
    "TASK-5": [write("src/checkout.py", "EMPTY = 1\n"), write("tests/test_checkout.py", TEST), DONE],
    "TASK-6": [write("src/receipt.py", "TOTAL = 1\n"), DONE],
    "TASK-7": [write("src/visits.py", "VISITS = 1\n"), DONE],
    "TASK-8": [write("src/banner.js", "const guests = 1;\n"), DONE],
    "TASK-9": [write("src/bill.py", "DATE = 1\n"), DONE],
    "TASK-10": [write("docs/manual.md", "# Manual\n\nIt is a shop.\n"), DONE],
}


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    shutil.copytree(FIXTURE, repo.path, dirs_exist_ok=True)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a shop")
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def carry_out(world: World, *, unattended: bool = True, observe: Any = None, **steps: Any) -> Mapping[str, Any]:
    """Carry the iteration out with the scripted agent, `steps` instead of `WORK` (`_` stands for `-`)."""
    scenario = {**WORK, **{name.replace("_", "-"): value for name, value in steps.items()}}
    script = world.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")

    async def run() -> Mapping[str, Any]:
        shop = await world.shop(["agents.script.kind=scripted", f"agents.script.command={script}"])
        loaded = shop.load_plan(None)
        assert loaded.plan is not None, loaded.problems
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source))
        world.run = event.run
        return await world._drive(shop, shop.service.start(event), observe, unattended=unattended)

    return asyncio.run(run())


def take_in(world: World) -> None:
    async def land() -> None:
        await accept(await world.shop(()), world.run, None, squash=False)

    asyncio.run(land())


def text(world: World) -> str:
    return (world.repo.path / TASKS).read_text(encoding="utf-8")


def entry(world: World, name: str) -> dict[str, Any]:
    found = next(each for each in yaml.safe_load(text(world))["tasks"] if each["id"] == name)
    return dict(found)


def log(world: World) -> list[dict[str, Any]]:
    lines = (world.repo.path / TICKET / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def without_times(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if not key.endswith("_at")}


# -- a whole iteration ----------------------------------------------------------------------------


def test_an_iteration_from_its_tasks_to_accepted(world: World):
    """All of it lands; before accept an entry names branch and commit, after it nothing is left to be done."""
    document = carry_out(world)
    assert document["state"] == "finished"
    assert (document["profile"], document["plan"]) == ("task-executor", "shop-7-iteration-2")
    assert {task["id"] for task in document["tasks"]} == set(WORK)
    landed = next(task["landed"] for task in document["tasks"] if task["id"] == "TASK-5")
    basket = entry(world, "TASK-5")
    assert without_times(basket) == {
        "id": "TASK-5",
        "description": "Check out a basket",
        "files_to_modify": ["src/checkout.py"],
        "test_files": ["tests/test_checkout.py"],
        "success_criteria": ["an empty basket is refused"],
        "execution_strategy": "SEQUENTIAL",
        "allowlist": ["src/routes/**"],
        "status": "ACCEPTED",
        "attempts": 1,
        "last_execution_mode": "SEQUENTIAL",
        "files_modified": ["src/checkout.py", "tests/test_checkout.py"],
        "validation_details": "review: ACCEPTED by script\nas merged: build: pass, tests: pass\n"
        f"Not accepted yet: branch {document['branch']}, commit {landed}.",
    }
    times = [basket[f"{name}_at"] for name in ("started", "first_code_change", "completed", "updated")]
    assert times == sorted(times)
    again = read_plan(None, world.repo.path)
    assert again.counts["pending"] == 9, "what nobody accepted is not in the base"
    take_in(world)
    assert entry(world, "TASK-5")["validation_details"].endswith(f"\nAccepted as {world.repo.head()}.")
    left = [problem.message for problem in read_plan(None, world.repo.path).problems if problem.is_error]
    assert left == ["All tasks are accepted."]


def test_only_the_values_of_the_executor_change_and_every_attempt_is_logged(world: World):
    """Comments, order, spaces and keys of others stay; nobody is blamed for what another did beside him."""
    before = text(world)
    waves: list[int] = []

    def watch(recorded: Any, state: Any, _engine: Any) -> None:
        event = recorded.event
        if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt) and event.effect.task:
            waves.append(state.wave_of[event.effect.task])

    carry_out(world, observe=watch)
    check_order(waves)
    check_bytes(before, text(world))
    check_log(log(world))
    assert without_times(entry(world, "TASK-1")) == {
        "id": "TASK-1",
        "description": "Prices are whole cents",
        "files_to_modify": ["src/price.py"],
        "test_files": ["tests/test_price.py"],
        "success_criteria": ["1.10 is 110 cents"],
        "execution_strategy": "SEQUENTIAL",
        "status": "ACCEPTED",
        "attempts": 1,
    }
    tax, receipt = entry(world, "TASK-4"), entry(world, "TASK-6")
    assert (tax["attempts"], tax["started_at"]) == (2, "2026-01-14T09:30:00Z"), "the first value stays"
    assert (receipt["attempts"], receipt["rejection_reason"]) == (3, None)
    modified = {name: entry(world, name)["files_modified"] for name in ("TASK-2", "TASK-3", "TASK-4")}
    assert modified == {
        "TASK-2": ["src/basket.py", "tests/test_basket.py"],
        "TASK-3": ["src/voucher.py", "tests/test_voucher.py"],
        "TASK-4": ["docs/tax.md", "src/tax.py"],
    }


def test_a_byte_order_mark_and_line_ends_stay_as_they_were(world: World):
    """Byte for byte: only the values of the executor are others."""
    before = (
        b"\xef\xbb\xbfparallel_groups: {}\r\ntasks:\r\n- id: TASK-6\r\n  description: d # d\xc3\xbc\r\n"
        b"  status: PENDING # now\r\n  files_to_modify: [src/receipt.py]\r\n"
    )
    world.repo.write(TASKS, before.decode("utf-8"))
    (world.repo.path / TASKS).write_bytes(before)
    world.repo.git("commit", "-q", "-a", "-m", "a mark")
    document = carry_out(world)
    assert document["state"] == "finished", document
    after = (world.repo.path / TASKS).read_bytes()
    assert after.startswith(before.replace(b"PENDING", b"ACCEPTED"))
    assert after.count(b"\n") == after.count(b"\r\n") > before.count(b"\n")
    assert after.count(b"\xef\xbb\xbf") == 1


def check_order(waves: list[int]) -> None:
    """No wave before its time; two processes for TASK-5 (its reviewer), two for TASK-7 and TASK-8 (none)."""
    assert waves == sorted(waves)
    assert (waves.count(2), waves.count(4)) == (2, 2)


def check_bytes(before: str, after: str) -> None:
    """Lines that are not ours are where they were; ours are in entries."""
    keys = (
        *("status", "attempts", "started_at", "first_code_change_at", "completed_at", "updated_at"),
        *("last_execution_mode", "files_modified", "validation_details", "rejection_reason"),
    )
    ours = (
        *(f"    {key}:" for key in keys),
        *("      src/tax.py: line 3", "      (python3"),  # lines of a value that was changed
        *("     success_criteria: [a voucher is used once], execution_strategy: PARALLEL, status: ", "     attempts: "),
    )
    old, new = before.splitlines(), after.splitlines()
    moves = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    gone = [line for tag, start, end, _, _ in moves if tag != "equal" for line in old[start:end]]
    come = [line for tag, _, _, start, end in moves if tag != "equal" for line in new[start:end]]
    assert [line for line in (*gone, *come) if line and not line.startswith(ours)] == []
    assert "    status: ACCEPTED       # the executor writes here" in come
    assert come.count("") == 0


def check_log(lines: list[dict[str, Any]]) -> None:
    """What was there stays; the final message of an attempt has its fields."""
    assert lines[0]["event"] == "iteration_started"
    mine = [line for line in lines if line["task_id"] == "TASK-4"]
    assert [line["message"].splitlines() for line in mine] == [
        [
            "task-executor completed for TASK-4 (attempt 2)",
            f"Status: {status}",
            "Mode: PARALLEL",
            "Files modified: 2",
            f"Tasks file updated: {TASKS}",
        ]
        for status in ("SYNTAX_VALID", "ACCEPTED")
    ]
    keys = ["timestamp", "level", "agent", "event", "iteration", "task_id", "parallel_group", "message"]
    assert all(list(line) == keys for line in mine)
    fixed = {(line["level"], line["agent"], line["iteration"], line["parallel_group"]) for line in mine}
    assert fixed == {("INFO", "Orchestrator", 2, "A")}


def test_a_developer_is_told_all_and_writes_no_states(world: World):
    """The hole: executors that each rewrite the file. Here that is no part of the change, and never lands."""
    steps = [
        {"read_brief_check": "You are the developer of this one task."},
        {"read_brief_check": "run neither build"},
        {"read_brief_check": "use the stdlib only"},
        {"read_brief_check": "class Basket:   # a sketch"},
        {"read_brief_check": "architecture_constraints: [no globals]"},
        write(f"{TICKET}/tmp/notes.txt", "in passing\n"),
        *WORK["TASK-2"],
    ]
    claims = [write(TASKS, "tasks: []\n"), write(f"{TICKET}/log.jsonl", "{}\n"), *steps]
    voucher = [{"read_brief_check": "Mandates:\n- none"}, *WORK["TASK-3"]]
    document = carry_out(world, TASK_2=claims, TASK_3=voucher)
    assert document["state"] == "finished"
    written = yaml.safe_load(text(world))
    assert [each["status"] for each in written["tasks"]] == ["ACCEPTED"] * 10
    assert (written["estimate"], entry(world, "TASK-2")["attempts"]) == ({"points": 13}, 1)
    take_in(world)
    assert text(world).count("Accepted as ") == 9


# -- what does not go well ------------------------------------------------------------------------


def test_an_untracked_stray_file_is_found(world: World):
    """The hole: `git diff --name-only` shows no new files. It is an ERROR with what was allowed, and groups go on."""
    stray = [write("src/helper.py", "HELP = 1\n"), *WORK["TASK-2"]]
    document = carry_out(world, TASK_2=stray)
    assert document["state"] == "failed"
    states = {task["id"]: task["state"] for task in document["tasks"]}
    assert {name for name, state in states.items() if state != "integrated"} == {"TASK-2"}
    basket = entry(world, "TASK-2")
    assert (basket["status"], basket["attempts"]) == ("ERROR", 2)
    assert "src/helper.py" in basket["files_modified"]
    details = basket["validation_details"].splitlines()
    assert "allowed: tests/test_basket.py, src/basket.py, tests/test_basket.py, src/legacy.py" in details[1]
    assert details[2:4] == [
        "modified: src/basket.py, src/helper.py, tests/test_basket.py",
        "unauthorised: src/helper.py (added)",
    ]
    line = next(line for line in log(world) if line["task_id"] == "TASK-2")
    assert (line["level"], line["role_violation"]) == ("CRITICAL_VIOLATION", "developer")


def test_a_commit_of_the_developer_is_an_error(world: World):
    steps = [*WORK["TASK-7"][:1], {"commit": "visits"}, DONE]
    carry_out(world, TASK_7=steps)
    visits = entry(world, "TASK-7")
    assert (visits["status"], visits["attempts"]) == ("ERROR", 2)
    assert "here only the runtime commits" in visits["validation_details"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([write("src/voucher.py", "def (:\n"), write("tests/test_voucher.py", TEST), DONE], "src/voucher.py"),
        ([write("src/voucher.py", "USED = 0\n"), DONE], "tests/test_voucher.py"),
    ],
    ids=["syntax", "missing-test"],
)
def test_a_parallel_task_that_does_not_parse_or_lacks_its_test(world: World, steps: list[Any], said: str):
    """SYNTAX_ERROR, and active again with the next attempt."""
    seen: list[str] = []

    def watch(_recorded: Any, _state: Any, _engine: Any) -> None:
        found = entry(world, "TASK-3")
        if found["status"] == "SYNTAX_ERROR":
            seen.append(str(found["validation_details"]))

    document = carry_out(world, observe=watch, TASK_3={"attempts": {1: steps, "default": WORK["TASK-3"]}})
    assert document["state"] == "finished"
    voucher = entry(world, "TASK-3")
    assert (voucher["status"], voucher["attempts"]) == ("ACCEPTED", 2)
    messages = [line["message"].splitlines()[:2] for line in log(world) if line["task_id"] == "TASK-3"]
    assert messages == [
        ["task-executor completed for TASK-3 (attempt 1)", "Status: SYNTAX_ERROR"],
        ["task-executor completed for TASK-3 (attempt 2)", "Status: SYNTAX_VALID"],
        ["task-executor completed for TASK-3 (attempt 2)", "Status: ACCEPTED"],
    ]
    assert said in " ".join(seen)


def judged_by(reviewer: Any, *again: dict[str, Any]) -> dict[str, Any]:
    """TASK-5, and what its reviewer does; `again` are steps of the second attempt, which leaves another tree."""
    second = [*again, write("src/checkout.py", "EMPTY = 2\n"), *WORK["TASK-5"][1:]]
    return {"roles": {"implementer": {"attempts": {"1": WORK["TASK-5"], "default": second}}, "spec-reviewer": reviewer}}


PASS = {"verdict": "PASS"}
REJECTED = {"verdict": ["major src/checkout.py:1 An empty basket is not refused."]}


def results(world: World, name: str) -> list[tuple[str, ...]]:
    """The final messages of a task: their first two lines."""
    lines = [line["message"].splitlines() for line in log(world) if line["task_id"] == name]
    return [tuple(words[:2]) for words in lines]


def test_a_rejected_task_has_its_reason_and_never_lands(world: World):
    """One reviewer, one pass; two attempts, then REJECTED stays."""
    told = ["You are the reviewer of this one task.", "Build: python3 -m compileall -q src", "Tests: sh -c 'test -f"]
    steps = judged_by([*({"read_brief_check": text} for text in told), REJECTED])
    document = carry_out(world, TASK_5=steps)
    task = next(each for each in document["tasks"] if each["id"] == "TASK-5")
    assert (task["state"], task["reason"]) == ("blocked", "review_unresolved")
    checkout = entry(world, "TASK-5")
    assert (checkout["status"], checkout["attempts"]) == ("REJECTED", 2)
    assert "An empty basket is not refused." in checkout["rejection_reason"]
    assert "review: REJECTED by script" in checkout["validation_details"]
    assert "src/checkout.py" not in world.repo.files(document["branch"])
    assert results(world, "TASK-5") == [
        (f"task-executor completed for TASK-5 (attempt {number})", "Status: REJECTED") for number in (1, 2)
    ]
    assert entry(world, "TASK-10")["status"] == "ACCEPTED", "a barrier, and no dependency"


def test_a_rejected_task_is_tried_again_with_the_reason(world: World):
    """REJECTED -> ACTIVE on the next attempt, which nobody has to ask for; its reviewer is a fresh one."""
    reason = {"read_brief_check": "An empty basket is not refused."}
    again = {"attempts": {"2": [REJECTED], "default": [PASS]}}
    carry_out(world, TASK_5=judged_by(again, reason), unattended=False)
    checkout = entry(world, "TASK-5")
    assert (checkout["status"], checkout["attempts"]) == ("ACCEPTED", 2)
    assert checkout["rejection_reason"] is None
    assert results(world, "TASK-5") == [
        ("task-executor completed for TASK-5 (attempt 1)", "Status: REJECTED"),
        ("task-executor completed for TASK-5 (attempt 2)", "Status: ACCEPTED"),
    ]


def test_a_reviewer_that_changed_something_is_an_error(world: World):
    """I7: nobody else judges what it touched; the attempt is ERROR, and the log names whose violation it was."""
    meddles = [write("src/checkout.py", "EMPTY = 3\n"), write("src/stray.py", "X = 1\n"), PASS]
    document = carry_out(world, TASK_5=judged_by(meddles))
    task = next(each for each in document["tasks"] if each["id"] == "TASK-5")
    assert (task["state"], task["reason"]) == ("blocked", "review_void")
    checkout = entry(world, "TASK-5")
    assert (checkout["status"], checkout["attempts"]) == ("ERROR", 2)
    assert "changed what it judges: modified src/checkout.py" in checkout["validation_details"]
    found = [line for line in log(world) if line.get("role_violation") == "reviewer"]
    assert [(line["level"], line["event"], line["task_id"]) for line in found] == [
        ("CRITICAL_VIOLATION", "role_violation", "TASK-5")
    ] * 2


def test_a_red_group_names_the_culprit_and_promotes_the_others(world: World):
    """Each task of a group is built and tested as merged: one is ERROR, with the evidence; the rest is ACCEPTED."""
    settings = world.repo.path / "chargehand.toml"
    settings.write_text(settings.read_text().replace("test -f src/price.py", "! grep -q BROKEN src/*.py"))
    world.repo.git("commit", "-q", "-am", "a stricter test")
    broken = [write("src/voucher.py", "BROKEN = 1\n"), write("tests/test_voucher.py", TEST), DONE]
    carry_out(world, TASK_3=broken)
    states = {name: entry(world, name)["status"] for name in ("TASK-2", "TASK-3", "TASK-4")}
    assert states == {"TASK-2": "ACCEPTED", "TASK-3": "ERROR", "TASK-4": "ACCEPTED"}
    assert "tests: It ended with exit code 1." in entry(world, "TASK-3")["validation_details"]


def test_a_blocked_task_is_an_error_with_its_words(world: World):
    blocked = [{"report": {"status": "BLOCKED", "blocker": "Nobody says how a bill looks."}}]
    carry_out(world, TASK_9=blocked)
    bill = entry(world, "TASK-9")
    assert bill["status"] == "ERROR"
    assert "Nobody says how a bill looks." in bill["validation_details"]
    assert bill["completed_at"]


# -- resume ---------------------------------------------------------------------------------------


def stop_after(number: int) -> Any:
    """An observer that ends the process of the run, as far as it can tell, after so many landings."""
    seen: list[str] = []

    def watch(recorded: Any, _state: Any, engine: Any) -> None:
        if isinstance(recorded.event, TaskIntegrated):
            seen.append(recorded.event.task)
            if len(seen) == number:
                engine.interrupt("test", now=True)

    return watch


@pytest.mark.parametrize("number", [1, 4])
def test_a_resume_brings_entries_and_log_back(world: World, number: int):
    """I4: a file as it was before the run is brought up to date; nothing lands twice, no attempt counts twice."""
    carry_out(world, observe=stop_after(number))
    (world.repo.path / TASKS).write_text((FIXTURE / TASKS).read_text().replace("owner: ida", "owner: otto"))
    (world.repo.path / TICKET / "log.jsonl").unlink()
    document = world.resume(unattended=True)
    assert {task["state"] for task in document["tasks"]} == {"integrated"}
    written = yaml.safe_load(text(world))["tasks"]
    assert [each["status"] for each in written] == ["ACCEPTED"] * 10
    assert [entry(world, name)["attempts"] for name in ("TASK-2", "TASK-5", "TASK-9")] == [1, 1, 2]
    assert entry(world, "TASK-2")["owner"] == "otto", "what is not ours stays as it is"
    messages = [(line["task_id"], line["message"]) for line in log(world)]
    assert len(messages) == len(set(messages))
    accepted = {task for task, message in messages if "Status: ACCEPTED" in message}
    assert accepted == set(WORK)
    subjects = world.repo.git("log", "--first-parent", "--format=%s", f"main..{document['branch']}").splitlines()
    assert sorted(line.split(":")[0] for line in subjects) == sorted(WORK)


def test_a_state_that_somebody_wrote_by_hand_is_a_question(world: World):
    """Nothing leads from ACCEPTED back to work: unattended the run goes by its own word, and the edit is kept."""
    carry_out(world, observe=stop_after(1))
    file = world.repo.path / TASKS
    edited = file.read_text().replace("    status: REJECTED", "    status: ACCEPTED")
    file.write_text(edited)
    document = world.resume(unattended=True)
    assert document["state"] == "finished"
    assert {task["state"] for task in document["tasks"]} == {"integrated"}
    (asked,) = [event.decision for event in world.events() if isinstance(event, DecisionAsked)]
    assert [(word.task, word.ours, word.theirs) for word in asked.edits[0].words] == [
        ("TASK-6", "REJECTED attempts: 2", "ACCEPTED attempts: 2")
    ]
    assert Path(asked.edits[0].kept).read_text() == edited


def test_a_kill_in_the_middle_loses_nothing(world: World, tmp_path: Path):
    """I4: SIGKILL while a task is at work; the resume ends with the entries of a run that was not killed."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    cli.script({**PLAIN, "TASK-5": [{**PLAIN["TASK-5"][0], "stay": True}]})
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--no-review", "--unattended", "--run-id", "k")
    with cli.start(*words) as process:
        cli.wait_until_written()
        process.kill()
    assert entry(world, "TASK-5")["status"] == "ACTIVE"
    cli.script(PLAIN)
    done = cli.call("resume", "k", "--json")
    assert done.code == 0, done.stderr
    assert entry(world, "TASK-5")["attempts"] == 1, "an attempt that was lost is carried on"
    assert cli.call("accept", "k", "--yes").code == 0
    left = [problem.message for problem in read_plan(None, world.repo.path).problems if problem.is_error]
    assert left == ["All tasks are accepted."]


# -- the command line -----------------------------------------------------------------------------

PLAIN = {
    task: [{"write": {step["write"]["path"]: step["write"]["text"] for step in steps if "write" in step}}]
    for task, steps in WORK.items()
}


def test_run_needs_no_argument(world: World, tmp_path: Path):
    """`check` and `run` in the project say what they found, and take the profile its reader names."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    checked = cli.call("check", "--json")
    assert checked.code == 0, checked.stderr
    assert checked.document["profile"] == "task-executor"
    assert checked.document["counts"]["plan_tasks"] == 10
    assert checked.document["waves"][0] == ["TASK-2", "TASK-3", "TASK-4"]
    cli.script(PLAIN)
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--no-review", "--unattended", "--json")
    done = cli.call(*words, "--run-id", "k")
    assert done.code == 0, done.stderr
    assert "prompts/SHOP-7/iteration_2/tasks.yaml" in done.stderr
    assert {task["state"] for task in done.document["tasks"]} == {"integrated"}
    assert entry(world, "TASK-9")["status"] == "ACCEPTED"
    final = [
        "task-executor completed for TASK-9 (attempt 2)",
        "Status: ACCEPTED",
        "Mode: SEQUENTIAL",
        "Files modified: 1",
        f"Tasks file updated: {TASKS}",
    ]
    assert "\n".join(f"  {line}" for line in final) in cli.call("show", "TASK-9").stdout
    assert "TASK-9: ACCEPTED (attempt 2)" in cli.call("show", "--json").document["shown"]
    (world.repo.path / TASKS).unlink()
    assert "cannot be read" in cli.call("show", "TASK-9", "--json").document["shown"][0]


def test_without_commands_nothing_starts(world: World, tmp_path: Path):
    """tasks.yaml names none, and what nobody builds nobody accepts."""
    (world.repo.path / "chargehand.toml").unlink()
    cli = CliWorld(world.repo, tmp_path / "cli")
    for words in (("check", "--json"), ("run", "--agent-command", cli.agent, "--json")):
        done = cli.call(*words)
        assert done.code == 2
        assert "commands.build and commands.test are not set" in done.stdout
    assert text(world) == (FIXTURE / TASKS).read_text()


def test_what_a_person_retries_is_the_next_attempt(world: World, tmp_path: Path):
    """ERROR after two attempts; asked for again it is the third, and a squash names the commit it became."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    cli.script({**PLAIN, "TASK-7": [{"write": {"src/stray.py": "X = 1\n"}}]})
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--no-review", "--unattended", "--json")
    assert cli.call(*words, "--run-id", "k").code == 1
    visits = entry(world, "TASK-7")
    assert (visits["status"], visits["attempts"]) == ("ERROR", 2)
    cli.script(PLAIN)
    assert cli.call("retry", "TASK-7").code == 0
    assert cli.call("resume", "k", "--json").code == 0
    assert cli.call("accept", "k", "--yes", "--squash").code == 0
    visits = entry(world, "TASK-7")
    assert (visits["status"], visits["attempts"]) == ("ACCEPTED", 3)
    assert visits["validation_details"].endswith(f"\nAccepted as {world.repo.head()}.")
    messages = [line["message"].splitlines()[:2] for line in log(world) if line["task_id"] == "TASK-7"]
    states = [(1, "ERROR"), (2, "ERROR"), (3, "SYNTAX_VALID"), (3, "ACCEPTED")]
    assert messages == [[f"task-executor completed for TASK-7 (attempt {n})", f"Status: {each}"] for n, each in states]
