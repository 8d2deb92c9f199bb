"""The plans of the crash suite, what their agents do, and what people answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chargehand.demo.stage import SAMPLE
from chargehand.domain.commands import Request, RequestKind
from chargehand.domain.outcome import (
    AgentExit,
    AttemptResult,
    Blocker,
    BlockerKind,
    Concern,
    ConcernKind,
    ExitKind,
    Kickback,
    KickbackSignal,
    Report,
    ReportStatus,
)
from chargehand.domain.plan import Barrier, Command, Files, GatePoint, Interfaces, Plan
from chargehand.domain.words import RunVerdict
from chargehand.plans.detect import read_plan
from tests.crash.model import Act
from tests.looks import a_finding, broke_rules, fails, fitted, not_met, passes, researched
from tests.play import a_gate, a_plan, a_task

__all__ = ["STORIES", "Story"]

S = ReportStatus


@dataclass(frozen=True, kw_only=True)
class Story:
    """A plan, the acts of its agents, the answers of its people (by task and kind of question), and how it ends.

    `landed` are the tasks that land. `steady`: whatever is interrupted, every task goes through the same steps; where
    it is not, an attempt that is redone on a newer head has nothing to conflict with. `requests` are what people ask
    for once the journal holds an event of this name about this task. `seen`: what becomes of a task does not depend
    on whether an attempt came to its end while nobody looked; it does where people cancel it.
    """

    plan: Plan
    acts: Mapping[str, Sequence[Act | AttemptResult]] = field(default_factory=dict)
    answers: Mapping[tuple[str, str], str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    verdict: RunVerdict = RunVerdict.FINISHED
    landed: Sequence[str] = ()
    steady: bool = True
    requests: Mapping[tuple[str, str], Request] = field(default_factory=dict)
    seen: bool = True


def says(status: ReportStatus, **fields: Any) -> Act:
    """An agent that changes nothing and says so."""
    return Act(report=Report(status=status, **fields))


def ends(kind: ExitKind, **fields: Any) -> Act:
    """An agent that comes to an end without a report."""
    return Act(report=None, exit=AgentExit(kind=kind, **fields))


def wrote(path: str, text: str = "good\n", **fields: Any) -> Act:
    """An agent that writes a file and is done."""
    return Act(write={path: text}, **fields)


def _demo() -> Story:
    """The plan of `make demo`, with the same mishaps: a conflict, a lie, a stray file, two red gates."""
    plan = read_plan(SAMPLE / "plan.yaml", SAMPLE).plan
    assert plan is not None
    files = {task.id: dict.fromkeys(task.files.writes, f"{task.id}\n") for task in plan.tasks if task.files}
    note = {name: Act(write=files[name], lines={"CHANGES.md": f"- {name}"}) for name in ("ledger", "csvfile")}
    good = {name: Act(write=written) for name, written in files.items()}
    return Story(
        plan=plan,
        acts={
            **{name: [act] for name, act in good.items()},
            "ledger": [note["ledger"]],
            "csvfile": [note["csvfile"]],
            "money": [Act(write={**files["money"], "stockroom/money.py": "red:verify-1\n"}), good["money"]],
            "search": [Act(), good["search"]],
            "labels": [Act(write={**files["labels"], "stockroom/stray.py": "x\n"}), good["labels"]],
            "report": [Act(write={**files["report"], "stockroom/report.py": "red:tests\n"}), good["report"]],
        },
        options={"jobs": 4, "unattended": True},
        landed=[task.id for task in plan.tasks],
        steady=False,
    )


def _conflicts() -> Story:
    """Four tasks add to one list at the same time; one of them to another, too."""
    names = "abcd"
    acts = {name: [Act(lines={"list.txt": name}, write={f"{name}.txt": "x\n"})] for name in names}
    acts["d"] = [Act(lines={"list.txt": "d", "other.txt": "d"})]
    acts["e"] = [Act(lines={"other.txt": "e"})]
    tasks = [a_task(name) for name in names]
    plan = a_plan(*tasks, a_task("e", "a"), gates=[a_gate("tests")])
    return Story(plan=plan, acts=acts, landed=[*names, "e"], options={"jobs": 4}, steady=False)


def _retries() -> Story:
    """Everything that leads to another attempt, one after the other, and what is given up in the end."""
    tests = a_gate("tests")
    lint = a_gate("lint", GatePoint.TASK, GatePoint.RUN)
    concern = Report(status=S.DONE_WITH_CONCERNS, concerns=(Concern(text="odd", kind=ConcernKind.SPEC),))
    stuck = says(S.BLOCKED, blocker=Blocker(text="README.md is missing.", kind=BlockerKind.CONTEXT))
    return Story(
        plan=a_plan(
            a_task("red", modify=["red.txt"], verify=(Command(argv=("check",)),)),
            a_task("crash", "red", modify=["crash.txt"]),
            a_task("concern", modify=["concern.txt"]),
            a_task("limit", modify=["limit.txt"]),
            a_task("context", "limit", files=Files(modify=("context.txt",), read=("README.md",))),
            a_task("hopeless", modify=["hopeless.txt"]),
            a_task("orphan", "hopeless", modify=["orphan.txt"]),
            gates=[lint, tests],
        ),
        acts={
            "red": [wrote("red.txt", "red:lint\n"), wrote("red.txt")],
            "crash": [ends(ExitKind.EXITED, code=3), wrote("crash.txt")],
            "concern": [wrote("concern.txt", "odd\n", report=concern), wrote("concern.txt")],
            "limit": [ends(ExitKind.RATE_LIMITED), wrote("limit.txt")],
            "context": [says(S.NEEDS_CONTEXT, missing_context=("README.md",)), stuck, wrote("context.txt")],
            "hopeless": [wrote("hopeless.txt", "red:tests one\n"), wrote("hopeless.txt", "red:tests two\n")],
        },
        options={"jobs": 6, "unattended": True},
        verdict=RunVerdict.FAILED,
        landed=["red", "crash", "concern", "limit", "context"],
    )


def _decisions() -> Story:
    """People are asked before, in the middle and at the end, about tasks and about the run."""
    complex_ = Blocker(text="two things at once", kind=BlockerKind.TOO_COMPLEX)
    back = Kickback(signal=KickbackSignal.MISSING_CONTEXT, details="which database?")
    failed = says(S.FAILED, summary="it does not work")
    return Story(
        plan=a_plan(
            a_task("asked", modify=["asked.txt"], needs_human=True),
            a_task("refused", modify=["refused.txt"], needs_human=True),
            a_task("split", modify=["split.txt"]),
            a_task("fails", modify=["fails.txt"]),
            a_task("gone", modify=["gone.txt"]),
            a_task("back", "asked", modify=["back.txt"]),
            gates=[a_gate("tests")],
        ),
        acts={
            "asked": [wrote("asked.txt")],
            "split": [says(S.BLOCKED, blocker=complex_), wrote("split.txt")],
            "fails": [failed, failed, wrote("fails.txt")],
            "gone": [ends(ExitKind.ENV_MISSING)],
            "back": [says(S.KICKBACK, kickback=back), wrote("back.txt")],
        },
        answers={
            ("asked", "start"): "approve",
            ("refused", "start"): "reject",
            ("split", "split"): "retry",
            ("fails", "escalation"): "retry",
            ("gone", "escalation"): "skip",
            ("back", "kickback"): "retry",
        },
        options={"jobs": 6},
        verdict=RunVerdict.FAILED,
        landed=["asked", "split", "fails", "back"],
    )


def _waves() -> Story:
    """Waves with a barrier: a red wave gate and a mismatched interface get fix tasks, the run gate too."""
    wave = a_gate("wave", GatePoint.WAVE)
    run = a_gate("run", GatePoint.RUN)
    offers = Report(status=S.DONE, interfaces=("f(x: str)",))
    mends = Report(status=S.DONE, interfaces=("f(x: int)",))
    return Story(
        plan=a_plan(
            a_task("one", modify=["one.txt"], wave=1, interfaces=Interfaces(produces=("f(x: int)",))),
            a_task("two", modify=["two.txt"], wave=1),
            a_task("three", "one", modify=["three.txt"], wave=2, interfaces=Interfaces(consumes=("f(x: int)",))),
            a_task("four", "two", modify=["four.txt"], wave=3),
            gates=[wave, run],
            barrier=Barrier.WAVE,
        ),
        acts={
            "one": [wrote("one.txt", report=offers)],
            "two": [wrote("two.txt", "red:wave\n")],
            "fix-1": [Act(write={"two.txt": "red:wave still\n", "one.txt": "better\n"}, report=mends)],
            "fix-2": [wrote("two.txt")],
            "four": [wrote("four.txt", "red:run\n")],
            "fix-3": [wrote("four.txt")],
        },
        options={"jobs": 3, "unattended": True},
        landed=["one", "two", "fix-1", "fix-2", "three", "four", "fix-3"],
    )


def ask(kind: RequestKind, task: str = "", **fields: Any) -> Request:
    """What somebody asks for; the same request however often it is left."""
    return Request(id=f"{kind} {task}", kind=kind, task=task, by="me", **fields)


def _commands() -> Story:
    """People pause, cancel, retry, skip and replan while it runs."""
    failed = says(S.FAILED, summary="it does not work")
    old = a_plan(
        a_task("a", modify=["a.txt"]),
        a_task("b", modify=["b.txt"]),
        a_task("bad", modify=["bad.txt"]),
        a_task("left", "b", "bad", modify=["left.txt"]),
        a_task("slow", modify=["slow.txt"]),
        gates=[a_gate("tests")],
    )
    new = replace(old, tasks=(*old.tasks, a_task("new", "bad", modify=["new.txt"])))
    return Story(
        plan=old,
        acts={"bad": [failed, failed, wrote("bad.txt")]},
        requests={
            ("AttemptFinished", "a"): ask(RequestKind.PAUSE, at_once=True),
            ("TaskIntegrated", "a"): ask(RequestKind.CANCEL, "slow"),
            ("TaskEnded", "slow"): ask(RequestKind.SKIP, "left"),
            ("TaskEnded", "bad"): ask(RequestKind.RETRY, "bad", note="The other way round."),
            ("TaskIntegrated", "bad"): ask(RequestKind.REPLAN, plan=new),
        },
        options={"jobs": 5, "unattended": True},
        verdict=RunVerdict.FAILED,
        landed=["a", "b", "bad", "new"],
        seen=False,
    )


def _cancelled() -> Story:
    """The whole run is cancelled in the middle: what has landed stays, everything else ends."""
    return Story(
        plan=a_plan(*(a_task(name, modify=[f"{name}.txt"]) for name in "abcd"), gates=[a_gate("tests")]),
        requests={("TaskIntegrated", "a"): ask(RequestKind.CANCEL)},
        options={"jobs": 3},
        verdict=RunVerdict.CANCELLED,
        landed=["a"],
        seen=False,
    )


def _reviews() -> Story:
    """Findings and fixes at both stages, stage 1 asked again on the way, void and malformed verdicts, a yes."""
    limited = AttemptResult(exit=AgentExit(kind=ExitKind.RATE_LIMITED))
    wide = Act(write={"wide.txt": "better\n", "beside.txt": "new\n"})
    return Story(
        plan=a_plan(
            a_task("fixed", modify=["fixed.txt"], verify=(Command(argv=("check",)),)),
            a_task("wide"),
            a_task("void", "fixed", modify=["void.txt"]),
            a_task("taken", modify=["taken.txt"]),
            a_task("after", "taken", "wide", modify=["after.txt"]),
            gates=[a_gate("tests"), a_gate("lint", GatePoint.TASK, fix=Command(argv=("lint", "--fix")))],
        ),
        acts={
            "fixed": [
                wrote("fixed.txt", "one\n"),
                fails(a_finding(file="fixed.txt"), criteria=[not_met("it works")]),
                wrote("fixed.txt", "two\n"),
                passes(),
                fails(a_finding(file="fixed.txt")),
                wrote("fixed.txt", "three\n"),
                limited,
                passes(),
            ],
            "wide": [
                wrote("wide.txt"),
                passes(),
                fails(a_finding(file="wide.txt")),
                wide,
                fails(a_finding(file="beside.txt")),
                wrote("beside.txt", "newer\n"),
                passes(),
                passes(),
            ],
            "void": [wrote("void.txt", "red:lint\n"), broke_rules(), fails(), passes(), passes()],
            "taken": [wrote("taken.txt"), fails(), fails()],
            "run": [fails(a_finding(file="wide.txt"))],
        },
        answers={("taken", "review"): "approve"},
        options={"jobs": 6, "review": True},
        landed=["fixed", "wide", "void", "taken", "after", "fix-1"],
    )


def _health() -> Story:
    """Gates that need time, or a fitter, at a task, as merged and at the end; research for a plan that is returned."""
    back = Kickback(signal=KickbackSignal.NEEDS_RESEARCH, details="which tree?")
    unstuck = (("STUCK_JOBS", "1"),)
    points = (GatePoint.TASK, GatePoint.INTEGRATE)
    return Story(
        plan=a_plan(
            a_task("slow", modify=["slow.txt"]),
            a_task("stuck", modify=["stuck.txt"]),
            a_task("last", "slow", "stuck", modify=["last.txt"]),
            a_task("back", "last", modify=["back.txt"]),
            gates=[a_gate("tests", *points), a_gate("lint", GatePoint.INTEGRATE), a_gate("end", GatePoint.RUN)],
        ),
        acts={
            "slow": [wrote("slow.txt", "slow:tests\n")],
            "stuck": [wrote("stuck.txt", "stuck:lint\n"), fitted("lint", env=unstuck)],
            "last": [wrote("last.txt", "stuck:end\n")],
            "back": [says(S.KICKBACK, kickback=back), researched()],
            "run": [fitted("end", env=unstuck)],
        },
        answers={("back", "kickback"): "skip"},
        options={"jobs": 4},
        landed=["slow", "stuck", "last"],
    )


def _train() -> Story:
    """Candidates gated on each other, one of them red as merged: those behind it are built anew."""
    return Story(
        plan=a_plan(*(a_task(name, modify=[f"{name}.txt"]) for name in "abcd"), gates=[a_gate("tests")]),
        acts={"b": [wrote("b.txt", "red:tests\n"), wrote("b.txt")]},
        options={"jobs": 4},
        landed=["a", "b", "c", "d"],
        steady=False,
    )


STORIES: Mapping[str, Any] = {
    "demo": _demo,
    "conflicts": _conflicts,
    "retries": _retries,
    "decisions": _decisions,
    "waves": _waves,
    "commands": _commands,
    "cancelled": _cancelled,
    "reviews": _reviews,
    "health": _health,
    "train": _train,
}
