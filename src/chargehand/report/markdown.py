"""Writes the report as the text of a pull request: GitHub-flavoured Markdown in which text of others stays text.

A forge does more with a text than Markdown says: it notifies who is mentioned, links issues, closes them, draws
formulas. So text of others is escaped, and the characters that begin such things get an invisible companion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from chargehand.report.model import Finding, GateLine, Report, TaskPage, Tone
from chargehand.report.units import count

__all__ = ["LONGEST", "code", "inline", "to_markdown"]

LONGEST = 60_000
"""What GitHub takes as a body is 65,536 characters."""

_BREAK = "\u200b"
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")
_FIRST = re.compile(r"^([#+\-=])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "<span>$</span>"}
_ENTITY = re.compile("[&<>$]")
_REFERENCE = re.compile(r"([@#]|\bGH-|\bwww\.|:(?=//)|:(?=\w+:))", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d+)([.)])")
_CELL, _SENTENCE, _CLAIM = 160, 600, 1200


def inline(text: str, most: int = _SENTENCE) -> str:
    """Text of others as one line that shows as itself: no markup, no HTML, no mention, no reference, no formula."""
    line = " ".join(text.split())
    if len(line) > most:
        line = line[: most - 1] + "…"
    line = _REFERENCE.sub(lambda found: found[0] + _BREAK, line)
    line = _SPECIAL.sub(r"\\\1", line)
    line = _FIRST.sub(r"\\\1", line)
    line = _ENTITY.sub(lambda found: _ENTITIES[found[0]], line)
    return _NUMBERED.sub(r"\1\\\2", line)


def code(text: str, most: int = _CELL) -> str:
    """Text of others as code, also in a table; empty for no text."""
    line = " ".join(text.split())
    if not line:
        return ""
    if len(line) > most:
        line = line[: most - 1] + "…"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    line = line.replace("\\|", f"\\{_BREAK}|")  # readers of tables differ about a backslash before an escaped bar
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def to_markdown(report: Report, most: int = LONGEST) -> str:
    """The report in at most `most` characters; what is left out is said."""
    blocks = [block for block in _blocks(report) if block]
    whole = "\n\n".join(blocks) + "\n"
    return whole if len(whole) <= most else _cut(blocks, most, report.run)


def _cut(blocks: Sequence[str], most: int, run: str) -> str:
    """As many blocks, and of the last one as many lines, as there is room for; then what is missing."""
    said = f"> **Cut here**: the rest does not fit into a pull request. All of it: {code(f'chargehand report {run}')}."
    room = most - len(said) - 4
    kept: list[str] = []
    for block in blocks:
        if len(block) + 2 <= room:
            kept.append(block)
            room -= len(block) + 2
            continue
        lines: list[str] = []
        for line in block.splitlines():
            if len(line) + 1 > room:
                break
            lines.append(line)
            room -= len(line) + 1
        kept += ["\n".join(lines)] if len(lines) > 2 else []
        break
    return "\n\n".join([*kept, said]) + "\n"


def _blocks(report: Report) -> Iterator[str]:
    yield f"## {inline(report.plan)}: {report.mark.glyph} {report.mark.word}"
    yield " ".join(inline(sentence) for sentence in report.said)
    yield inline(report.goal, _CLAIM)
    if report.sandbox_warning:
        yield f"> **No sandbox.** {inline(report.sandbox_warning)}"
    yield _criteria(report)
    yield _tasks(report.tasks)
    yield _verified(report)
    yield _list("Open findings", [_finding(each) for each in report.open_findings])
    yield _list("Parked findings", [_finding(each) for each in report.parked])
    yield _list("Flaky tests", [f"{code(test)} in {code(gate)}" for _, test, gate in report.flakes])
    landed = [task for task in report.tasks if task.mark.tone is Tone.GOOD]
    tests = [f"{code(task.id)}: {code(text)}" for task in landed for text in task.test_changes]
    yield _list("Changes to tests that judge this", tests)
    silenced = [f"{code(task.id)}: {code(text)}" for task in landed for text in task.silenced]
    yield _list("Checks that this silences", silenced)
    left_out = [f"{code(task.id)}: {code(path)}" for task in landed for path in task.left_out]
    yield _list("Left out, since only the runtime writes them", left_out)
    yield _list("Warnings", [f"{code(each.code)} {inline(each.text)}{_about(each.tasks)}" for each in report.warnings])
    yield _list("Decisions", list(_decisions(report)))
    yield _check(report)


def _criteria(report: Report) -> str:
    lines = [
        f"- [{'x' if each.mark.tone is Tone.GOOD else ' '}] {inline(each.text)}"
        + ("" if each.mark.tone is Tone.GOOD else f" *({each.mark.word})*")
        for each in report.criteria
    ]
    return "\n".join(["### Success criteria", "", *lines]) if lines else ""


# -- tasks ----------------------------------------------------------------------------------------


def _tasks(tasks: Sequence[TaskPage]) -> str:
    if not tasks:
        return "The plan has no task."
    head = ["### Tasks", "", "| task | state | change | verdicts | gates |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(task) for task in tasks)])


def _row(task: TaskPage) -> str:
    title = f" {inline(task.title, _CELL)}" if task.title else ""
    state = f"{task.mark.glyph} {task.mark.word}" + (f": {inline(task.reason, _CELL)}" if task.reason else "")
    return f"| {code(task.id)}{title} | {state} | {_change(task)} | {_verdicts(task)} | {_gates(task)} |"


def _change(task: TaskPage) -> str:
    if task.change is not None and task.change.landed and task.change.files:
        files = count(len(task.change.files), "file")
        return f"{files}, +{task.change.added} −{task.change.removed}"
    return count(len(task.files), "file") if task.files and task.mark.tone is Tone.GOOD else "–"


def _verdicts(task: TaskPage) -> str:
    last = {row.stage: row.mark.word for row in task.verdicts}
    return ", ".join(f"{stage} {word}" for stage, word in last.items()) or "–"


def _gates(task: TaskPage) -> str:
    """What each gate said last of this task."""
    last: dict[str, GateLine] = {line.gate: line for line in task.gates}
    if not last:
        return "–"
    red = [line for line in last.values() if line.mark.tone is Tone.BAD]
    if red:
        return "✗ " + ", ".join(code(line.gate, 40) for line in red[:5])
    others = [line.mark.word for line in last.values() if line.mark.tone is not Tone.GOOD]
    return f"✓ {len(last)} ran" + (f" ({', '.join(dict.fromkeys(others))})" if others else ", all green")


# -- the run --------------------------------------------------------------------------------------


def _verified(report: Report) -> str:
    """What was established, by whom: gates on the final tree and the look at the whole."""
    lines = []
    for gate in report.final_gates:
        said = f": {inline(gate.said, _CELL)}" if gate.said else ""
        lines.append(f"- {gate.mark.glyph} {code(gate.gate)} {gate.mark.word} on the final tree{said}")
    for row in report.verdicts[-1:]:
        by = f" by {inline(row.agent, 60)}" if row.agent else ""
        lines.append(f"- {row.mark.glyph} look at the whole run: {row.mark.word}{by}, of tree `{row.tree[:10]}`")
    if not report.final_gates:
        lines.append("- No gate ran on the final tree.")
    if report.reviews_off:
        lines.append(f"- {report.reviews_off}")
    old = [f"- {code(gate.gate)} was red before anybody changed anything" for gate in report.baseline]
    return "\n".join(["### What was verified", "", *lines, *old])


def _finding(finding: Finding) -> str:
    place = f" {code(finding.place)}" if finding.place else ""
    where = f" ({inline(finding.task, 64)}, {finding.stage})" if finding.task else f" ({finding.stage})"
    ruling = f" *Ruling: {finding.ruling}.*" if finding.ruling else ""
    return f"**{finding.severity}**{place}: {inline(finding.claim)}{where}{ruling}"


def _decisions(report: Report) -> Iterator[str]:
    asked = (*report.questions, *(each for task in report.tasks for each in task.questions))
    for each in asked:
        by = f" by {inline(each.by, 80)}" if each.by else ""
        answer = f"**{inline(each.answer, 200)}**{by}" if each.answer else "*still open*"
        note = f" ({inline(each.note)})" if each.note else ""
        yield f"{inline(each.id, 20)}: {inline(each.question)} → {answer}{note}"


def _about(tasks: Sequence[str]) -> str:
    if not tasks:
        return ""
    more = f" and {len(tasks) - 8} more" if len(tasks) > 8 else ""
    return f" ({', '.join(inline(name, 64) for name in tasks[:8])}{more})"


def _check(report: Report) -> str:
    lines = ["### How to check this", ""]
    if report.has_receipts:
        lines.append(f"- {code(f'chargehand receipt verify {report.run}')} runs the gates again on the recorded trees.")
        lines.append("- The receipt of each task is a git note on its merge commit, in the repository of the run.")
    page, log = code(f"chargehand report {report.run}"), code(f"chargehand log {report.run}")
    lines.append(f"- {page} makes the whole page, {log} tells every event.")
    facts = {fact.label: fact.text for fact in report.facts}
    told = [inline(facts[label], 200) for label in ("used", "duration") if label in facts]
    lines.append(f"- Base: {code(facts.get('base', ''))}; used: {'; '.join(told)}.")
    return "\n".join(lines)


def _list(title: str, lines: Iterable[str]) -> str:
    made = [f"- {line}" for line in lines]
    return "\n".join([f"### {title}", "", *made]) if made else ""
