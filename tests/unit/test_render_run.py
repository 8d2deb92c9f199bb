"""How runs, tasks and plans are drawn for people."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial

import pytest
from rich.cells import cell_len

from chargehand.cli.output import Output
from chargehand.cli.progress import event_line, id_room, spoken
from chargehand.cli.prompts import chosen
from chargehand.cli.render.board import Board, board_lines
from chargehand.cli.render.checked import check_lines
from chargehand.cli.render.header import header_lines
from chargehand.cli.render.lines import Rank, say
from chargehand.cli.render.pen import PLAIN, Pen
from chargehand.cli.render.story import story_document, story_lines
from chargehand.cli.render.summary import decision_lines, status_lines, summary_lines
from chargehand.cli.stories import pick, tell_stories
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import CommandDropped, DecisionAnswered, DecisionAsked, EffectIntended
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.hand_edits import ask_about_edits
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import AttemptResult, GateStatus, ReportStatus
from chargehand.domain.plan import Command, Complexity, GatePoint, GateSpec, Mode, Task, Weight
from chargehand.domain.policy import HOUSE, Policy
from chargehand.domain.review import Stage
from chargehand.domain.silencing import Silenced, SilencedBy
from chargehand.domain.words import Decision, DecisionKind, HandEdit, Means, Reason, TaskWord
from chargehand.plans.checking import check_loaded
from chargehand.plans.native import parse_plan
from chargehand.ports import AttemptSpec
from chargehand.testing.fakes import attempt_result
from tests.looks import passes
from tests.play import Play, a_plan
from tests.unit.played import play

FAILS = partial(attempt_result, status=ReportStatus.FAILED, summary="no idea")


def plain_task(name: str, *needs: str, title: str = "") -> Task:
    return Task(id=name, title=title or f"The {name}", depends_on=needs)


# -- the end of a run -----------------------------------------------------------------------------


def test_a_green_run_says_where_it_is_and_how_to_take_it():
    state, _ = play(plain_task("a"), plain_task("b", "a"))
    lines = summary_lines(state, PLAIN)
    text = "\n".join(lines)
    assert "✓  a  integrated" in text
    assert "branch: chargehand/r-1 at" in text
    assert lines[-1] == "next: chargehand accept r-1"
    assert "chargehand accept" not in "\n".join(summary_lines(state, PLAIN, accepted="main is at x"))


def test_what_failed_says_why_and_where_to_look():
    state, _ = play(plain_task("a"), plain_task("b", "a"), outcomes={"a": FAILS}, unattended=True)
    text = "\n".join(summary_lines(state, PLAIN))
    assert "a failed (" in text
    assert "no idea" in text
    assert "chargehand show a --log --run r-1" in text
    assert "1 task blocked on a: b" in text
    assert "next: chargehand log r-1" in text
    assert text.endswith(
        "or take it up again: chargehand retry a --run r-1\n               then: chargehand resume r-1"
    )


def test_several_that_failed_are_taken_up_again_together():
    state, _ = play(plain_task("a"), plain_task("b"), outcomes={"a": FAILS, "b": FAILS}, unattended=True)
    assert "chargehand retry --all --run r-1" in "\n".join(summary_lines(state, PLAIN))


def test_a_run_that_failed_by_its_gates_alone_is_not_taken_up_by_retry():
    gate = GateSpec(id="all", run=Command(argv=("true",)), on=frozenset({GatePoint.RUN}))
    gates: dict[Hashable, GateStatus] = {("run-0/0/gates", "all"): GateStatus.FAIL}
    state, _ = play(
        plain_task("a"), plan={"gates": (gate,)}, gates=gates, unattended=True, policy=replace(HOUSE, run_fixes=0)
    )
    lines = summary_lines(state, PLAIN)
    assert lines[-1] == "next: chargehand log r-1"


def test_several_questions_are_one_step():
    """The list of them comes before all else; also where the run is over, and only files are asked about."""
    state, _ = play(plain_task("a"), plain_task("b"), outcomes={"a": FAILS, "b": FAILS})
    assert summary_lines(state, PLAIN)[-1] == "next: chargehand decisions r-1, then chargehand resume r-1"
    state, _ = play(plain_task("a"), plain_task("b"))
    word = TaskWord(task="b", ours="done", theirs="to do", means=Means.OPEN)
    for event in ask_about_edits(state, [HandEdit(file="f", digest="d", kept="k", words=(word,))]):
        evolve(state, event, 2000.0)
    assert summary_lines(state, PLAIN)[-1] == "next: chargehand answer d1 file|ours --run r-1"


def test_a_waiting_run_shows_each_question_with_its_answers():
    state, _ = play(plain_task("a"), outcomes={"a": FAILS})
    text = "\n".join(summary_lines(state, PLAIN))
    assert "d1 (a): " in text
    assert "- retry: another attempt" in text
    assert "answer with: chargehand answer d1 retry|skip|stop --run r-1" in text
    assert text.endswith("next: chargehand answer d1 retry|skip|stop --run r-1, then chargehand resume r-1")
    held = "\n".join(status_lines(state, PLAIN, 1000.0, held=True))
    assert "chargehand resume" not in held
    assert decision_lines(state, PLAIN, only="d2") == []
    elsewhere = "\n".join(decision_lines(state, Pen(where=" --repo x")))
    assert "chargehand answer d1 retry|skip|stop --run r-1 --repo x" in elsewhere


@pytest.mark.parametrize("width", [20, 40, 80])
def test_nothing_is_wider_than_the_terminal_but_what_is_to_be_copied(width: int):
    state, _ = play(plain_task("a", title="漢字 " * 30), outcomes={"a": FAILS})
    for line in summary_lines(state, Pen(width=width)):
        assert cell_len(line) <= width or "chargehand" in line, line


def test_thousands_of_tasks_do_not_scroll_what_matters_away():
    state, _ = play(*[plain_task(f"t{n}") for n in range(150)], outcomes={"t7": FAILS}, unattended=True)
    lines = summary_lines(state, PLAIN)
    assert len(lines) < 20
    assert any("t7  failed" in line for line in lines)
    assert "  … and 149 more (--json has all)" in lines


def test_what_nobody_drives_is_not_running():
    _, events = play(plain_task("a"))
    starts = [e.seq for e in events if isinstance(e.event, EffectIntended) and isinstance(e.event.effect, StartAttempt)]
    state = fold([recorded for recorded in events if recorded.seq <= starts[0]])
    text = "\n".join(status_lines(state, PLAIN, 1000.0, held=False))
    assert "a: It was at work when the run stopped; `chargehand resume r-1` looks what became of it." in text
    assert "was running" in text
    assert "It is running: attempt 1 is running." in "\n".join(status_lines(state, PLAIN, 1000.0, held=True))


def test_the_attempts_of_a_task_are_those_of_who_writes():
    """Reviewers made none: what was right the first time took one attempt."""
    run = Play(a_plan(plain_task("a")), review=True)
    run.begin()
    run.attempt("a")
    for _ in range(2):
        run.attempt("a", passes())
    assert run.task("a").attempts == 3
    assert "  1 attempt  " in "\n".join(status_lines(run.state, PLAIN, 1000.0, held=True))


# -- the header -----------------------------------------------------------------------------------


def test_the_header_names_caps_sandbox_agents_and_reviews():
    state, _ = play(plain_task("a"), review=True, target="main", jobs=2, only=("a",))
    text = "\n".join(header_lines(state, PLAIN, sandbox="Sandbox: none."))
    for part in (
        *("p: 1 task in 1 wave", "main", "chargehand/r-1", "agent (agent --do); 2 slots", "  sandbox    none."),
        *(
            "30m an attempt (5m of silence), 16 attempts a task, 12h, 100,000,000 tokens, $250 the run",
            "spec and quality, by a fresh agent; then the run as a whole",
            "only",
        ),
    ):
        assert part in text


def test_the_header_counts_what_is_left_out_and_tells_a_detached_head():
    state, _ = play(plain_task("a"))
    text = "\n".join(header_lines(state, PLAIN, sandbox="Sandbox: none.", uncommitted=1))
    assert "1 uncommitted change in your checkout is not part of the run" in text
    assert "HEAD is detached: `accept` will need --target BRANCH" in text
    assert "uncommitted" not in "\n".join(header_lines(state, PLAIN, sandbox="Sandbox: none."))


@pytest.mark.parametrize(
    ("policy", "tasks", "said"),
    [
        (Policy(stages=()), [plain_task("a")], "reviews none in profile house: gates and evidence alone decide"),
        (
            Policy(stages=(Stage.SPEC,)),
            [
                plain_task("a"),
                replace(plain_task("b"), reviewed=False),
                replace(plain_task("c"), reviewed=False, mode=Mode.SEQUENTIAL),
                replace(plain_task("d"), weight=Weight.LIGHT, complexity=Complexity.TRIVIAL, reviewer="other"),
                replace(plain_task("e"), weight=Weight.LIGHT, complexity=Complexity.TRIVIAL),
            ],
            "spec, by a fresh agent; then the run as a whole; not b: parallel, gates alone decide; not c: the plan",
        ),
        (
            HOUSE,
            [replace(plain_task("a"), reviewed=False, mode=Mode.SEQUENTIAL)],
            "reviews none of a task; then the run as a whole; not a: the plan says so",
        ),
    ],
)
def test_the_header_says_the_reviews_that_come(policy: Policy, tasks: list[Task], said: str):
    """The stages of the policy, the tasks that are reviewed, and why the others are not."""
    run = Play(a_plan(*tasks), review=True, policy=policy, agents=[AgentDef(name="other", kind="command")])
    text = " ".join(" ".join(header_lines(run.state, PLAIN, sandbox="Sandbox: none.")).split())
    assert said in text
    assert text.endswith("; not d, e: trivial and light") == (len(tasks) > 1)


# -- progress -------------------------------------------------------------------------------------


def test_each_change_of_state_is_a_line():
    state, events = play(plain_task("a"))
    lines = [spoken(recorded, state) for recorded in events]
    drawn = [event_line(0.0, line, PLAIN, ids=id_room(state.tasks))[9:] for line in lines if line.rank >= Rank.CHANGE]
    words = [line.split()[1] for line in drawn if line.startswith("a ")]
    assert words == ["running", "gating", "integrating", "integrated"]
    assert "a     running     attempt 1 by agent, from" in "\n".join(drawn)


def test_a_line_is_cut_to_the_terminal():
    state, events = play(plain_task("a"), outcomes={"a": FAILS}, unattended=True)
    for recorded in events:
        assert cell_len(event_line(0.0, spoken(recorded, state), Pen(width=60), ids=5)) <= 60


# -- the board ------------------------------------------------------------------------------------


def board_of(count: int, rows: int, width: int = 80) -> list[str]:
    state, events = play(*[plain_task(f"t{n}") for n in range(count)], outcomes={"t1": FAILS})
    board = Board()
    for recorded in events:
        board.take(recorded)
    board.print("t2/1/attempt", "漢字" * 40)
    return board_lines(board, state, Pen(width=width), 1010.0, rows=rows)


def test_the_board_has_a_line_a_task_open_questions_and_sums():
    lines = board_of(3, rows=20)
    assert [line.split()[1] for line in lines[:3]] == ["t0", "t1", "t2"]
    assert "? d1 waits: chargehand answer d1 retry|skip|stop" in lines[3]
    assert "0 of 4 slots · 2 of 3 tasks over" in lines[-1]


@pytest.mark.parametrize("rows", [5, 8, 24])
def test_many_tasks_are_counted_where_there_is_no_room(rows: int):
    lines = board_of(60, rows=rows)
    assert len(lines) <= max(rows, 5)
    assert any("… and " in line and "integrated" in line for line in lines)


def listed_board(rows: int, *, width: int = 60, done: int = 0) -> list[str]:
    state, _ = play(*[plain_task(f"t{n}") for n in range(3)])
    board, pen = Board(), Pen(width=width)
    lines = [f"[{'x' if n < done else '-' if n == done else ' '}] item {n} " + "long " * 20 for n in range(40)]
    return board_lines(board, state, pen, 1010.0, rows=rows, listed=lines)


@pytest.mark.parametrize(("rows", "done"), [(5, 0), (12, 20), (24, 39), (60, 3)])
def test_a_list_of_the_plans_system_stands_in_place_of_the_tasks(rows: int, done: int):
    """As much of it as there is room for, around what is under way."""
    lines = listed_board(rows, done=done)
    assert len(lines) <= max(rows, 5)
    assert any(line.startswith(f"  [-] item {done} ") for line in lines)
    assert all(cell_len(line) <= 60 for line in lines)
    assert "tasks over" in lines[-1]
    assert not any("t0" in line for line in lines), "what is at rest stands in the list"


def test_beside_a_list_stands_what_is_under_way():
    _, events = play(plain_task("a"), plain_task("b"))
    begun = next(
        n
        for n, each in enumerate(events, start=1)
        if isinstance(each.event, EffectIntended) and each.event.effect.key.startswith("a/")
    )
    board = Board()
    for recorded in events[:begun]:
        board.take(recorded)
    lines = board_lines(board, fold(events[:begun]), PLAIN, 1010.0, rows=20, listed=("[-] the first", "[ ] the second"))
    assert lines[:2] == ["  [-] the first", "  [ ] the second"]
    assert lines[2].split()[1:3] == ["a", "running"]
    assert len(lines) == 4


@pytest.mark.parametrize("width", [20, 30, 60])
def test_the_board_fits_a_narrow_terminal(width: int):
    assert all(cell_len(line) <= width for line in board_of(3, rows=20, width=width))


def test_a_question_breaks_at_words_where_the_board_is_narrow():
    lines = board_of(3, rows=24, width=60)
    start = next(n for n, line in enumerate(lines) if "? d1 waits" in line)
    asked = " ".join(line.strip() for line in lines[start:-1])
    assert "The same failure twice: The agent reports failure: no idea" in asked
    assert len(lines) - 1 - start > 1


# -- a task ---------------------------------------------------------------------------------------


def test_the_story_of_a_task():
    gate = GateSpec(id="tests", run=Command(argv=("make", "test")), on=frozenset({"task"}))  # type: ignore[arg-type]
    state, events = play(
        plain_task("a"),
        outcomes={("a", 1): FAILS},
        gates={("a", 2, "tests"): GateStatus.FAIL},
        plan={"gates": (gate,)},
        unattended=True,
    )
    stories = tell_stories(events, "a")
    assert [story.number for story in stories] == [1, 2]
    assert stories[0].sent_back == "retry"
    assert [(point.value, result.status.value) for point, result in stories[1].gates] == [("task", "fail")]
    text = "\n".join(story_lines(state, state.tasks["a"], stories, PLAIN, 1000.0))
    assert "report: FAILED no idea" in text
    assert "gate tests (task): fail" in text
    document = story_document(state, state.tasks["a"], stories, 1000.0)
    assert [attempt["attempt"] for attempt in document["attempts"]] == [1, 2]


@pytest.mark.parametrize("number", [0, 1, 5, 7])
def test_what_a_change_silences_stands_with_its_attempt(number: int):
    """The first of them, and how many more there are."""

    def silencing(spec: AttemptSpec) -> AttemptResult:
        result = attempt_result(spec)
        assert result.sealed is not None
        found = tuple(
            Silenced(path="a.py", by=SilencedBy.COMMENT, detail="# noqa", line=n) for n in range(1, number + 1)
        )
        return replace(result, sealed=replace(result.sealed, silenced=found))

    state, events = play(plain_task("a"), outcomes={"a": silencing})
    lines = story_lines(state, state.tasks["a"], tell_stories(events, "a"), PLAIN, 1000.0)
    told = [line.strip() for line in lines if line.strip().startswith("silences:")]
    shown = [f"silences: a.py:{n} comment # noqa" for n in range(1, min(number, 5) + 1)]
    assert told == shown + ["silences: and 2 more"] * (number == 7)


def test_what_nobody_answered_in_time_stands_with_its_attempt():
    _, events = play(plain_task("a"))
    start = next(n for n, e in enumerate(events) if isinstance(getattr(e.event, "effect", None), StartAttempt))
    asked = Decision(
        id="d9",
        task="a",
        kind=DecisionKind.COMMAND,
        reason=Reason.COMMAND_REJECTED,
        question="May it?",
        choices=("approve", "deny", "reject"),
        default="deny",
        command="rm -rf /srv",
        call="c9",
    )
    at = events[start]
    told = [replace(at, event=event) for event in (DecisionAsked(decision=asked), CommandDropped(call="c9"))]
    for number, expected in ((1, ("", "")), (2, ("", "nobody answered in time: denied"))):
        (story,) = tell_stories([*events[: start + 1], *told[:number], *events[start + 1 :]], "a")
        (call,) = story.calls
        assert (call.command, (call.choice, call.dropped)) == ("rm -rf /srv", expected)


def test_a_review_question_says_what_unattended_answers_and_how_to_go_without():
    """SPEC 9: `block` is no choice of a person; a program that knows no verdicts is told how to be spared reviews."""
    state, _ = play(plain_task("a"), outcomes={"a": FAILS})
    asked = replace(state.decisions["d1"], kind=DecisionKind.REVIEW, default="block")
    state.decisions["d1"] = asked
    assert "unattended: the task is blocked" in "\n".join(decision_lines(state, PLAIN))
    assert "--no-review" not in "\n".join(decision_lines(state, PLAIN))
    state.decisions["d1"] = replace(asked, reason=Reason.REVIEW_VOID)
    said = " ".join("\n".join(decision_lines(state, PLAIN)).split())
    assert "start the plan anew with `--no-review`, or with another program as `--reviewer NAME`" in said


def test_what_only_unattended_answers_is_said():
    """The choices of an escalation have no `fail`: it is said with the question, and with the answer."""
    state, _ = play(plain_task("a"), outcomes={"a": FAILS})
    assert "unattended: the task is failed, and the run goes on" in "\n".join(decision_lines(state, PLAIN))
    answered = DecisionAnswered(id="d1", choice="fail", by="unattended")
    assert "d1: fail (the task is failed, and the run goes on with the others), by unattended" in say(answered).detail


def test_picking_an_attempt():
    _, events = play(plain_task("a"))
    stories = tell_stories(events, "a")
    assert pick(stories, "a", None).number == pick(stories, "a", 1).number == 1
    with pytest.raises(UserError, match="has no attempt 7"):
        pick(stories, "a", 7)
    with pytest.raises(UserError, match="no attempt yet"):
        pick([], "a", None)


# -- plans ----------------------------------------------------------------------------------------

PLAN = """\
chargehand: 1
plan: todo
tasks:
  - {id: a, title: A, files: {create: [x]}, verify: [[test, -f, x]]}
  - {id: b, title: B, files: {modify: [x]}, verify: [[test, -f, x]]}
  - {id: c, title: C, depends_on: [a, b], files: {create: [y]}, verify: [[test, -f, y]]}
