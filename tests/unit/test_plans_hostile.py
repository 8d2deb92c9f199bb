"""Markdown and TOML that nobody wrote in earnest: read in linear time, or refused with the line; nothing vanishes."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

from chargehand.plans import bounds, markdown
from chargehand.plans.konductor import KonductorReader
from chargehand.plans.konductor_done import read_config, read_state, read_summary
from chargehand.plans.konductor_file import read_plan_file as read_konductor
from chargehand.plans.sendit_done import read_progress, read_spec
from chargehand.plans.sendit_file import read_plan_file as read_sendit
from chargehand.plans.toml_text import parse_toml
from chargehand.plans.verify_text import read_verify
from chargehand.settings.sources import (
    Gathered,
    _read_file,
)
from chargehand.settings.values import Rank

FRONT = "+++\nplan = 1\nwave = 1\n+++\n\n## Tasks\n\n"
TASK = "### Task {n}: t\n\n- **action:** do it\n- **verify:** look\n\n"
SENDIT = "# Plan: x\n\n## Tasks\n\n"
STEP = "### Task {n}: t\n\n**Action**: do it\n\n"


def konductor(*tasks: str) -> str:
    return FRONT + "".join(tasks)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters each call of the parser gets, from now on."""
    calls: list[int] = []
    parse = MarkdownIt.parse

    def count(self: MarkdownIt, src: str, env: EnvType | None = None) -> list[Token]:
        calls.append(len(src))
        return parse(self, src, env)

    monkeypatch.setattr(MarkdownIt, "parse", count)
    return calls


@pytest.mark.parametrize("text", ["[" * 1_000_000, "*a " * 333_000, "x\n" * 500_000, "|a|\n|-|\n" + "|a|\n" * 250_000])
@pytest.mark.parametrize(
    "read",
    [lambda t: read_konductor(konductor(t)), lambda t: read_sendit(SENDIT + t), read_progress, read_spec, read_summary],
)
def test_a_file_beyond_the_bounds_is_refused_before_it_is_parsed(read, text, monkeypatch):
    monkeypatch.setattr(MarkdownIt, "parse", None)
    (problem,) = read(text)[1]
    assert (problem.code, problem.is_error) == ("too_large", True)
    assert problem.line is not None
    assert problem.hint


