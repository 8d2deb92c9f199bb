"""What fixers and `fix` commands went on with is told of as a whole; the evidence of each is its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chargehand.domain.effects import RunFix, StartAttempt
from chargehand.domain.facts import facts_of_task
from chargehand.domain.outcome import Change, ChangeKind, Role, Sealed, WholeChange
from chargehand.domain.plan import Files, GatePoint, Scope
from chargehand.domain.policy import Policy
from chargehand.domain.silencing import Silenced, SilencedBy, Silencing
from chargehand.domain.test_changes import TestChange, TestChangeKind
from chargehand.domain.whole_change import gone_on
from chargehand.domain.words import Reason
from chargehand.engine.jobs import attempt_spec, fix_job
from tests.looks import a_finding, fails
from tests.play import Play, a_gate, a_plan, a_task, done
from tests.unit.test_receipt import receipt

BENT = TestChange(path="tests/test_a.py", line=3, kind=TestChangeKind.WEAKENED, detail="test_a")
QUIET = Silenced(path="a.py", by=SilencedBy.COMMENT, line=1, detail="noqa")
INNER = replace(QUIET, path="lib/b.py")
OLD = "sealed(a.1)"


def changed(*paths: str, kind: ChangeKind = ChangeKind.MODIFIED) -> tuple[Change, ...]:
    return tuple(Change(path=path, kind=kind) for path in paths)


def sealed(**fields: object) -> Sealed:
    return Sealed(base="b", commit="c", tree="t", base_tree="u", **fields)  # type: ignore[arg-type]


def told(play: Play) -> str:
    return "\n".join(facts_of_task(play.state, play.task("a")))


# -- on top of what was sealed --------------------------------------------------------------------


def test_one_change_is_told_as_it_was_sealed():
    one = sealed(changes=changed("a"), placeholders=("p",), test_changes=(BENT,), silenced=(QUIET,), left_out=("x",))
    both = WholeChange(
        changes=changed("a"), placeholders=("p",), test_changes=(BENT,), silenced=(QUIET,), left_out=("x",)
    )
    assert one.told == both
    assert replace(one, whole=WholeChange()).told == WholeChange()


def test_what_a_seal_says_of_the_whole_is_told():
    before = WholeChange(changes=changed("a"), placeholders=("p",), test_changes=(BENT,), silenced=(QUIET,))
    now = WholeChange(changes=changed("b"), placeholders=("q",), silenced=(replace(QUIET, line=2),))
    assert gone_on(before, sealed(changes=changed("a", "b"), test_changes=(BENT,), whole=now)) == now


def test_what_two_trees_do_not_show_stays_told():
    """Inside a submodule, on the way in commits, and left out."""
    past = changed("gone.txt", "b", kind=ChangeKind.HISTORY)
    before = WholeChange(changes=past, silenced=(QUIET, INNER), left_out=("x", "y"))
    now = (*changed("lib", kind=ChangeKind.SUBMODULE), *changed("b"))
    whole = gone_on(before, sealed(left_out=("y", "z"), whole=WholeChange(changes=now)))
    assert set(whole.changes) == {past[0], *now}
    assert (whole.silenced, whole.left_out) == ((INNER,), ("x", "y", "z"))


def test_both_are_told_where_nobody_looked_at_the_whole():
    """I14: seals of journals written before say nothing of it."""
    before = WholeChange(changes=changed("a"), placeholders=("p",), test_changes=(BENT,), silenced=(QUIET,))
    after = sealed(changes=changed("a", "b"), placeholders=("q",), silenced=(QUIET, INNER), left_out=("x",))
    assert gone_on(before, after) == WholeChange(
        changes=changed("a", "b"),
        placeholders=("p", "q"),
        test_changes=(BENT,),
        silenced=(QUIET, INNER),
        left_out=("x",),
    )


# -- fixers ---------------------------------------------------------------------------------------


def fixing(policy: Policy | None = None, **author: object) -> Play:
    """A run in which a fixer is about to work on what the author left."""
    task = a_task("a", files=Files(modify=("change",), test=("tests/",)), scope=Scope.REVIEW)
    play = Play(a_plan(task), review=True, policy=policy or Policy())
    play.begin()
    play.attempt("a", done(changes=("change", "stray"), seal=author))
    play.attempt("a", fails(a_finding(file="change")))
    assert play.effect(StartAttempt, "a").role is Role.FIXER
    return play


def test_a_fixer_leaves_the_facts_of_the_author_in_place():
    play = fixing(silenced=(QUIET,), left_out=("SUMMARY.md",))
    whole = WholeChange(changes=changed("change", "stray"), test_changes=(BENT,), silenced=(QUIET,))
    play.attempt("a", done(changes=("change",), seal={"whole": whole}))
    assert play.effect(StartAttempt, "a").role is Role.SPEC_REVIEWER
    facts = told(play)
    for fact in ("Silences a check: a.py:1", "weakened (test_a)", "declared files: stray.", "SUMMARY.md"):
        assert fact in facts


def test_what_a_fixer_takes_back_is_no_longer_told():
    play = fixing(silenced=(QUIET,))
    play.attempt("a", done(changes=("change", "stray"), seal={"whole": WholeChange(changes=changed("change"))}))
    facts = told(play)
    assert "Silences" not in facts
    assert "outside" not in facts
    play.integrate("a")
    assert "silenced" not in receipt(play)


def test_a_fixer_is_held_against_its_own_part_only():
    """I6: what the author did was judged; a test that the fixer bends is the fixer's."""
    policy = Policy(silencing=Silencing.FAILS)
    whole = WholeChange(changes=changed("change"), test_changes=(BENT,), silenced=(QUIET,))
    play = fixing(policy)
    play.attempt("a", done(changes=("change",), seal={"whole": whole}))
    assert play.effect(StartAttempt, "a").role is Role.SPEC_REVIEWER
    play = fixing(policy)
    play.attempt("a", done(changes=("change",), seal={"whole": whole, "test_changes": (BENT,)}))
    assert play.task("a").failure.reason is Reason.TESTS_BENT


