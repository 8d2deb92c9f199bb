"""`receipt verify`: does what a run once proved still hold? Without a model, and without taking anyone's word (SPEC 6).

Three places tell of the same thing: the journal, the files beside it, and the notes on what landed. Receipts are put
together anew from the journal and held against the other two; git is asked for the commits and trees they name; then
the gates run again on those trees (`wiring.rerunning`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from chargehand.adapters.receipts import Line, lines_of
from chargehand.domain.errors import UserError
from chargehand.domain.receipt import Receipt, differences
from chargehand.domain.state import RunState
from chargehand.wiring.landed import Landed, look_at_landed
from chargehand.wiring.receipts import Shelf, Written, open_shelf, write_receipts

if TYPE_CHECKING:
    from chargehand.wiring.rerunning import Again
    from chargehand.wiring.workshop import Workshop

__all__ = ["Checked", "Code", "Problem", "Verified", "verify"]

_SHOWN = 6


class Code(StrEnum):
    """What no longer holds."""

    JOURNAL = "journal_tampered"
    FILE_CHANGED = "receipt_changed"
    FILE_MISSING = "receipt_missing"
    NOTE_CHANGED = "note_changed"
    NOTE_MISSING = "note_missing"
    NOTE_UNKNOWN = "note_unknown"
    NO_EVIDENCE = "no_evidence"
    COMMIT_GONE = "commit_gone"
    TREE = "tree_differs"
    TRAILERS = "trailers_differ"
    OFF_BRANCH = "off_branch"
    BRANCH = "branch_gone"
    GATE_RED = "gate_red"
    GATE_FAULT = "gate_fault"
    TESTS = "tests_vanished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that does not hold, in a sentence; `gate` is the one concerned."""

    code: Code
    text: str
    gate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one receipt; `task` is empty for that of the run."""

    task: str
    commit: str
    problems: tuple[Problem, ...] = ()
    again: tuple[Again, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What became of a run's receipts. `seq` and `chain` are the end of its journal; `written` was made on the way."""

    run: str
    seq: int
    chain: str
    journal: tuple[Problem, ...] = ()
    receipts: tuple[Checked, ...] = ()
    written: Written = field(default_factory=Written)
    ran: bool = False

    @property
    def holds(self) -> bool:
        """Whether everything does."""
        return not self.journal and not any(each.problems for each in self.receipts)


