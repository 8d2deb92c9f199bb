"""How a run stands: what it waits for, which command goes on, and what becomes of what was under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chargehand.adapters.attempt_note import AttemptNote, Stage, read_note, result_of
from chargehand.adapters.integrator import GitIntegrator
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.effects import (
    Effect,
    Land,
    MergeCandidate,
    OpenBranch,
    RunCanary,
    RunFix,
    RunGates,
    StartAttempt,
)
from chargehand.domain.hand_edits import as_of_now
from chargehand.domain.ids import integration_branch
from chargehand.domain.view import open_decisions, run_state
from chargehand.ports import Workspace
from chargehand.wiring.doctor.case import Case
from chargehand.wiring.doctor.finding import Finding
from chargehand.wiring.doctor.requests import look_at_inbox

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["abandoned_of", "look_at_standing"]

_MOST = 12


async def look_at_standing(case: Case, *, asked: bool) -> list[Finding]:
    """Where an unfinished run stands; of one that has ended something only when it was asked for by name."""
    state = case.state
    if case.is_over:
        return [*look_at_inbox(case), *([_ended(case)] if asked else [])]
    found = [_where(case), *look_at_inbox(case)]
    found += [_question(case, asked.id) for asked in open_decisions(state, held=case.holder is not None)]
    if case.holder is None:
        left = await abandoned_of(case.shop, case.run)
        found += [await _under_way(case, effect, left) for effect in list(state.inflight.values())[:_MOST]]
        found += [_more(case)] if len(state.inflight) > _MOST else []
    return found


def _ended(case: Case) -> Finding:
    state = case.state
    how = "lies staged on" if state.accepted and state.accepted.is_staged else "landed on"
    accepted = f", and {how} {state.accepted.target}" if state.accepted else ""
    hint = "" if accepted else f"`chargehand accept {case.run}` lands it on your branch."
    text = f"it has ended ({run_state(state, held=False)}){accepted}"
    return Finding(area=case.area, name="state", ok=True, text=text, hint=hint)


def _where(case: Case) -> Finding:
    state = case.state
    word = run_state(state, held=case.holder is not None)
    over = sum(1 for record in state.tasks.values() if record.is_over)
    done = f"{over} of {len(state.tasks)} tasks are over"
    if word == "running":
        hint = f"`chargehand status {case.run} --watch` follows it."
        return Finding(area=case.area, name="state", ok=True, text=f"it is running; {done}", hint=hint)
    if word == "waiting":
        after = "" if case.holder else f" Then `chargehand resume {case.run}`."
        text = f"it waits for your answers, and for nothing else; {done}"
        return Finding(area=case.area, name="state", ok=None, text=text, hint=f"Answer what stands below.{after}")
    text = f"it was {word} and nobody drives it; {done}"
    return Finding(area=case.area, name="state", ok=None, text=text, hint=f"`chargehand resume {case.run}` goes on.")


def _question(case: Case, decision_id: str) -> Finding:
    decision = as_of_now(case.state, case.state.decisions[decision_id])
    about = f"task {decision.task}: " if decision.task else ""
    hint = f"`chargehand answer {decision_id} {'|'.join(decision.choices)} --run {case.run}`"
    text = about + " ".join(decision.question.split())
    return Finding(area=case.area, name=f"question {decision_id}", ok=None, text=text, hint=hint)


async def abandoned_of(shop: Workshop, run: str) -> Mapping[str, Workspace]:
    """The workspaces that attempts of a run left taken, by task."""
    begin = f"{integration_branch(run)}/"
    workspaces = GitWorkspaces(shop.repository, shop.places.agents).abandoned() if shop.places.agents.is_dir() else []
    return {left.branch.removeprefix(begin): left for left in workspaces if left.branch.startswith(begin)}


async def _under_way(case: Case, effect: Effect, left: Mapping[str, Workspace]) -> Finding:
    """What resume will do about an intent without an outcome (SPEC 8)."""
    return Finding(area=case.area, name=_called(effect), ok=None, text=await _fate(case, effect, left))


def _called(effect: Effect) -> str:
    match effect:
        case StartAttempt():
            return f"attempt {effect.attempt} of {effect.task or 'the run'}"
        case RunGates():
            return f"gates of {effect.task}" if effect.task else f"{effect.point.value} gates"
        case RunFix():
            return f"fix commands of {effect.task}"
        case MergeCandidate():
            return f"merge of {effect.task}"
        case Land():
            return f"landing of {effect.task}"
        case RunCanary():
            return "gates on the base"
        case OpenBranch():
            return "branch"


async def _fate(case: Case, effect: Effect, left: Mapping[str, Workspace]) -> str:
    match effect:
        case StartAttempt():
            return await _fate_of_attempt(case, effect, left)
        case Land():
            if await GitIntegrator(case.shop.repository).contains(case.state.branch, effect.commit):
                return "it has landed, only that was not recorded any more: resume records it"
            return "it was to land when the run stopped, and has not: resume lands it"
        case OpenBranch():
            return "resume makes the integration branch, if it is not there"
        case MergeCandidate():
            return "resume merges again; the same merge gives the same tree"
        case RunCanary() | RunGates() | RunFix():
            return "they were cut short: resume runs them again"


async def _fate_of_attempt(case: Case, effect: StartAttempt, left: Mapping[str, Workspace]) -> str:
    """The same order of questions as when the run is taken up; here nothing is changed."""
    note = read_note(case.folder, effect.key)
    note = note if note is not None and note.run == case.run else None
    if note is not None and await _is_sealed(case, note):
        return "it had ended and its work is sealed, only nobody judged it yet: resume does, and starts no agent again"
    workspace = left.get(effect.task)
    if workspace is not None:
        return f"it was at work in workspace {workspace.slot}: resume rescues what it left there, and starts it again"
    if note is None:
        return "it was never started: resume starts it"
    if note.stage is Stage.PREPARING:
        return "it was being prepared and had no agent yet: resume starts it again"
    return "it was cut short and its workspace is not there any more: resume starts it again"


async def _is_sealed(case: Case, note: AttemptNote) -> bool:
    result = result_of(note)
    if result is None or result.sealed is None:
        return False
    workspaces = GitWorkspaces(case.shop.repository, case.shop.places.agents)
    return await workspaces.holds(note.ref, result.sealed.commit, result.sealed.tree)


def _more(case: Case) -> Finding:
    more = len(case.state.inflight) - _MOST
    return Finding(area=case.area, name="under way", ok=None, text=f"and {more} more that were under way")
