"""Journals that cannot be read any more, and how much of a run can be brought back (SPEC 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain.errors import ChargehandError, UserError
from chargehand.wiring.doctor.finding import Finding, words_of

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["look_at_journal"]

JOURNAL = "journal.db"


async def look_at_journal(shop: Workshop, run: str) -> list[Finding]:
    """Whether the journal of a run is whole and can be understood; empty when it is."""
    path = shop.store.folder(run) / JOURNAL
    area = f"run {run}"
    try:
        with SqliteJournal.open(path, readonly=True) as journal:
            problems = journal.check()
        if not problems:
            shop.service.look(run)
            return []
    except UserError as error:
        return [Finding(area=area, name="journal", ok=False, text=error.message, hint=error.hint)]
    except ChargehandError as error:
        problems = [words_of(error)]
    return [Finding(area=area, name="journal", ok=False, text=problems[0])]
