"""What events of reviews, and of gates that could not judge, say to a person."""

from __future__ import annotations

from typing import assert_never

from chargehand.cli.render.line import Line, Rank
from chargehand.cli.render.units import count, short
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import FixFinished, GateMitigated, ReviewFailed, ReviewPassed, ReviewVoided
from chargehand.domain.outcome import Role
from chargehand.domain.review import VoidWhy

__all__ = ["of_judgement", "of_look"]

_WHAT = {
    Role.SPEC_REVIEWER: "spec review",
    Role.QUALITY_REVIEWER: "quality review",
    Role.HOLISTIC_REVIEWER: "a look at the whole run",
    Role.FITTER: "a fitter looks at gate",
    Role.RESEARCHER: "research",
}
_MOST = 3


def of_look(effect: StartAttempt, agent: str) -> Line:
    """Somebody begins to look at a change, a gate, or the whole run."""
    by = f" by {agent}" if agent else ""
    what = f"{_WHAT[effect.role]} {effect.gate}".strip()
    state = "reviewing" if effect.task and effect.gate == "" else "looking"
    return Line(task=effect.task, what=state, detail=f"{what}{by}, of {short(effect.commit)}")


def of_judgement(event: ReviewPassed | ReviewFailed | ReviewVoided | GateMitigated | FixFinished) -> Line:
    """A verdict, or why it does not count; a gate that is run again; what `fix` commands came to."""
    match event:
        case ReviewPassed():
            parked = f"; {count(len(event.parked), 'remark')} kept for the report" if event.parked else ""
            how = f"approved by {event.by}" if event.by else "carried over" if event.carried else "passed"
            return Line(task=event.task, what="review", detail=f"{event.stage} {how}{parked}")
        case ReviewFailed():
            said = [f"{finding.file}:{finding.line}: {finding.claim}" for finding in event.open]
            said += [f"not met: {mark.criterion}" for mark in event.unmet]
            more = f" and {len(said) - _MOST} more" if len(said) > _MOST else ""
            detail = f"{event.stage}: {'; '.join(said[:_MOST])}{more}"
            return Line(task=event.task, what="review", reason="fail", detail=detail, rank=Rank.NOTABLE)
        case ReviewVoided():
            rank = Rank.ROUTINE if event.why in {VoidWhy.WAIT, VoidWhy.LOST} else Rank.NOTABLE
            return Line(task=event.task, what="review", reason=event.why.value, detail=event.detail, rank=rank)
        case GateMitigated():
            return Line(task=event.task, what="gates", reason=event.by.value, detail=event.detail, rank=Rank.NOTABLE)
        case FixFinished():
            names = ", ".join(event.gates)
            made = f"mended as {short(event.sealed.commit)}" if event.sealed is not None else "nothing to mend"
            return Line(task=event.task, what="mending", detail=f"{names}: {made}")
        case _:  # pragma: no cover
            assert_never(event)
