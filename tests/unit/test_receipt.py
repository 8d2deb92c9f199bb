"""Receipts as values: from the events of a run to what is known of everything that landed (SPEC 6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import MergeCandidate, RunGates, StartAttempt
from chargehand.domain.events import (
    DecisionAnswered,
    EffectLost,
    HistoryLost,
    Recorded,
    RunAccepted,
    RunReplanned,
    TaskFound,
)
from chargehand.domain.outcome import GateResult, GateStatus, Role, Usage
from chargehand.domain.plan import Command, Features, Files, GatePoint, Scope, SetupSpec, TaskType
from chargehand.domain.receipt import FORMAT, Entry, ReceiptBook, canonical, differences
from chargehand.domain.receipt_gates import MOST_IDS
from chargehand.domain.review import Severity
from chargehand.domain.silencing import Silenced, SilencedBy
from chargehand.domain.test_changes import TestChange, TestChangeKind
from chargehand.domain.words import TaskStatus
from tests import goldens
from tests.looks import a_finding, fails, fitted, passes
from tests.play import Play, a_gate, a_plan, a_task, done, failed, faulty, passed

TASK, INTEGRATE, RUN = GatePoint.TASK, GatePoint.INTEGRATE, GatePoint.RUN
NO_LOOK: dict[str, Any] = {"features": Features(holistic=False)}


def book_of(
    events: Iterable[Recorded], ids: Mapping[str, Sequence[str]] | None = None, until: int | None = None
) -> ReceiptBook:
    """The receipts of events; the chain is a word for each number."""
    made = ReceiptBook((ids or {}).get)
    for recorded in events:
        if until is None or recorded.seq <= until:
            made.take(Entry(recorded=recorded, chain=f"chain-{recorded.seq}", plan_sha256=f"plan-{recorded.seq}"))
    return made


def receipt(play: Play, task: str = "a", **options: Any) -> dict[str, Any]:
    return book_of(play.journal, **options).tasks[task].body


def landed(*, task: Mapping[str, Any] | None = None, plan: Mapping[str, Any] | None = None, **options: Any) -> Play:
    """A run of one task that landed at once."""
    play = Play(a_plan(a_task("a", **(task or {})), **{**NO_LOOK, **(plan or {})}), **options)
    play.begin()
    play.through("a")
    return play


# -- a task ---------------------------------------------------------------------------------------


def test_a_receipt_tells_which_commits_came_from_which() -> None:
    play = landed()
    found = book_of(play.journal).tasks["a"]
    record = play.task("a")
    body = found.body
    assert (body["format"], body["kind"], body["run"], body["branch"]) == (FORMAT, "task", "r", "chargehand/r")
    assert body["plan"] == {"name": "p", "profile": "house", "sha256": "plan-1"}
    assert body["task"] == {"id": "a", "title": "Task a"}
    assert body["base"] == "base"
    assert body["sealed"] == {"commit": record.sealed.commit, "tree": record.sealed.tree}
    assert body["candidate"] == {"commit": record.landed, "tree": record.candidate.tree, "head": "base"}
    assert (body["landed"], body["attempt"], found.commit) == (record.landed, 1, record.landed)
    assert found.sha256 == sha256(found.text.encode()).hexdigest()


def test_the_same_journal_gives_the_same_bytes_and_more_of_it_changes_none() -> None:
    """I14: a receipt tells what was known when the task landed, whatever came after it."""
    play = Play(a_plan(a_task("a"), a_task("b", "a"), **NO_LOOK))
    play.begin()
    play.through("a", "b")
    whole = book_of(play.journal)
    seq = whole.tasks["a"].body["journal"]["seq"]
    assert play.journal[seq - 1].event.task == "a"
    assert whole.tasks["a"].body["journal"]["hash"] == f"chain-{seq}"
    early = book_of(play.journal, until=seq)
    assert list(early.tasks) == ["a"]
    assert early.tasks["a"].text == whole.tasks["a"].text == book_of(play.journal).tasks["a"].text
    assert early.of_run().text != whole.of_run().text
    assert early.of_run().body["journal"] == {"seq": seq, "hash": f"chain-{seq}"}
    assert whole.seq == len(play.journal)


def test_a_receipt_of_the_run_does_not_grow_with_the_book() -> None:
    """It is of one moment: what the book takes in later is not in it."""
    play = Play(a_plan(a_task("a")), review=True)
    play.begin()
    play.through("a")
    play.attempt("", passes())
    book = ReceiptBook(lambda name: None)
    texts = []
    for recorded in play.journal:
        book.take(Entry(recorded=recorded, chain="c"))
        made = book.of_run()
        texts.append((made, made.text))
    assert all(made.text == text for made, text in texts)


def test_gates_stand_as_they_were_run() -> None:
    """The command of the plan, its limits, what it printed and in what; verify commands apart from gates."""
    gates = [
        a_gate("lint", TASK, wall_s=7.0, idle_s=2.0),
        a_gate("tests", INTEGRATE, junit=True),
        a_gate("last", RUN),
    ]
    shell = Command(argv=("make check && true",), shell=True)
    play = Play(
        a_plan(a_task("a", verify=(shell,)), gates=gates, setup=SetupSpec(run=Command(argv=("prepare",))), **NO_LOOK)
    )
    play.begin()
    play.attempt("a")
    play.gates(
        "a",
        passed("setup"),
        GateResult(gate="lint", tree="", status=GateStatus.PASS, output_sha256="o", environment="e"),
    )
    play.integrate("a")
    body = receipt(play)
    assert [(row["id"], row["point"]) for row in body["gates"]] == [
        ("setup", "task"),
        ("lint", "task"),
        ("tests", "integrate"),
    ]
    assert [(row["id"], row["point"]) for row in body["verify"]] == [("verify-1", "task"), ("verify-1", "integrate")]
    setup, lint, tests = body["gates"]
    assert (setup["argv"], lint["argv"], tests["argv"]) == (["prepare"], ["lint"], ["tests"])
    assert lint["limits"] == {"wall_s": 7.0, "idle_s": 2.0}
    assert tests["limits"] == {"wall_s": 900.0, "idle_s": None}
    assert (lint["output_sha256"], lint["environment"], lint["cached"]) == ("o", "e", None)
    assert lint["tree"] == play.task("a").sealed.tree
    assert tests["tree"] == play.task("a").candidate.tree
    assert (body["verify"][0]["argv"], body["verify"][0]["shell"]) == (["make check && true"], True)


def test_checks_of_the_runtime_have_no_command() -> None:
    task: dict[str, Any] = {"files": Files(modify=("change",), test=("t",)), "type": TaskType.TDD, "overlay": True}
    play = Play(a_plan(a_task("a", **task), gates=[a_gate("tests")], **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.gates("a", passed("syntax"))
    play.integrate("a")
    book = book_of(play.journal)
    assert [(row["id"], row["argv"], row["limits"]) for row in book.tasks["a"].body["gates"][:3]] == [
        ("syntax", None, None),
        ("red-first", None, None),
        ("overlay", None, None),
    ]
    first, second = book.tasks["a"].gates
    assert (first.point, first.red_first, first.overlay, first.tests, first.checks) == (TASK, True, True, ("t",), ())
    assert (second.point, second.red_first, second.overlay) == (INTEGRATE, False, False)


def test_a_gate_that_was_fitted_stands_as_it_was_fitted() -> None:
    """5: the invocation that judged, and not the one of the plan."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", INTEGRATE)], **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.merge("a")
    while play.state.inflight and isinstance(next(iter(play.state.inflight.values())), RunGates):
        play.gates("a", faulty("tests"))
    fitter = play.effect(StartAttempt, "a")
    assert fitter.role is Role.FITTER
    play.attempt("a", fitted("tests", argv=("tests", "--no-color"), env=(("JOBS", "1"),), wall_s=2000.0))
    play.integrate("a")
    (row,) = receipt(play)["gates"]
    assert (row["argv"], row["env"], row["status"]) == (["tests", "--no-color"], {"JOBS": "1"}, "pass")
    assert row["limits"]["wall_s"] == 2000.0
    body = receipt(play)
    assert [each["role"] for each in body["attempts"]] == ["implementer", "fitter"]
    assert body["attempt"] == 1  # that of the merge, which its trailer names: the fitter came later


