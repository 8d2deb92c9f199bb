"""A sendit task that its agent cannot go on with is asked about, and an order that nobody stated is none (SPEC 2.3)."""

from __future__ import annotations

from tests.e2e.cliworld import CliWorld
from tests.e2e.test_profile_sendit import WORK, carry_out, progress, table, task, world
from tests.e2e.world import World

__all__ = ["world"]


def answer(world: World, *words: str) -> None:
    cli = CliWorld(world.repo, world.folder / "cli")
    done = cli.call("answer", *words, env={"XDG_STATE_HOME": world.environ["XDG_STATE_HOME"]})
    assert done.code == 0, done.stderr


BLOCKED = [{"report": {"status": "BLOCKED", "blocker": "No key."}}]


def test_blocked_stays_blocked_where_nobody_is_asked(world: World):
    """I9: silence neither skips nor retries; what comes after it is blocked, and the run has failed."""
    document = carry_out(world, task_3=BLOCKED)
    assert (document["state"], task(document, "task-3")["state"]) == ("failed", "blocked")
    assert table(world)[3] == ("failed", "—")
    assert "- task-3: blocked (agent_blocked): The agent is blocked: No key." in progress(world)
    assert "**Execution**: partial\n" in progress(world)


def test_blocked_asks_and_the_rest_goes_on_meanwhile(world: World):
    """The question holds nothing up that stands beside it; a note of the answer is told to the next attempt."""
    told = [{"read_brief_check": "The key is in the vault."}, *WORK["task-3"]]
    blocked = {"attempts": {"1": BLOCKED, "default": told}}
    document = carry_out(world, unattended=False, task_3=blocked)
    (asked,) = document["decisions"]
    assert (asked["task"], asked["kind"]) == ("task-3", "blocked")
    assert asked["choices"] == ["retry", "skip", "block", "stop"]
    assert table(world)[3] == ("failed", "—")
    assert task(document, "task-4")["state"] == "integrated", "it is marked independent"
    answer(world, asked["id"], "retry", "--note", "The key is in the vault.")
    document = world.resume()
    assert document["state"] == "finished", document["decisions"]


def test_who_skips_a_blocked_task_lets_the_rest_go_on(world: World):
    """SPEC 2.3: the order is inferred; the row stays open, the notes flag it, and the execution is partial."""
    document = carry_out(world, unattended=False, task_3=BLOCKED)
    (asked,) = document["decisions"]
    answer(world, asked["id"], "skip")
    document = world.resume()
    assert document["state"] == "finished"
    assert {name: task(document, name)["state"] for name in ("task-3", "task-5")} == {
        "task-3": "skipped",
        "task-5": "integrated",
    }
    assert table(world)[3] == ("pending", "—")
    assert "- task-3: skipped (human): The agent is blocked: No key." in progress(world)
    assert "**Execution**: partial\n" in progress(world)


def test_missing_context_goes_back_to_the_spec(world: World):
    """The plan is returned: nothing starts and nothing lands until somebody settled it; then the task goes on."""
    gaps = [{"report": {"status": "KICKBACK", "kickback": {"signal": "missing_context", "details": "Which hash?"}}}]
    told = [{"read_brief_check": "SPEC.md says it now."}, *WORK["task-2"]]
    document = carry_out(world, unattended=False, task_2={"attempts": {"1": gaps, "default": told}})
    (asked,) = document["decisions"]
    assert (asked["kind"], asked["choices"]) == ("kickback", ["retry", "skip", "stop"])
    assert {each["state"] for each in document["tasks"] if each["id"] != "task-2"} == {"waiting"}
    answer(world, asked["id"], "retry", "--note", "SPEC.md says it now.")
    assert world.resume()["state"] == "finished"