"""


def test_check_shows_waves_turns_and_problems_with_their_places():
    loaded = parse_plan(PLAN, "plan.yaml")
    text = "\n".join(check_lines(loaded, check_loaded(loaded), PLAIN))
    assert "3 tasks in 2 waves" in text
    assert "wave 1: a, b" in text
    assert "take turns: a, b: they may change x" in text
    assert "no errors" in text
    broken = parse_plan(PLAN.replace("[a, b]", "[a, z]"), "plan.yaml")
    lines = check_lines(broken, check_loaded(broken), PLAIN)
    assert any(line.startswith("error: plan.yaml:6: ") for line in lines)
    assert lines[-1].startswith("1 error")


def test_check_says_what_holds_for_many_tasks_for_the_first_of_them():
    tasks = "".join(f"  - {{id: t{n}, title: T, files: {{create: [f{n}]}}}}\n" for n in range(1, 8))
    loaded = parse_plan(f"chargehand: 1\nplan: p\ntasks:\n{tasks}", "plan.yaml")
    found = check_loaded(loaded)
    assert [each.code for each in found.problems].count("no_criteria") == 7
    text = "\n".join(check_lines(loaded, found, PLAIN))
    assert text.count("neither verify commands") == 3
    assert "warning: The same of 4 more tasks: t4, t5, t6, t7." in text
    assert int(text.splitlines()[-1].split()[2]) == len(found.problems)


# -- small things ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "choice"),
    [("retry", "retry"), ("RE\n", "retry"), ("s", None), ("sk", "skip"), ("", None), (" ", None), ("no", None)],
)
def test_an_answer_is_a_choice_or_a_beginning_only_it_has(text: str, choice: str | None):
    """I9: an empty line is no answer."""
    assert chosen(text, ("retry", "skip", "stop")) == choice


def test_output_keeps_documents_alone_on_stdout(capsys: pytest.CaptureFixture[str]):
    out = Output(json=True)
    out.say("for people")
    out.note("on the way")
    out.document({"a": 1})
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ('{\n  "a": 1\n}\n', "on the way\n")
    replace(out, quiet=True).note("unheard")
    assert capsys.readouterr().err == ""