@pytest.mark.parametrize("piece", ["[", "*a ", "![a](", "`` ` ", "<a ", "&amp;"])
def test_nothing_inline_is_parsed_and_blocks_a_few_times(piece, monkeypatch):
    monkeypatch.setattr(ParserInline, "parse", None)
    calls = counted(monkeypatch)
    text = piece * (200_000 // len(piece))
    read_konductor(konductor(TASK.format(n=1), "- **done:** ", text))
    read_sendit(SENDIT + STEP.format(n=1) + text)
    assert len(text) < sum(calls) <= 8 * len(text)


def test_each_of_many_tasks_is_parsed_once(monkeypatch):
    calls = counted(monkeypatch)
    text = konductor(*(TASK.format(n=n) for n in range(1, bounds.MAX_TASKS + 1)))
    plan, problems = read_konductor(text)
    assert plan is not None
    assert (len(plan.steps), problems) == (bounds.MAX_TASKS, [])
    assert sum(calls) <= 4 * len(text)


def test_a_task_too_many_is_named_with_its_line():
    count = bounds.MAX_TASKS + 1
    text = konductor(*(TASK.format(n=n) for n in range(1, count + 1)))
    (problem,) = read_konductor(text)[1]
    assert (problem.code, problem.line) == ("too_large", text[: text.index(f"### Task {count}:")].count("\n") + 1)
    text = SENDIT + "".join(STEP.format(n=n) for n in range(1, count + 1))
    (problem,) = read_sendit(text)[1]
    assert (problem.code, problem.line) == ("too_large", text[: text.index(f"### Task {count}:")].count("\n") + 1)


@pytest.mark.parametrize(
    "wide", ["- **files:** " + "a.py, " * 500, "- **verify:** " + "`a` " * 300, "- **verify:** " + "a" * 17_000]
)
def test_a_field_too_wide_is_refused_with_its_line(wide):
    text = konductor("### Task 1: t\n\n- **action:** do it\n", wide)
    (problem,) = read_konductor(text)[1]
    assert (problem.code, problem.line) == ("too_large", 11)


@pytest.mark.parametrize("opened", ["<details>", "<div>", "<pre>", "```", "~~~ sh", "<!-- open"])
def test_a_task_in_what_is_open_above_it_is_an_error(opened):
    text = konductor(TASK.format(n=1), opened, "\n", TASK.format(n=2))
    found = [p for p in read_konductor(text)[1] if p.code == "swallowed"]
    line = text[: text.index("### Task 2")].count("\n") + 1
    assert found[0].line == line
    assert found[0].is_error
    assert f"begins in line {line - 1}" in found[0].message
    text = SENDIT + STEP.format(n=1) + opened + "\n" + STEP.format(n=2)
    found = [p for p in read_sendit(text)[1] if p.code == "swallowed"]
    assert found[0].line == text[: text.index("### Task 2")].count("\n") + 1


@pytest.mark.parametrize("around", ["```\n{}```\n", "~~~~\n{}\n~~~~~\n", "<!--\n{}-->\n"])
def test_a_task_in_closed_code_or_a_comment_is_text(around):
    text = konductor(TASK.format(n=1), around.format(TASK.format(n=2)))
    plan, problems = read_konductor(text)
    assert plan is not None
    assert [step.number for step in plan.steps] == [1]
    assert [p for p in problems if p.code == "swallowed"] == []


def test_what_is_like_a_plan_and_is_not_read_is_told(tmp_path: Path):
    plans = tmp_path / "phases" / "01-x" / "plans"
    (plans / "old").mkdir(parents=True)
    for name in ("001-x.md", "002-y.MD", "003-z.markdown", "004-spec-review.md", "old/005-a.md"):
        (plans / name).write_text(konductor(TASK.format(n=1)))
    (plans / "006-quality-review.md").write_text("# Fine\n")
    loaded = KonductorReader().read(plans, None, str(plans))
    (told,) = [p for p in loaded.problems if p.code == "left_alone"]
    assert not told.is_error
    for name in ("002-y.MD", "003-z.markdown", "004-spec-review.md", "old/005-a.md"):
        assert name in told.message
    assert "006" not in told.message


def test_the_tasks_of_a_phase_are_bounded_together(tmp_path: Path):
    plans = tmp_path / "phases" / "01-x" / "plans"
    plans.mkdir(parents=True)
    half = bounds.MAX_TASKS // 2 + 1
    for number in (1, 2):
        text = konductor(*(TASK.format(n=n) for n in range(1, half + 1)))
        (plans / f"00{number}-x.md").write_text(text.replace("plan = 1", f"plan = {number}"))
    (problem,) = [p for p in KonductorReader().read(plans, None, str(plans)).problems if p.is_error]
    assert problem.code == "too_large"
    assert problem.file == str(plans / "002-x.md")


@pytest.mark.parametrize("value", ["9" * 5000, "0x" + "f" * 6000, "[" * 3000, "[1,", "18446744073709551616"])
def test_toml_that_python_cannot_take_is_a_problem_with_its_line(value, tmp_path: Path):
    text = f"a = 1\nb = {value}"
    values, problem = parse_toml(text)
    assert (values, problem is not None and problem.line) == ({}, 2)
    assert read_config(text)[1][0].line == 2
    assert read_state(text)[2][0].line == 2
    assert read_konductor(f"+++\n{text}\n+++\n## Tasks\n")[1][0].line == 3
    file = tmp_path / "chargehand.toml"
    file.write_text(text)
    gathered = Gathered()
    _read_file(gathered, file, (), Rank.PROJECT)
    assert [(p.code, p.line) for p in gathered.problems] == [("syntax", 2)]


def test_a_span_longer_than_any_file_name_is_no_command():
    from chargehand.plans.verify_text import finder

    assert read_verify(f"run `{'x' * 5000}`", finder(Path("/"))).commands == ()


def test_a_span_ends_where_as_many_backticks_stand():
    assert markdown.code_spans("a `b` ``c ` d`` \\`e `f` ` g") == ("b", "c ` d", "f")
    assert markdown.cut_spans("a `b` c", "|") == "a | c"
    assert markdown.without_code("a `b` c\n\n```\nd\n```\ne") == "a   c\ne"