async def verify(
    shop: Workshop,
    run: str,
    *,
    tasks: Collection[str] = (),
    gates: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Verified:
    """Check the receipts of a run, or only those of `tasks`; with `gates` the gates run again, told of by `tell`.

    A journal that was tampered with has no gates run. What was never written, because the process was killed before,
    is written when all of them hold. UserError for a task that has no receipt.
    """
    shelf = await open_shelf(shop, run)
    chosen = _chosen(shelf, tasks)
    found = [*_checked(shelf, chosen), *([] if tasks else _unknown(shelf))]
    journal = (*_broken(shelf), *_rewritten(shelf))
    if shelf.reading.book is not None:
        landed = await look_at_landed(shop.repository, shelf.reading.book.state, chosen)
        found = [replace(each, problems=(*each.problems, *_git_problems(each, chosen, landed))) for each in found]
    gates = gates and not journal  # commands of a journal that somebody wrote anew are nobody's to run
    if gates and chosen and shelf.reading.book is not None:
        found = await _again(shop, shelf.reading.book.state, chosen, found, tell)
    seq = shelf.reading.seq
    chain = shelf.reading.chains[-1] if seq else ""
    done = Verified(run=run, seq=seq, chain=chain, journal=journal, receipts=tuple(found), ran=gates)
    if done.holds and not tasks and shop.store.holder(run) is None:
        done = replace(done, written=await write_receipts(shop, run, shelf))
    return done


async def _again(
    shop: Workshop,
    state: RunState,
    chosen: Mapping[str, Receipt],
    found: list[Checked],
    tell: Callable[[str], None] | None,
) -> list[Checked]:
    from chargehand.wiring.rerunning import run_again

    gone = {each.task for each in found if any(problem.code is Code.COMMIT_GONE for problem in each.problems)}
    due = {task: receipt for task, receipt in chosen.items() if task not in gone}
    told = await run_again(shop, state, due, tell)
    return [
        replace(
            each, problems=(*each.problems, *_gate_problems(told.get(each.task, ()))), again=told.get(each.task, ())
        )
        for each in found
    ]


def _gate_problems(again: Collection[Again]) -> Iterator[Problem]:
    for each in again:
        other = "" if each.same_environment else " It ran in another environment than then."
        if each.vanished:
            names = ", ".join(each.vanished[:_SHOWN])
            more = f", and {len(each.vanished) - _SHOWN} more" if len(each.vanished) > _SHOWN else ""
            text = f"{each.gate} no longer runs tests that it ran: {names}{more}."
            yield Problem(code=Code.TESTS, gate=each.gate, text=text)
        if each.holds:
            continue
        code = Code.GATE_RED if each.now == "fail" else Code.GATE_FAULT
        text = f"{each.gate} ({each.point}) was {each.then}, and is {each.now or 'not run'} now: {each.detail}{other}"
        yield Problem(code=code, gate=each.gate, text=text)


# -- the three places -----------------------------------------------------------------------------


def _chosen(shelf: Shelf, tasks: Collection[str]) -> dict[str, Receipt]:
    """The receipts that are asked for, by task; all of them, and that of the run, when none is named."""
    there = {receipt.task: receipt for receipt in shelf.receipts}
    if not tasks:
        return there
    for task in tasks:
        if task not in there:
            known = ", ".join(filter(None, there)) or "none"
            hint = f"These have one: {known}."
            raise UserError(f"Task {task} of run {shelf.run} has no receipt.", code="no_receipt", hint=hint)
    return {task: there[task] for task in tasks}


def _checked(shelf: Shelf, chosen: Mapping[str, Receipt]) -> Iterator[Checked]:
    # A task named by the run's own file was written once, with its note: that file is written last.
    once = {row["id"] for row in _stored_run(shelf)}
    complete = shelf.files.read("") is not None
    for task, receipt in chosen.items():
        was = task in once or (not task and complete)
        problems = [*_file_problems(shelf, receipt, was=was), *_note_problems(shelf, receipt, was=was)]
        if "evidence" in receipt.body:
            text = f"The evidence of {task} was {receipt.body['evidence']}: only that it landed is known."
            problems.append(Problem(code=Code.NO_EVIDENCE, text=text))
        yield Checked(task=task, commit=receipt.commit, problems=tuple(problems))


def _stored_run(shelf: Shelf) -> list[dict[str, object]]:
    """The tasks with a receipt in the run's own file, as far as that can be read."""
    import json

    try:
        return [row for row in json.loads(shelf.files.read("") or "{}")["tasks"] if row["sha256"]]
    except (ValueError, TypeError, LookupError, RecursionError):
        return []


def _file_problems(shelf: Shelf, receipt: Receipt, *, was: bool) -> Iterator[Problem]:
    stored = shelf.files.read(receipt.task)
    name = f"the file of {_name(receipt.task)}"
    if stored is None:
        if was:
            yield Problem(code=Code.FILE_MISSING, text=f"{name[:1].upper()}{name[1:]} is gone.")
    elif not _says(shelf, receipt, stored):
        text = f"{name[:1].upper()}{name[1:]} says something else than the journal{_where(receipt, stored)}."
        yield Problem(code=Code.FILE_CHANGED, text=text)


def _note_problems(shelf: Shelf, receipt: Receipt, *, was: bool) -> Iterator[Problem]:
    for commit in shelf.wanted([receipt]):
        lines = [line for line in lines_of(shelf.notes.get(commit, "")) if _is_about(line, shelf.run, receipt.task)]
        what = f"The note on {commit[:10]} about {_name(receipt.task)}"
        if not lines and was:
            yield Problem(code=Code.NOTE_MISSING, text=f"{what} is gone.")
        for line in lines:
            if not _says(shelf, receipt, line.text):
                text = f"{what} says something else than the journal{_where(receipt, line.text)}."
                yield Problem(code=Code.NOTE_CHANGED, text=text)


def _says(shelf: Shelf, receipt: Receipt, text: str) -> bool:
    """Whether a stored receipt is the one of now, or word by word the one of its own time."""
    return text == receipt.text or (not receipt.task and text in shelf.outdated)


def _where(receipt: Receipt, stored: str) -> str:
    import json

    try:
        places = differences(receipt.body, json.loads(stored))
    except (ValueError, RecursionError):
        return ": it is no JSON"
    more = ", …" if len(places) > _SHOWN else ""
    return f" in {', '.join(places[:_SHOWN])}{more}" if places else ": it is written otherwise"


def _is_about(line: Line, run: str, task: str) -> bool:
    return line.run == run and line.task == task


def _name(task: str) -> str:
    return f"task {task}" if task else "the run"


def _unknown(shelf: Shelf) -> Iterator[Checked]:
    """Notes of this run, on its own commits, about what its journal knows nothing of."""
    known = {receipt.task for receipt in shelf.receipts}
    for commit, note in shelf.notes.items():
        for line in lines_of(note):
            if line.run == shelf.run and line.task not in known:
                text = f"A note on {commit[:10]} says that task {line.task} landed; the journal does not know of it."
                yield Checked(task=line.task, commit=commit, problems=(Problem(code=Code.NOTE_UNKNOWN, text=text),))


# -- the journal ----------------------------------------------------------------------------------


def _broken(shelf: Shelf) -> Iterator[Problem]:
    reading = shelf.reading
    if reading.broken_at is not None:
        text = f"The journal does not hold from event {reading.broken_at} on: {reading.problem}"
        yield Problem(code=Code.JOURNAL, text=text)


def _rewritten(shelf: Shelf) -> Iterator[Problem]:
    """A journal whose chain fits itself, and not what files and notes once took down of it.

    Where file and note of a receipt disagree, one of them was changed; where both say the same, the journal was.
    """
    chains, broken = shelf.reading.chains, shelf.reading.broken_at
    for seq, said, task in sorted(_anchors(shelf)):
        if seq > len(chains):
            if broken is None:
                text = f"The journal ends at event {len(chains)}; the receipt of {_name(task)} was made at event {seq}."
                yield Problem(code=Code.JOURNAL, text=text)
                return
        elif chains[seq - 1] != said:
            text = (
                f"Event {seq} of the journal, or one before it, is not as it was when the receipt of {_name(task)} "
                "was made: it was written anew from there on."
            )
            yield Problem(code=Code.JOURNAL, text=text)
            return


def _anchors(shelf: Shelf) -> Iterator[tuple[int, str, str]]:
    """(event, hash, task) that every stored copy of a receipt agrees on."""
    copies: dict[str, list[tuple[int, str]]] = {}
    names = {"", *(str(row["id"]) for row in _stored_run(shelf)), *(receipt.task for receipt in shelf.receipts)}
    for task in names:
        stored = shelf.files.read(task)
        copies[task] = [anchor] if stored and (anchor := _anchor(stored)) else []
    for note in shelf.notes.values():
        for line in lines_of(note):
            if line.run == shelf.run and (anchor := _anchor(line.text)):
                copies.setdefault(line.task, []).append(anchor)
    for task, anchors in copies.items():
        if anchors and len(set(anchors)) == 1:
            yield (*anchors[0], task)


def _anchor(text: str) -> tuple[int, str] | None:
    import json

    try:
        journal = json.loads(text)["journal"]
        seq, said = journal["seq"], journal["hash"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return (seq, said) if type(seq) is int and type(said) is str and seq > 0 else None


# -- git ------------------------------------------------------------------------------------------


def _git_problems(checked: Checked, chosen: Mapping[str, Receipt], landed: Landed) -> Iterator[Problem]:
    receipt = chosen.get(checked.task)
    if receipt is not None:
        for code, text in landed.problems_of(receipt):
            yield Problem(code=Code(code), text=text)