def test_only_gates_of_what_landed_count() -> None:
    """I7: a result is of one tree; those of an earlier attempt or candidate are not evidence for what landed."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("lint", TASK), a_gate("tests", INTEGRATE)], **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.gates("a")
    play.merge("a")
    play.gates("a", failed("tests", "x"))
    play.attempt("a")
    play.integrate("a")
    body = receipt(play)
    assert [row["status"] for row in body["gates"]] == ["pass", "pass"]
    assert {row["commit"] for row in body["gates"]} == {body["sealed"]["commit"], body["landed"]}
    assert [each["number"] for each in body["attempts"]] == [1, 2]


def test_gates_of_a_change_that_was_mended_afterwards_do_not_count() -> None:
    gates = [a_gate("lint", INTEGRATE, fix=Command(argv=("lint", "--fix")))]
    play = Play(a_plan(a_task("a", verify=(Command(argv=("v",)),)), gates=gates, **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.gates("a")
    play.merge("a", tree=play.task("a").sealed.tree)
    play.gates("a", "lint")
    play.mend("a", "change", "more")
    play.integrate("a")
    body = receipt(play)
    assert body["sealed"]["commit"] == "mended(sealed(a.1))"
    assert all(row["commit"] in {body["sealed"]["commit"], body["landed"]} for row in [*body["gates"], *body["verify"]])
    assert body["scope"]["verdict"] == "unscoped"


def test_files_that_are_a_lease_are_no_scope_in_the_receipt():
    play = Play(a_plan(a_task("a", modify=["a.py"], scope=Scope.LEASE), **NO_LOOK))
    play.begin()
    play.through("a")
    scope = receipt(play)["scope"]
    assert (scope["verdict"], scope["mode"], scope["allowed"], scope["stray"]) == ("unscoped", "lease", None, [])


def test_what_fix_commands_mended_of_the_change_that_landed_is_told() -> None:
    """Of a change that was begun anew it is not; where nothing was mended there is no key, as before [I14]."""
    gates = (a_gate("lint", TASK, fix="lint --fix"),)
    play = Play(a_plan(a_task("a"), gates=gates, **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.gates("a", "lint")
    play.mend("a", "change")
    play.gates("a", "lint")
    play.attempt("a")
    play.gates("a", "lint")
    play.mend("a", "change")
    play.gates("a")
    play.merge("a")
    play.integrate("a")
    body = receipt(play)
    sealed = play.task("a").sealed
    assert body["mended"] == [
        {"attempt": 2, "gates": ["lint"], "commit": sealed.commit, "tree": sealed.tree, "changed": ["change"]}
    ]
    assert "mended" not in receipt(landed())


def test_a_fix_that_mended_nothing_is_none() -> None:
    gates = [a_gate("lint", INTEGRATE, fix=Command(argv=("lint", "--fix")))]
    play = Play(a_plan(a_task("a"), gates=gates, **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.merge("a")
    play.gates("a", "lint")
    play.mend("a")
    play.attempt("a")
    play.integrate("a")
    assert receipt(play)["sealed"]["commit"] == "sealed(a.2)"


# -- tests ----------------------------------------------------------------------------------------


def with_tests(after: str, before: str) -> Play:
    """A gate with test ids: those of the canary stand in one file, those of what landed in another."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", INTEGRATE, junit=True)], **NO_LOOK))
    play.record()
    play.opened()
    play.canary(GateResult(gate="tests", tree="tree(base)", status=GateStatus.PASS, tests=before))
    play.attempt("a")
    play.merge("a")
    play.gates("a", GateResult(gate="tests", tree="", status=GateStatus.PASS, tests=after))
    play.integrate("a")
    return play


