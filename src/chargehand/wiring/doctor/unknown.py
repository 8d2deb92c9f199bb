"""Sealed work that refs keep and the journal does not know: one that lost its end is whole, and knows less (I2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chargehand.adapters.git.refs import ref_safe
from chargehand.adapters.rescue import keep_under, would_be_lost
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import EffectIntended
from chargehand.domain.ids import REF_ROOT, attempt_ref
from chargehand.wiring.doctor.case import Case, case_of, holding
from chargehand.wiring.doctor.finding import Finding, Repair, listed, many

__all__ = ["look_for_unknown_work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unknown:
    name: str
    commit: str


async def look_for_unknown_work(case: Case) -> list[Finding]:
    """Whether the refs of a run that nobody drives hold work of which its journal does not tell."""
    if case.holder is not None or case.state.is_landed:
        return []
    found = await _unknown(case)
    if not found:
        return []
    text = (
        f"refs keep sealed work that the journal does not know ({listed([one.name for one in found])}): "
        "it has lost its end, or is an older copy; what it does not know is done again"
    )
    repair = Repair(text=f"keep {many(len(found), 'sealed attempt')} as rescues", act=lambda: _keep(case))
    hint = "`chargehand doctor --repair` puts it among the rescues; `chargehand rescue list` then shows it."
    return [Finding(area=case.area, name="unknown work", ok=False, text=text, hint=hint, repair=repair)]


async def _unknown(case: Case) -> Sequence[_Unknown]:
    """What no event tells of, that is neither on the branch nor among the rescues."""
    repository, root = case.shop.repository, f"{REF_ROOT}/attempts/{case.run}/"
    fields = "--format=%(objectname) %(refname)"
    lines = (await repository.git().text("for-each-ref", fields, root)).splitlines()
    kept = {ref: oid for oid, ref in (line.split(" ", 1) for line in lines)}
    told = _told(case)
    strange = {ref: oid for ref, oid in kept.items() if ref not in told or told[ref] not in (None, oid)}
    if not strange:
        return ()
    fields = "--format=%(objectname) %(parent)"
    rescues = await repository.git().text("for-each-ref", fields, f"{REF_ROOT}/rescue/{case.run}/")
    safe = set(rescues.split())
    tip = await repository.ref(f"refs/heads/{case.state.branch}") or case.state.base
    return [
        _Unknown(name=ref.removeprefix(root), commit=oid)
        for ref, oid in strange.items()
        if oid not in safe and await would_be_lost(repository, oid, tip)
    ]


def _told(case: Case) -> dict[str, str | None]:
    """The refs of all attempts that were ever begun, with the commit that the journal says was sealed there."""
    begun: dict[str, str | None] = {
        ref_safe(attempt_ref(case.run, recorded.event.effect.task, recorded.event.effect.launch)): None
        for recorded in case.events
        if isinstance(recorded.event, EffectIntended) and isinstance(recorded.event.effect, StartAttempt)
    }
    return begun | {ref_safe(work.ref): work.sealed.commit for work in case.sealed}


async def _keep(case: Case) -> str:
    with holding(case.shop, case.run):
        found = await _unknown(case_of(case.shop, case.run))
        for one in found:
            prefix = f"{REF_ROOT}/rescue/{case.run}/{one.name.rpartition('/')[0]}"
            await keep_under(case.shop.repository, prefix, one.commit, once=True)
    return f"{many(len(found), 'sealed attempt')} kept: `chargehand rescue list {case.run}` shows them."
