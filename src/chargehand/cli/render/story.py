"""A task and its attempts, as lines and as a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chargehand.cli.render.event_json import plain
from chargehand.cli.render.lines import RED_AS_ON_BASE, STYLES, is_as_on_base
from chargehand.cli.render.pen import Pen, block
from chargehand.cli.render.summary import was_at_work, what_it_does
from chargehand.cli.render.units import count, duration, iso, short
from chargehand.cli.render.usage import used_by_attempt
from chargehand.cli.stories import AskedCall, Story, Together
from chargehand.domain.asking import UNATTENDED
from chargehand.domain.outcome import GateResult, GateStatus, Sealed
from chargehand.domain.plan import GatePoint
from chargehand.domain.review import Finding, Review
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.view import document, why

__all__ = ["story_document", "story_lines"]

_TAIL_LINES = 15
_MOST_FILES = 20
_SILENCED = 5
_LEFT_OUT = 5


def story_document(
    state: RunState, record: TaskRecord, stories: list[Story], now: float, together: Together | None = None
) -> dict[str, Any]:
    """The document of `show`: the task's row of `status`, the task as planned, its attempts, with whom it landed."""
    row = next(row for row in document(state, held=False)["tasks"] if row["id"] == record.id)
    return {
        "run": state.run,
        "task": row,
        "why": why(state, record.id, now),
        "planned": plain(record.task),
        "attempts": [_attempt_document(story) for story in stories],
        "together": _together_document(together) if together else None,
    }


def _together_document(together: Together) -> dict[str, Any]:
    return {
        "tasks": list(together.tasks),
        "gates_of": together.last,
        "gates": [plain(gate) for gate in together.gates],
    }


def _attempt_document(story: Story) -> dict[str, Any]:
    result = story.result
    return {
        "attempt": story.number,
        "role": story.effect.role.value,
        "agent": story.effect.agent or None,
        "base": story.effect.base,
        "started_at": iso(story.started_at),
        "finished_at": iso(story.finished_at) if story.finished_at is not None else None,
        "lost": story.lost or None,
        "result": plain(result) if result else None,
        "gates": [{"point": point.value, **plain(gate)} for point, gate in story.gates],
        "mended": [
            {"gates": list(event.gates), "commit": event.sealed.commit, "tree": event.sealed.tree}
            for _, event in story.mended
            if event.sealed is not None
        ],
        "calls": [
            {
                "decision": asked.decision,
                "command": asked.command,
                "choice": asked.choice or None,
                "by": asked.by or None,
            }
            for asked in story.calls
        ],
        "sent_back": story.sent_back or None,
        "failure": plain(story.failure) if story.failure else None,
    }


def story_lines(
    state: RunState,
    record: TaskRecord,
    stories: list[Story],
    pen: Pen,
    now: float,
    together: Together | None = None,
    *,
    held: bool = True,
) -> list[str]:
    """`show` for people; `held`: a process drives the run."""
    gone = was_at_work(state, record, held=held)
    word = f"was {record.status.value}" if gone else record.status.value
    lines = [
        f"{pen.draw(record.id, 'strong')}  {pen.draw(word, STYLES.get(record.status.value, ''))}  {record.task.title}"
    ]
    lines += block(what_it_does(state, record, pen, now, held=held), pen, indent=2)
    needs = record.task.depends_on
    lines += [f"  depends on {', '.join(needs)}"] if needs else []
    if record.files_changed:
        more = len(record.files_changed) - _MOST_FILES
        names = ", ".join(record.files_changed[:_MOST_FILES]) + (f", and {more} more" if more > 0 else "")
        lines += block(f"changed: {names}", pen, indent=2)
    lines += [f"  landed as {record.landed}"] if record.landed else []
    lines += _together_lines(state, record, together, pen) if together else []
    for story in stories:
        lines += ["", *_attempt_lines(state, story, pen, now, _frozen(stories, story), gone=gone)]
    lines += (
        ["", "more: " + pen.step(f"show {record.id} --run {state.run} --log | --diff | --brief")] if stories else []
    )
    return lines