def test_tests_before_and_after() -> None:
    play = with_tests("new", "old")
    ids = {"old": ("t::1", "t::2"), "new": ("t::2", "t::3")}
    (row,) = receipt(play, ids=ids)["gates"]
    assert row["tests"]["before"]["ids"] == ["t::1", "t::2"]
    assert row["tests"]["after"] == {
        "file": "new",
        "count": 2,
        "sha256": sha256(b"t::2\nt::3\n").hexdigest(),
        "ids": ["t::2", "t::3"],
    }
    assert (row["tests"]["added"], row["tests"]["gone"]) == (["t::3"], ["t::1"])


def test_too_many_tests_stand_by_their_hash() -> None:
    many = tuple(f"t::{n:05}" for n in range(MOST_IDS + 1))
    (row,) = receipt(with_tests("new", "old"), ids={"old": many[:-1], "new": many})["gates"]
    assert (row["tests"]["before"]["count"], len(row["tests"]["before"]["ids"])) == (MOST_IDS, MOST_IDS)
    assert (row["tests"]["after"]["count"], row["tests"]["after"]["ids"]) == (MOST_IDS + 1, None)
    assert row["tests"]["added"] == [many[-1]]


def test_a_file_of_ids_that_is_gone_is_told() -> None:
    (row,) = receipt(with_tests("new", "old"), ids={"new": ("t::1",)})["gates"]
    assert row["tests"]["before"] == {"file": "old", "count": None, "sha256": None, "ids": None}
    assert (row["tests"]["after"]["count"], row["tests"]["added"], row["tests"]["gone"]) == (1, None, None)


