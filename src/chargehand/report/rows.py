"""Rows of tables: attempts, gates, verdicts, findings, questions; each from what the journal says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chargehand.domain.asking import UNATTENDED
from chargehand.domain.events import ReviewFailed, ReviewPassed
from chargehand.domain.outcome import REVIEWERS, AttemptResult, Concern, GateStatus, Usage
from chargehand.domain.plan import GatePoint
from chargehand.domain.review import Probe, Ruling
from chargehand.report.findings import Standing, Tracked, TrackedCriterion, track
from chargehand.report.history import Asked, Ran, Step, Try
from chargehand.report.marks import FINDINGS, mark_of_gate
from chargehand.report.model import Asking, AttemptRow, Finding, GateLine, Mark, Tone, VerdictRow
from chargehand.report.timeline import took
from chargehand.report.units import amount, duration

__all__ = ["Rows", "total"]

_TAIL_LINES = 30
_MOST_TESTS = 50

_WHERE = {
    None: "on the untouched base",
    GatePoint.TASK: "on the attempt's own tree",
    GatePoint.INTEGRATE: "as merged",
    GatePoint.WAVE: "at the end of the wave",
    GatePoint.RUN: "on the final tree",
}
_RULINGS = {
    Ruling.MINOR: "its own severity holds nothing up",
    Ruling.LATE: "raised after round 1, about something the fix did not touch",
    Ruling.NOWHERE: "it names no existing file and line",
    Ruling.HUMAN: "a person took the change as it is",
}
_ACCEPTED = Mark(word="good evidence", glyph="✓", tone=Tone.GOOD)
_PASSED = Mark(word="PASS", glyph="✓", tone=Tone.GOOD)
_APPROVED = Mark(word="approved by a person", glyph="!", tone=Tone.ASK)
_FAILED = Mark(word="FAIL", glyph="✗", tone=Tone.BAD)
_VOID = Mark(word="void", glyph="!", tone=Tone.ASK)
_LOST = Mark(word="lost, not counted", glyph="·", tone=Tone.QUIET)
_LIVE = Mark(word="under way", glyph="▸", tone=Tone.LIVE)
_CUT_SHORT = Mark(word="was under way", glyph="‖", tone=Tone.ASK)
_ENDED = Mark(word="ended", glyph="·", tone=Tone.QUIET)
_SENT_BACK = Mark(word="sent back", glyph="↺", tone=Tone.ASK)
_WAITED = Mark(word="asked to wait, not counted", glyph="·", tone=Tone.QUIET)
_ANSWERED = Mark(word="answered", glyph="✓", tone=Tone.GOOD)
_OPEN = Mark(word="open", glyph="?", tone=Tone.ASK)
_WITHDRAWN = Mark(word="withdrawn", glyph="–", tone=Tone.QUIET)


def total(usages: Iterable[Usage]) -> str:
    """What several attempts used; says how many told nothing."""
    known = list(usages)
    tokens = [usage.tokens for usage in known if usage.tokens is not None]
    costs = [usage.usd for usage in known if usage.usd is not None]
    silent = sum(usage.tokens is None for usage in known)
    if not tokens and not costs:
        return "not told" if known else ""
    used = amount(
        sum(tokens) if tokens else None,
        sum(costs) if costs else None,
        estimated=sum(usage.estimated for usage in known),
        is_least=len(costs) < len(known),
    )
    return f"{used}; {silent} of {len(known)} attempts told nothing" if silent else used


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Makes rows. `clean` makes text of others fit to be shown; `live`: a process drives the run, `now` is the time."""

    clean: Callable[[str], str]
    live: bool
    now: float

    def line(self, text: str) -> str:
        """Text of others in one line."""
        return " ".join(self.clean(text).split())

    # -- attempts ---------------------------------------------------------------------------------

    def attempts(self, tries: Sequence[Try]) -> tuple[AttemptRow, ...]:
        """One row a start, in their order."""
        return tuple(self._attempt(tried) for tried in tries)

    def _attempt(self, tried: Try) -> AttemptRow:
        result, effect = tried.result, tried.effect
        end = tried.ended_at if tried.ended_at is not None else self.now if self.live else None
        return AttemptRow(
            number=effect.attempt,
            role=effect.role.value,
            agent=self.line(effect.agent),
            model=self.line(result.model) if result else "",
            mark=self._mark(tried),
            how=self._how(tried),
            started_at=tried.started_at,
            took=took(end - tried.started_at) if end is not None else "",
            used=amount(result.usage.tokens, result.usage.usd, estimated=result.usage.estimated) if result else "",
            claim=self._claim(result),
            missing=self._missing(result),
            notes=tuple(self._notes(tried)),
            log=self.line(result.log) if result else "",
        )

    def _mark(self, tried: Try) -> Mark:
        if tried.lost:
            return _LOST
        if tried.result is None:
            return _LIVE if self.live else _CUT_SHORT
        if tried.effect.role in REVIEWERS:
            return _VOID if tried.void else {True: _PASSED, False: _FAILED, None: _ENDED}[tried.passed]
        if tried.sent_back in {"wait", "lost"}:
            return _WAITED
        if tried.sent_back:
            return _SENT_BACK
        return _ACCEPTED if tried.accepted else _ENDED

    def _how(self, tried: Try) -> str:
        if tried.lost:
            return self.line(tried.lost)
        if tried.result is None:
            return ""
        end = tried.result.exit
        code = f" with code {end.code}" if end.code is not None else ""
        code += f" by signal {end.signal}" if end.signal is not None else ""
        detail = f": {self.line(end.detail)}" if end.detail else ""
        return f"{end.kind.value.replace('_', ' ')}{code}{detail}"

    def _claim(self, result: AttemptResult | None) -> str:
        if result is None:
            return ""
        if result.review is not None and result.review.verdict is not None:
            return self.clean(result.review.verdict.summary)
        if result.report is not None:
            return f"{result.report.status.value}: {self.clean(result.report.summary)}".removesuffix(": ")
        return ""

    def _missing(self, result: AttemptResult | None) -> str:
        """What the runtime says where the agent said nothing that counts as an answer."""
        if result is None or result.report is not None or (result.review is not None and result.review.verdict):
            return ""
        return self.line((result.review.problem if result.review else "") or result.report_problem)

    def _notes(self, tried: Try) -> Iterable[str]:
        result = tried.result
        if result is not None:
            if result.seal_problem:
                yield f"Nothing could be sealed: {self.line(result.seal_problem)}"
            yield from (self.line(f"Concern ({each.kind}): {each.text}") for each in _concerns(result))
            yield from (self.line(each) for each in result.warnings)
            if result.review is not None:
                yield from (self.line(f"It changed what it judges: {each}") for each in result.review.violations)
        if tried.void:
            yield f"Void: {self.line(tried.void)}"
        yield from (self.line(text) for text in tried.mended)
        if tried.sent_back:
            why = self.line(tried.failure.summary) if tried.failure else ""
            yield f"Sent back ({tried.sent_back}){': ' if why else '.'}{why}"
            yield from (self.line(fact) for fact in (tried.failure.facts if tried.failure else ()))

    # -- gates ------------------------------------------------------------------------------------

    def gates(self, ran: Iterable[Ran]) -> tuple[GateLine, ...]:
        """One line a gate and tree, in their order."""
        return tuple(self._gate(each) for each in ran)

    def _gate(self, ran: Ran) -> GateLine:
        result = ran.result
        is_red = result.status in {GateStatus.FAIL, GateStatus.FAULT}
        failed = result.failed_tests or ()
        return GateLine(
            gate=self.line(result.gate),
            where=_WHERE[ran.point] + (", as mended" if ran.mended and ran.point is GatePoint.TASK else ""),
            mark=mark_of_gate(result, as_on_base=ran.advisory),
            took=took(result.wall_s),
            attempt=ran.attempt,
            tree=result.tree,
            command=self.line(result.command),
            said=self._said(ran) if is_red or result.detail else "",
            tail="\n".join(self.clean(result.tail).splitlines()[-_TAIL_LINES:]) if is_red else "",
            log=self.line(result.log),
            cached=self.line(result.cached),
            flaky=tuple(self.line(test) for test in result.flaky),
            vanished=tuple(self.line(test) for test in result.vanished[:_MOST_TESTS]),
            failed=tuple(self.line(test) for test in failed[:_MOST_TESTS]),
            more_failed=max(0, len(failed) - _MOST_TESTS),
        )

    def _said(self, ran: Ran) -> str:
        result = ran.result
        how = result.fault.value.replace("_", " ") if result.fault else ""
        code = f"exit code {result.exit_code}" if result.exit_code and not result.detail else ""
        return "; ".join(filter(None, (how, code, self.line(result.detail))))

    # -- judgements -------------------------------------------------------------------------------

    def verdicts(self, steps: Iterable[Step], tries: Iterable[Try]) -> tuple[VerdictRow, ...]:
        """The verdicts that counted, each with the tree it counts for."""
        said = {tried.effect.attempt: tried.result for tried in tries if tried.result is not None}
        return tuple(
            VerdictRow(
                stage=step.stage.value,
                mark=_verdict(step),
                tree=step.tree,
                attempt=step.attempt,
                agent=self.line((isinstance(step, ReviewPassed) and step.by) or step.agent),
                model=self.line(step.model),
                carried=isinstance(step, ReviewPassed) and step.carried,
                criteria=self._criteria(step, said.get(step.attempt)),
            )
            for step in steps
            if isinstance(step, ReviewPassed | ReviewFailed)
        )

    def _criteria(
        self, step: ReviewPassed | ReviewFailed, result: AttemptResult | None
    ) -> tuple[tuple[str, bool, str], ...]:
        if result is None or result.review is None or result.review.verdict is None:
            return ()
        if isinstance(step, ReviewPassed) and step.carried:
            return ()
        marks = result.review.verdict.criteria
        return tuple((self.line(each.criterion), each.met, self.line(each.evidence)) for each in marks)

    def findings(self, steps: Iterable[Step], task: str) -> tuple[Finding, ...]:
        """Every finding and every criterion that was not met, and what became of each."""
        findings, criteria = track(steps)
        return (
            *(self._finding(each, task) for each in findings),
            *(self._unmet(each, task) for each in criteria),
        )

    def _finding(self, tracked: Tracked, task: str) -> Finding:
        finding = tracked.finding
        return Finding(
            stage=tracked.stage.value,
            id=self.line(finding.id),
            severity=finding.severity.value,
            mark=FINDINGS[tracked.standing],
            claim=self.clean(finding.claim),
            place=self.line(f"{finding.file}:{finding.line}" if finding.line else finding.file),
            clause=self.line(finding.clause),
            ruling=_RULINGS[tracked.ruling] if tracked.ruling else "",
            evidence=self._evidence(tracked.probe),
            attempt=tracked.attempt,
            task=task,
            parked=tracked.standing in {Standing.PARKED, Standing.LATE},
        )

    def _unmet(self, tracked: TrackedCriterion, task: str) -> Finding:
        return Finding(
            stage=tracked.stage.value,
            id="",
            severity="criterion",
            mark=FINDINGS[tracked.standing],
            claim=f"Not met: {self.line(tracked.criterion.criterion)}",
            evidence=self.line(tracked.criterion.evidence),
            attempt=tracked.attempt,
            task=task,
        )

    def _evidence(self, probe: Probe | None) -> str:
        if probe is None:
            return ""
        came = f"not run: {probe.refused}" if probe.refused else f"exit code {probe.exit_code}"
        return self.line(f"{probe.command} ({came})")

    # -- people -----------------------------------------------------------------------------------

    def questions(self, asked: Iterable[Asked]) -> tuple[Asking, ...]:
        """Questions and answers, oldest first."""
        return tuple(self._question(each) for each in asked)

    def _question(self, asked: Asked) -> Asking:
        decision = asked.decision
        until = asked.answered_at if asked.answered_at is not None else self.now
        return Asking(
            id=decision.id,
            task=decision.task,
            kind=decision.kind.value.replace("_", " "),
            question=self.clean(decision.question),
            mark=_ANSWERED if asked.choice else _WITHDRAWN if asked.dropped else _OPEN,
            asked_at=asked.at,
            waited=duration(until - asked.at) if not asked.dropped else "",
            choices=decision.choices,
            command=self.line(decision.command),
            answer=self.line(asked.choice) or self.line(asked.dropped),
            by="nobody was asked (--unattended)" if asked.by == UNATTENDED else self.line(asked.by),
            note=self.line(asked.note),
        )


def _verdict(step: ReviewPassed | ReviewFailed) -> Mark:
    if isinstance(step, ReviewFailed):
        return _FAILED
    return _APPROVED if step.by else _PASSED


def _concerns(result: AttemptResult) -> tuple[Concern, ...]:
    return result.report.concerns if result.report else ()