def _together_lines(state: RunState, record: TaskRecord, together: Together, pen: Pen) -> list[str]:
    """Who landed with it, and the gates as merged where they are told of another task."""
    others = ", ".join(name for name in together.tasks if name != record.id)
    lines = block(f"as one with {others}: the gates as merged judged all of them", pen, indent=2)
    if together.last == record.id:
        return lines
    point = f"{GatePoint.INTEGRATE.value}, run for {together.last}"
    return [*lines, *(line for gate in together.gates for line in _gate_lines(point, gate, pen, state.baseline_red))]


def _attempt_lines(
    state: RunState, story: Story, pen: Pen, now: float, frozen: Mapping[str, Finding], *, gone: bool
) -> list[str]:
    open_end = story.result is None and not story.lost
    end = story.finished_at if story.finished_at is not None else now
    took = "" if gone and open_end else f", {duration(end - story.started_at)}"
    model = story.result.model if story.result is not None else ""
    who = " ".join(filter(None, (story.effect.agent, f"({model})" if model else "")))
    by = f", {who}" if who else ""
    head = f"attempt {story.number}, {story.effect.role.value}{by}, from {short(story.effect.base)}{took}"
    lines = [pen.draw(head, "strong")]
    for asked in story.calls:
        lines += block(f"asked: {_answer_to(asked)}: {asked.command}", pen, indent=2)
    if story.lost:
        return [*lines, *block(f"lost: {story.lost}", pen, indent=2)]
    if story.result is None:
        return [*lines, "  it was running when the run stopped" if gone else "  it is running"]
    lines += _result_lines(state, story, pen, frozen)
    for place, (point, gate) in enumerate(story.gates):
        lines += _mended_lines(story, place, pen)
        lines += _gate_lines(point.value, gate, pen, state.baseline_red)
    lines += _mended_lines(story, len(story.gates), pen)
    if story.failure:
        lines += block(f"sent back ({story.sent_back}): {story.failure.summary}", pen, indent=2)
        for fact in story.failure.facts:
            lines += block(f"- {fact}", pen, indent=4)
    return lines


def _mended_lines(story: Story, place: int, pen: Pen) -> list[str]:
    """What `fix` commands made of the change after `place` gates had run."""
    lines: list[str] = []
    for at, event in story.mended:
        if at == place and event.sealed is not None:
            whose = f"the fix command of {event.gates[0]}" if len(event.gates) == 1 else "the fix commands of "
            whose += ", ".join(event.gates) if len(event.gates) > 1 else ""
            paths = count(len(event.sealed.changes), "path")
            lines += block(f"mended by {whose}, sealed as {short(event.sealed.commit)}, {paths} changed", pen, indent=2)
    return lines


_ANSWERS = {"approve": "approved", "deny": "denied", "reject": "rejected, and the task is blocked"}


def _answer_to(asked: AskedCall) -> str:
    """What became of a question about a command."""
    if asked.dropped:
        return asked.dropped
    if not asked.choice:
        return f"waits for your answer to {asked.decision}"
    choice, _, when = asked.choice.partition(" ")
    if asked.by == UNATTENDED:
        return f"{_ANSWERS[choice]}, because nobody is asked"
    return " ".join(filter(None, (_ANSWERS[choice], f"by {asked.by}", when)))


def _result_lines(state: RunState, story: Story, pen: Pen, frozen: Mapping[str, Finding]) -> list[str]:
    result = story.result
    assert result is not None
    end = result.exit
    how = f"exit {end.code}" if end.code is not None else f"signal {end.signal}" if end.signal is not None else ""
    lines = [f"  process: {end.kind.value}" + (f", {how}" if how else "")]
    lines += block(end.detail, pen, indent=4) if end.detail else []
    if result.review is not None:
        lines += _review_lines(result.review, pen, frozen)
    elif result.restoration is not None:
        lines += block("proposes: " + "; ".join(result.restoration.mitigation_applied), pen, indent=2)
    elif result.report:
        lines += block(f"report: {result.report.status.value} {result.report.summary}".rstrip(), pen, indent=2)
    else:
        lines += block(f"no report: {result.report_problem}", pen, indent=2)
    if result.sealed:
        number = len(result.sealed.changes)
        what = f"{short(result.sealed.commit)}, {count(number, 'path')} changed" if number else "nothing changed"
        lines.append(f"  sealed: {what}")
        lines += _left_out_lines(result.sealed, pen)
        lines += _silenced_lines(result.sealed, pen)
    lines += block(f"not sealed: {result.seal_problem}", pen, indent=2) if result.seal_problem else []
    for warning in result.warnings:
        lines += block(f"warning: {warning}", pen, indent=2)
    used = used_by_attempt(state, story.effect.agent, result.usage)
    return [*lines, f"  used: {used}"] if used else lines