def test_tests_without_any_before() -> None:
    (row,) = receipt(with_tests("new", ""), ids={"new": ("t::1",)})["gates"]
    assert (row["tests"]["before"], row["tests"]["added"]) == (None, None)


# -- scope and tests that were touched ------------------------------------------------------------


def test_scope_says_what_was_allowed_and_what_was_changed() -> None:
    play = Play(a_plan(a_task("a", modify=("src/*",)), allowlist=("docs/**",), **NO_LOOK))
    play.begin()
    play.attempt("a", done(changes=("src/a", "docs/b")))
    play.integrate("a")
    assert receipt(play)["scope"] == {
        "verdict": "inside",
        "mode": "strict",
        "allowed": ["src/*", "docs/**"],
        "changed": [{"path": "src/a", "kind": "modified"}, {"path": "docs/b", "kind": "modified"}],
        "stray": [],
    }


def test_a_stray_change_that_reviewers_let_pass_is_told() -> None:
    play = Play(a_plan(a_task("a", modify=("src/*",), scope=Scope.REVIEW), **NO_LOOK), review=True)
    play.begin()
    play.attempt("a", done(changes=("src/a", "other")))
    play.integrate("a")
    scope = receipt(play)["scope"]
    assert (scope["verdict"], scope["mode"], scope["stray"]) == ("outside", "review", ["other"])


def test_changes_of_tests_are_told() -> None:
    change = TestChange(path="tests/test_a.py", line=3, kind=TestChangeKind.SKIPPED, detail="test_a")
    play = Play(a_plan(a_task("a", allow_test_changes=True), **NO_LOOK))
    play.begin()
    play.attempt("a", done(seal={"test_changes": (change,)}))
    play.integrate("a")
    assert receipt(play)["test_changes"] == [
        {"path": "tests/test_a.py", "line": 3, "kind": "skipped", "detail": "test_a"}
    ]


def test_checks_that_were_silenced_are_told_of_what_landed() -> None:
    """I14: of a change that was begun anew they are not; without any there is no key, so older receipts stay."""
    dropped, own, of_fix = (
        Silenced(path="a.py", by=by, line=line, detail="noqa")
        for line, by in enumerate((SilencedBy.COMMENT, SilencedBy.SETTING, SilencedBy.EXCEPTION))
    )
    play = Play(a_plan(a_task("a"), gates=(a_gate("lint", TASK, fix="lint --fix"),), **NO_LOOK))
    play.begin()
    play.attempt("a", done(seal={"silenced": (dropped,)}))
    play.gates("a", "lint")
    play.mend("a")
    play.attempt("a", done(seal={"silenced": (own,)}))
    play.gates("a", "lint")
    play.mend("a", "change", silenced=(of_fix, own))
    play.gates("a")
    play.integrate("a")
    body = receipt(play)
    assert [row["attempt"] for row in body["mended"]] == [2]
    assert body["silenced"] == [
        {"path": "a.py", "line": 1, "by": "setting", "detail": "noqa"},
        {"path": "a.py", "line": 2, "by": "exception", "detail": "noqa"},
    ]
    assert "silenced" not in receipt(landed())


# -- reviews, agents, people ----------------------------------------------------------------------


def test_verdicts_name_the_tree_they_are_about() -> None:
    """I7: a verdict counts for exactly one tree; what is parked is told with its ruling."""
    play = Play(a_plan(a_task("a"), **NO_LOOK), review=True)
    play.begin()
    play.attempt("a")
    play.attempt("a", fails(a_finding("bad"), model="m-1"))
    play.attempt("a", done(changes=("change", "second")))
    play.attempt("a", passes(a_finding("small", Severity.MINOR)))
    play.integrate("a")
    body = receipt(play)
    assert [(row["stage"], row["passed"], row["tree"]) for row in body["reviews"]] == [
        ("spec", False, "tree(a.1)"),
        ("spec", True, body["sealed"]["tree"]),
        ("quality", True, body["sealed"]["tree"]),
    ]
    assert body["reviews"][0]["model"] == "m-1"
    assert [(row["id"], row["ruling"], row["severity"]) for row in body["parked"]] == [("small", "minor", "minor")]
    assert [row["role"] for row in body["attempts"]] == [
        "implementer",
        "spec-reviewer",
        "fixer",
        "spec-reviewer",
        "quality-reviewer",
    ]
    assert {row["path"] for row in body["scope"]["changed"]} == {"change", "second"}
    assert body["base"] == "base"


