"""SIGKILL at chosen calls of a real coordinator: real git, real agents, then the real `chargehand resume` (SPEC 8).

Here one call of each kind, and one moment of each kind of judgement; `make e2e` goes through all effects, and kills at
random times (`kills.py`).
"""

from __future__ import annotations

import pytest

from tests.crash.sweep import Point, killed_at, undisturbed

POINTS = (
    "SqliteJournal.append 9 after",
    "SqliteJournal.append 60 before",
    "LocalFleet.submit 6 before",
    "LocalFleet.wait 5 after",
    "GitWorkspaces.acquire 12 after",
    "GitWorkspaces.seal 4 before",
    "GitWorkspaces.seal 7 after",
    "GitWorkspaces.release 10 before",
    "Confined.run 8 after",
    "CommandGates.run 9 after",
    "GitIntegrator.open 1 after",
    "GitIntegrator.merge 3 after",
    "GitIntegrator.land 4 before",
    "GitIntegrator.land 6 after",
)


@pytest.mark.slow
@pytest.mark.parametrize("text", POINTS)
def test_killed_at(text):
    """I1, I2, I4, I11: the same tree, each task once, the user's checkout untouched, nothing left."""
    assert killed_at(Point.of(text), undisturbed().tree) == []


MOMENTS = (
    "at:spec-reviewer 1 after",
    "at:quality-reviewer 2 before",
    "at:fixer 1 after",
    "at:fitter 1 after",
    "at:RunFix 1 after",
    "at:ahead 1 after",
    "at:judged 1 before",
    "at:holistic-reviewer 1 after",
)


EVERY_CHECK = ("at:quality-reviewer 2 before", "at:judged 1 before")
"""Of these moments, those that belong to every check; `make systems` and `make kills` have all of them."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [text if text in EVERY_CHECK else pytest.param(text, marks=pytest.mark.system) for text in MOMENTS]
)
def test_killed_in_the_middle_of_a_judgement(text):
    """I4, I7, I11: reviews, fixes, `fix` commands, fitters, candidates on each other, between verdict and landing."""
    assert killed_at(Point.of(text), undisturbed("judged").tree, plan="judged") == []


@pytest.mark.slow
@pytest.mark.system
def test_a_review_killed_twice():
    """I4, I7: the same review again, by a process that took over and dies in it, too; then a fixer."""
    first, *rest = map(Point.of, ("at:spec-reviewer 1 after", "at:spec-reviewer 1 after", "at:fixer 1 before"))
    assert killed_at(first, undisturbed("judged").tree, again=rest, plan="judged") == []


@pytest.mark.slow
def test_killed_again_while_it_recovers():
    """I4: the second process dies in its recovery, the third soon after."""
    first, *rest = map(Point.of, ("GitIntegrator.land 3 after", "PrivateFolders.sweep 1 before", "append 12 after"))
    assert killed_at(first, undisturbed().tree, again=rest) == []