def _left_out_lines(sealed: Sealed, pen: Pen) -> list[str]:
    """What the agent did to files that only the runtime writes."""
    if not sealed.left_out:
        return []
    more = len(sealed.left_out) - _LEFT_OUT
    paths = ", ".join(sealed.left_out[:_LEFT_OUT]) + (f" and {more} more" if more > 0 else "")
    return block(f"left out, since only the runtime writes them: {paths}", pen, indent=2)


def _silenced_lines(sealed: Sealed, pen: Pen) -> list[str]:
    """Where the change keeps a check from looking."""
    shown = [line for each in sealed.silenced[:_SILENCED] for line in block(f"silences: {each}", pen, indent=2)]
    more = len(sealed.silenced) - _SILENCED
    return [*shown, *([f"  silences: and {more} more"] if more > 0 else [])]


def _frozen(stories: list[Story], until: Story) -> dict[str, Finding]:
    """What reviewers of the same role had found before, by id: later rounds name it by nothing else."""
    found: dict[str, Finding] = {}
    for story in stories:
        if story is until:
            break
        review = story.result.review if story.result is not None else None
        if story.effect.role is until.effect.role and not story.void and review is not None and review.verdict:
            for finding in review.verdict.findings:
                if finding.claim and finding.id not in found:
                    found[finding.id] = finding
    return found


_RESOLVED = {True: "resolved: ", False: "not resolved: ", None: ""}


def _review_lines(review: Review, pen: Pen, frozen: Mapping[str, Finding]) -> list[str]:
    """The verdict of a reviewer with what it names, and what the runtime saw of it."""
    verdict = review.verdict
    lines = [line for text in review.violations for line in block(f"violation: {text}", pen, indent=2)]
    if verdict is None:
        return [*lines, *block(f"no verdict: {review.problem}", pen, indent=2)]
    lines += ["  verdict: " + (pen.draw("PASS", "good") if verdict.passed else pen.draw("FAIL", "bad"))]
    for said in verdict.findings:
        known = frozen.get(said.id) if said.resolved is not None else None
        finding = known or said
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        where = "" if known or finding.id in review.located or not place else ", which is not there"
        text = f"{_RESOLVED[said.resolved]}{finding.severity.value} {place}{where}".rstrip()
        lines += block(f"- {finding.id} {text}: {finding.claim}", pen, indent=4)
    for mark in verdict.criteria:
        evidence = f" ({mark.evidence})" if mark.evidence else ""
        lines += block(f"- {'met' if mark.met else 'not met'}: {mark.criterion}{evidence}", pen, indent=4)
    for probe in review.probes:
        came = f"not run: {probe.refused}" if probe.refused else f"exit code {probe.exit_code}"
        lines += block(f"- evidence of {probe.finding}: `{probe.command}`: {came}", pen, indent=4)
    return lines


def _gate_lines(point: str, gate: GateResult, pen: Pen, base: Mapping[str, GateResult]) -> list[str]:
    style = {GateStatus.PASS: "good", GateStatus.SKIPPED: "quiet"}.get(gate.status, "bad")
    word = RED_AS_ON_BASE if is_as_on_base(gate, base) else gate.status.value
    cached = f", known from run {gate.cached}" if gate.cached else ""
    flaky = f", flaky: {', '.join(gate.flaky[:3])}" if gate.flaky else ""
    head = f"  gate {gate.gate} ({point}): {pen.draw(word, style)}, {gate.wall_s:.1f} s{cached}{flaky}"
    if gate.status in {GateStatus.PASS, GateStatus.SKIPPED}:
        return [head]
    lines = [head, *(block(gate.detail, pen, indent=4) if gate.detail else [])]
    lines += [f"    $ {gate.command}"] if gate.command else []
    for line in gate.tail.splitlines()[-_TAIL_LINES:]:
        lines += block(f"| {line}", pen, indent=4)
    return lines