def test_attempts_tell_who_and_what_they_used() -> None:
    play = Play(a_plan(a_task("a"), **NO_LOOK))
    play.begin()
    lost = play.effect(StartAttempt, "a")
    play.record(EffectLost(key=lost.key, detail="killed"))
    play.attempt("a", done(None, usage=Usage(tokens=10, usd=0.25, wall_s=2.0), changes=()))
    play.attempt("a", done(usage=Usage(tokens=5, wall_s=1.0, estimated=2, held_usd=0.5)))
    play.integrate("a")
    body = receipt(play)
    assert [(row["number"], row["launch"], row["exit"]["kind"], row["agent"]) for row in body["attempts"]] == [
        (1, 1, "lost", "agent"),
        (1, 2, "exited", "agent"),
        (2, 3, "exited", "agent"),
    ]
    assert body["attempts"][0]["usage"] is None
    assert body["usage"] == {"tokens": 15, "usd": 0.25, "held_usd": 0.5, "estimated": 2, "wall_s": 3.0}


def test_gates_that_were_lost_leave_nothing() -> None:
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", INTEGRATE)], **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.merge("a")
    play.record(EffectLost(key=play.effect(RunGates, "a").key, detail="killed"))
    play.integrate("a")
    assert [row["status"] for row in receipt(play)["gates"]] == ["pass"]


def test_a_merge_that_was_lost_is_no_attempt() -> None:
    play = Play(a_plan(a_task("a"), **NO_LOOK))
    play.begin()
    play.attempt("a")
    play.record(EffectLost(key=play.effect(MergeCandidate, "a").key, detail="killed"))
    play.integrate("a")
    assert len(receipt(play)["attempts"]) == 1


def test_people_are_named_with_what_they_answered() -> None:
    """I9: who said yes to what."""
    play = Play(a_plan(a_task("a", needs_human=True), **NO_LOOK))
    play.begin()
    play.record(DecisionAnswered(id=play.asked().id, choice="approve", by="uma", note="for you only"))
    play.through("a")
    body = receipt(play)
    assert [(row["kind"], row["choice"], row["by"], row["command"]) for row in body["decisions"]] == [
        ("start", "approve", "uma", None)
    ]
    assert body["approved"] == ["start"]
    assert "for you only" not in canonical(body)


# -- the run --------------------------------------------------------------------------------------


def test_a_run_names_its_receipts_by_their_hash() -> None:
    play = Play(a_plan(a_task("a"), a_task("b", "a"), gates=[a_gate("last", RUN)], **NO_LOOK), unattended=True)
    play.begin()
    play.through("a")
    play.attempt("b", done(None, changes=()))
    play.attempt("b", done(None, changes=()))
    play.gates()
    book = book_of(play.journal)
    made = book.of_run()
    body = made.body
    assert (made.task, made.commit, body["kind"]) == ("", play.state.head, "run")
    assert body["tasks"] == [
        {
            "id": "a",
            "state": "integrated",
            "reason": "integrated",
            "landed": play.task("a").landed,
            "sha256": book.tasks["a"].sha256,
        },
        {"id": "b", "state": "failed", "reason": play.task("b").reason.value, "landed": None, "sha256": None},
    ]
    assert (body["state"], body["head"]) == ("failed", {"commit": play.state.head, "tree": play.state.head_tree})
    assert [(row["id"], row["point"], row["status"]) for row in body["gates"]] == [("last", "run", "pass")]
    assert body["options"]["agents"] == [{"name": "agent", "kind": "command", "model": None}]
    assert body["accepted"] is None
    assert body["detail"] == play.state.finished.detail