def test_a_fixer_that_could_not_be_sealed_tells_nothing():
    play = fixing(silenced=(QUIET,))
    play.attempt("a", lambda effect: replace(done()(effect), sealed=None, seal_problem="The disk is full."))
    assert play.task("a").sealed is None


# -- `fix` commands -------------------------------------------------------------------------------


def test_what_a_fix_command_takes_out_is_no_longer_told():
    play = Play(a_plan(a_task("a"), gates=(a_gate("lint", GatePoint.TASK, fix="lint --fix"),)), review=False)
    play.begin()
    play.attempt("a", done(seal={"silenced": (QUIET, INNER)}))
    play.gates("a", "lint")
    play.mend("a", "change", whole=WholeChange(changes=changed("change"), silenced=(INNER,)))
    assert play.task("a").sealed.told.silenced == (INNER,)
    play.gates("a")
    play.integrate("a")
    assert [row["path"] for row in receipt(play)["silenced"]] == ["lib/b.py"]


# -- what is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize("fixes", [False, True])
def test_only_what_goes_on_is_asked_about_the_whole(fixes: bool):
    if fixes:
        play = fixing()
        effect = play.effect(StartAttempt, "a")
        assert effect.base == OLD
        assert attempt_spec(play.state, effect).origin == play.task("a").origin != OLD
        return
    play = Play(a_plan(a_task("a"), gates=(a_gate("lint", GatePoint.TASK, fix="lint --fix"),)), review=False)
    play.begin()
    assert attempt_spec(play.state, play.effect(StartAttempt, "a")).origin == ""
    play.attempt("a")
    play.gates("a", "lint")
    job = fix_job(play.state, play.effect(RunFix, "a"))
    assert (job.commit, job.origin) == (OLD, play.task("a").origin)
