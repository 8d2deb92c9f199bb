"""Dying at every call of every port, on a world in memory: the same tree, each task once, nothing left (SPEC 8).

For the plan of the demo and others. Every test goes through all k, or of the longest stories some; through the two ways
a call can be cut short (before it, and after it had its effect but before it answered); and in turns through what a
fleet may still know of attempts.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import DecisionAnswered
from chargehand.domain.state import RunState
from chargehand.domain.words import TERMINAL
from chargehand.engine import dispatch
from chargehand.testing.faults import Crash, Faults
from tests.crash.model import BRANCH, Memory
from tests.crash.play import Game, steps
from tests.crash.stories import STORIES, Story

pytestmark = pytest.mark.no_cover  # thousands of runs: watched line by line they would take three times as long

When = Literal["before", "after"]

WHEN: tuple[When, When] = ("before", "after")
SEED = 20_260_731
WAYS: tuple[tuple[Memory, bool], ...] = (
    (Memory.NOTHING, False),
    (Memory.ENDED, False),
    (Memory.ALL, False),
    (Memory.NOTHING, True),
    (Memory.ALL, True),
)
"""What the fleet remembers, and whether effects happen long before they are told."""


LONG = {"reviews": 5, "health": 5, "train": 4, "demo": 2, "retries": 2}
"""Stories of which a check looks at every second, fourth or fifth call only; `make kills` looks at all of them."""


def each(total: int, name: str, begin: int = 1) -> range:
    """The calls to look at, from 1 to `total`; another `begin` looks at others."""
    stride = 1 if os.environ.get("CHARGEHAND_EVERY_CALL") else LONG.get(name, 1)
    return range(1 + (begin - 1) % stride, total + 1, stride)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A run that nothing disturbed."""

    story: Story
    script: Sequence[str]
    calls: Sequence[str]
    tree: Mapping[str, str]
    steps: Mapping[str, Sequence[tuple[str, ...]]]
    landed: Sequence[str]
    started: int


@cache
def story_of(name: str) -> Story:
    made: Story = STORIES[name]()
    return made


@cache
def whole_of(name: str) -> Whole:
    story, counting = story_of(name), Faults()
    game = Game(story)
    game.watched = True
    state = game.play(counting)
    game.check(state)
    return Whole(
        story=story,
        script=tuple(game.world.director.released),
        calls=tuple(counting.calls),
        tree=game.world.trees[game.world.refs[BRANCH]],
        steps={task: steps(game, task) for task in state.tasks},
        landed=game.world.landed(),
        started=len(game.world.started),
    )


def killed(name: str, *faults: Faults, way: int = 0, watched: bool = False) -> tuple[Game, RunState]:
    """A run of the story whose processes die of these faults, one after the other."""
    game = game_of(name, way)
    game.watched = watched
    return game, game.play(*faults)


def game_of(name: str, way: int) -> Game:
    """A game that has not begun; outcomes come in the order of the undisturbed run."""
    whole = whole_of(name)
    ways = WAYS if whole.story.seen else WAYS[:1]
    memory, eager = ways[way % len(ways)]
    return Game(whole.story, script=whole.script, memory=memory, eager=eager)


def check_same(name: str, game: Game, state: RunState) -> None:
    """As if nothing had happened."""
    whole = whole_of(name)
    game.check(state)
    assert game.world.trees[game.world.refs[BRANCH]] == whole.tree
    if whole.story.steady:
        assert {task: steps(game, task) for task in state.tasks} == whole.steps
        if game.world.memory is Memory.ALL and not game.stops and not game.closed:
            assert len(game.world.started) == whole.started, "an attempt that had come to its end was run again"


# -- the stories themselves -----------------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_the_same_way_twice(name):
    """I15; otherwise a difference would say nothing about crashes."""
    whole = whole_of(name)
    game, state = killed(name, watched=True)
    check_same(name, game, state)
    assert game.world.landed() == whole.landed
    assert tuple(game.world.director.released) == whole.script


def test_the_stories_have_what_they_are_for():
    """A sweep over nothing would prove nothing."""
    seen = {name: {step[1] for task in whole_of(name).steps.values() for step in task} for name in STORIES}
    assert {"Conflict", "again"} <= seen["demo"]
    assert sum(step[1] == "Conflict" for task in whole_of("conflicts").steps.values() for step in task) >= 3
    whys = {step[2] for task in whole_of("retries").steps.values() for step in task if step[1] == "again"}
    assert {"retry", "fix", "context", "wait"} <= whys
    assert {"failed", "blocked"} <= seen["retries"]
    assert {"skipped", "blocked"} <= seen["decisions"]
    assert "fix-3" in whole_of("waves").landed
    assert "cancelled" in seen["commands"] & seen["cancelled"]
    told = {" ".join(step[1:]) for name in STORIES for task in whole_of(name).steps.values() for step in task}
    assert {"failed spec f1", "failed quality f1", "passed spec carried", "void violated", "void malformed"} <= told
    assert {"mended", "mitigated tests raised", "mitigated lint fitted"} <= told
    assert "fix-1" in whole_of("reviews").landed
    calls = {name for whole in map(whole_of, STORIES) for name in whole.calls}
    assert {"FakeJournal.append", "FakeInbox.settle", "FakeNotifier.notify", "ModelReader.read"} <= calls


CLOSING = 3
"""The last calls of a process only close things: who dies there leaves nothing to do, and nothing to die in."""


