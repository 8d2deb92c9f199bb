"""Requests in the inbox of a run that nobody can read: no front end of this release wrote them."""

from __future__ import annotations

from chargehand.adapters.journal_sqlite import SqliteInbox
from chargehand.wiring.doctor.case import Case, holding
from chargehand.wiring.doctor.finding import Finding, Repair, listed, many

__all__ = ["look_at_inbox"]


def look_at_inbox(case: Case) -> list[Finding]:
    """What stands between the requests of people and is none; AdapterError where the inbox cannot be read."""
    with SqliteInbox.open(case.folder / "journal.db", readonly=True) as inbox:
        odd = [request for request in inbox.pending() if request.unreadable]
    if not odd:
        return []
    text = f"{many(len(odd), 'request')} in its inbox cannot be read: {listed([one.unreadable for one in odd])}"
    repair = Repair(text=f"set {many(len(odd), 'request')} aside that nobody can read", act=lambda: _set_aside(case))
    hint = f"`chargehand resume {case.run}` sets that aside with a warning; so does `chargehand doctor --repair`."
    return [Finding(area=case.area, name="inbox", ok=False, text=text, hint=hint, repair=repair)]


async def _set_aside(case: Case) -> str:
    with holding(case.shop, case.run), SqliteInbox.open(case.folder / "journal.db") as inbox:
        odd = [request for request in inbox.pending() if request.unreadable]
        for request in odd:
            inbox.settle(request.id)
    return f"{many(len(odd), 'request')} set aside; the journal's file keeps them."