def test_a_run_tells_of_the_look_at_the_whole_and_where_it_was_accepted() -> None:
    play = Play(a_plan(a_task("a"), gates=[a_gate("last", RUN)]), review=True)
    play.begin()
    play.through("a")
    play.gates()
    play.attempt("", passes(model="m"))
    play.record(RunAccepted(target="main", commit="c", how="squash"))
    body = book_of(play.journal).of_run().body
    assert [(row["stage"], row["tree"], row["passed"], row["model"]) for row in body["holistic"]] == [
        ("holistic", play.state.head_tree, True, "m")
    ]
    assert body["accepted"] == {"target": "main", "commit": "c", "how": "squash"}
    assert [row["role"] for row in body["attempts"]] == ["holistic-reviewer"]
    assert body["state"] == "finished"


def test_gates_of_an_earlier_head_are_none_of_the_run() -> None:
    play = Play(a_plan(a_task("a"), gates=[a_gate("last", RUN)], **NO_LOOK))
    play.begin()
    play.through("a")
    play.gates("", failed("last"))
    play.through("fix-1")
    assert book_of(play.journal).of_run().body["gates"] == []
    play.gates()
    assert [row["status"] for row in book_of(play.journal).of_run().body["gates"]] == ["pass"]


def test_a_run_that_has_not_begun_stands_at_its_base() -> None:
    play = Play(a_plan(a_task("a")))
    made = book_of(play.journal).of_run()
    assert (made.commit, made.body["head"], made.body["total"]) == (
        "base",
        {"commit": "base", "tree": ""},
        {"tokens": None, "usd": None},
    )


def test_what_all_of_it_cost_is_summed_by_the_run() -> None:
    play = Play(a_plan(a_task("a"), **NO_LOOK))
    play.begin()
    play.attempt("a", done(usage=Usage(tokens=5, usd=0.1, wall_s=1.0)))
    play.integrate("a")
    assert book_of(play.journal).of_run().body["total"] == {"tokens": 5, "usd": 0.1}


def test_another_plan_is_another_hash() -> None:
    play = Play(a_plan(a_task("a"), a_task("b", "a", needs_human=True), **NO_LOOK))
    play.begin()
    play.through("a")
    play.record(RunReplanned(plan=a_plan(a_task("a"), a_task("b", "a", approach="another"), **NO_LOOK), by="uma"))
    seq = next(each.seq for each in play.journal if isinstance(each.event, RunReplanned))
    play.through("b")
    book = book_of(play.journal)
    assert book.tasks["a"].body["plan"]["sha256"] == "plan-1"
    assert book.tasks["b"].body["plan"]["sha256"] == f"plan-{seq}"


def test_a_landing_found_after_damage_has_no_evidence() -> None:
    play = Play(a_plan(a_task("a"), a_task("b"), **NO_LOOK))
    play.begin()
    for effect in list(play.state.inflight.values()):
        play.record(EffectLost(key=effect.key, detail="gone"))
        break
    play.record(HistoryLost(detail="a page"))
    play.record(TaskFound(task="b", status=TaskStatus.INTEGRATED, landed="m", commit="s"))
    play.record(TaskFound(task="a", status=TaskStatus.WAITING, attempts=4))
    found = book_of(play.journal).tasks
    assert list(found) == ["b"]
    assert (found["b"].commit, found["b"].body["landed"], found["b"].gates) == ("m", "m", ())
    assert "lost" in found["b"].body["evidence"]


# -- differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "places"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, ["a"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b[1]"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, ["a", "b", "c"]),
        ([1], {"a": 1}, ["everything"]),
    ],
)
def test_where_two_receipts_differ(ours: Any, theirs: Any, places: list[str]) -> None:
    assert differences(ours, theirs) == places


# -- old journals ---------------------------------------------------------------------------------


def receipts_of(folder: Path) -> dict[str, str]:
    """The hash of every receipt of a recorded run."""
    book = ReceiptBook(lambda name: None)
    for recorded, line in zip(goldens.recorded(folder), goldens.lines(folder), strict=True):
        book.take(Entry(recorded=recorded, chain=line.chain, plan_sha256="p"))
    return {receipt.task or "(run)": receipt.sha256 for receipt in (*book.tasks.values(), book.of_run())}


def test_old_journals_give_the_receipts_they_gave() -> None:
    """I14: a note was written once; whoever verifies it with a later release puts the same bytes together.

    What a receipt tells belongs to its format: more or other words need `chargehand-receipt/2`, and this one stays.
    """
    known = json.loads((goldens.GOLDEN / "receipts.json").read_text("ascii"))
    now = {"/".join(folder.parts[-2:]): receipts_of(folder) for folder in goldens.journals()}
    assert {name: now[name] for name in known} == known
    assert len(known) >= 38