# -- dying ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", STORIES)
def test_the_journal_fails_at_every_append(name, when: When):
    """I4, I5: stored or not, the answer to an append is lost, and the process with it."""
    total = sum(call.endswith(".append") for call in whole_of(name).calls)
    assert total > 15
    for k in range(1, total + 1):
        game, state = killed(name, Faults(at=k, when=when, of="append"), way=k)
        assert game.deaths == 1, k
        check_same(name, game, state)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", STORIES)
def test_the_process_dies_at_every_call(name, when: When):
    """I2, I4, I5, I11: same tree, the same steps of every task, each landed once, nothing left."""
    for k in each(len(whole_of(name).calls), name, 1 + 2 * WHEN.index(when)):
        game, state = killed(name, Faults(at=k, when=when), way=k + 3 * WHEN.index(when))
        assert game.deaths == 1, k
        check_same(name, game, state)


@pytest.mark.parametrize("name", STORIES)
def test_it_dies_again_while_it_recovers(name):
    """I4: at every call, and again in the recovery from that, and once more somewhere in the rest."""
    draw = random.Random(SEED)
    calls = len(whole_of(name).calls)
    for k in each(calls, name, 2):
        early, late = draw.randint(1, 8), draw.randint(1, calls)
        first, second, third = draw.choices(WHEN, k=3)
        deaths = (Faults(at=k, when=first), Faults(at=early, when=second), Faults(at=late, when=third))
        game, state = killed(name, *deaths, way=k, watched=k % 10 == 0)
        assert game.deaths >= (2 if k + early < calls - CLOSING else 1), (k, early, late)
        check_same(name, game, state)


@pytest.mark.parametrize("name", STORIES)
def test_every_process_dies_soon(name):
    """I4: forty processes in a row, none of which gets far."""
    draw = random.Random(SEED)
    deaths = [Faults(at=draw.randint(2, 25), when=draw.choice(WHEN)) for _ in range(40)]
    game, state = killed(name, *deaths, way=3)
    assert game.deaths > 3
    check_same(name, game, state)


# -- failing and being told to stop ---------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_a_call_is_cancelled_at_every_call(name):
    """I4, I11: as by adapters that are closed under the engine: what was under way is done again."""
    whole = whole_of(name)
    for k in each(len(whole.calls), name, 3):
        game = game_of(name, k)
        state = game.play(Faults(at=k, when=WHEN[k % 2], error=game.close))
        check_same(name, game, state)


@pytest.mark.parametrize("name", STORIES)
def test_the_run_is_cancelled_at_every_call(name):
    """I4, I11: as by a front end that goes away: attempts are ended, intents stay, a resume finishes."""
    whole = whole_of(name)
    for k in each(len(whole.calls), name, 4):
        game = game_of(name, k)
        state = game.play(Faults(at=k, when=WHEN[k % 2], error=game.cancel))
        check_same(name, game, state)


@pytest.mark.parametrize("retryable", [True, False], ids=["passing", "lasting"])
@pytest.mark.parametrize("name", STORIES)
def test_a_port_fails_at_every_call(name, retryable, monkeypatch):
    """I4, I12: an error of a port is an outcome, or ends the process cleanly; no task is lost by it."""
    monkeypatch.setattr(dispatch, "PAUSES_S", (0.0, 0.0, 0.0))
    whole = whole_of(name)

    def broken() -> AdapterError:
        return AdapterError("port", "it broke", retryable=retryable)

    for k in each(len(whole.calls), name, 2 + retryable):
        call = whole.calls[k - 1]
        game, state = killed(name, Faults(at=k, when=WHEN[k % 2], error=broken), way=k)
        if call.startswith(("ModelFleet.submit", "ModelFleet.wait", "ModelGates", "ModelReader")):
            check_ended(game, state)
            continue
        assert game.deaths == int(not (retryable and call.startswith("ModelIntegrator"))), call
        check_same(name, game, state)


def check_ended(game: Game, state: RunState) -> None:
    """It came to an end that says what became of every task; what landed is on the branch, once."""
    landed = game.world.landed()
    assert len(landed) == len(set(landed))
    assert set(landed) == {task for task, record in state.tasks.items() if record.landed}
    assert all(record.status in TERMINAL and record.reason for record in state.tasks.values())
    assert not game.world.live
    assert not game.world.running
    game.watch.check(state, game.records, game.world.clock.now())


# -- who asks may die, too ------------------------------------------------------------------------


@pytest.mark.parametrize("when", WHEN)
def test_who_answers_dies_at_every_call(when: When):
    """I9: an answer that is given again, because nobody said that it was taken, counts once."""
    k, died = 0, True
    while died:
        k += 1
        game = game_of("decisions", k)
        waiting = game.play_until_people()
        died = not game.answered_by(waiting, Faults(at=k, when=when))
        assert game.answered_by(waiting, Faults()), "people ask again"
        given = [event.id for event in game.events_of(DecisionAnswered)]
        assert sorted(given) == sorted(waiting.decisions), k
        check_same("decisions", game, game.play())
    assert k > 5


def test_the_dead_do_nothing():
    """A crash that left the process alive would prove nothing: after it no call of any port comes through."""
    whole = whole_of("conflicts")
    game = Game(whole.story, script=whole.script)
    faults = Faults(at=30)
    asyncio.run(_until_dead(game, faults))
    assert len(faults.calls) == 30


async def _until_dead(game: Game, faults: Faults) -> None:
    with pytest.raises(Crash):
        await game.process(faults)
