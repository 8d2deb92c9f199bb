"""What files say of tasks after somebody edited them by hand: told apart from what the run wrote, and asked about.

A run never reads its own state from these files. Somebody who edits one wants something, though: where the file says
something else of a task than the run does, a person decides whose word counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chargehand.domain.asking import ask
from chargehand.domain.commands import RequestKind, is_so, obey, wish_of
from chargehand.domain.errors import UserError
from chargehand.domain.events import Event
from chargehand.domain.left_out import behind, blocked_by
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Decision, DecisionKind, HandEdit, Means, Reason, TaskStatus, TaskWord

__all__ = ["Told", "as_of_now", "ask_about_edits", "differences", "is_by_hand", "not_taken"]

_WORD_CHARS = 120
_MOST_LINES = 40
_MOST_NAMES = 8
_REFUSED = "Cannot be taken:"

_WISHES = {
    RequestKind.RETRY: "it is tried again",
    RequestKind.CANCEL: "it is cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a file says of a task: the word of its system, what that means, and other values that are the run's."""

    word: str
    means: Means
    rest: str = ""


Words = Mapping[str, Told]
"""What a file says, by task."""


def differences(state: RunState, found: Words, written: Words, before: Words | None = None) -> tuple[TaskWord, ...]:
    """The tasks of which a file says something that neither the run had written, nor is so.

    `before` is what the file said before a last write of which nobody knows whether it came through.
    """
    return tuple(_different(state, found, written, before or written))


def _different(state: RunState, found: Words, written: Words, before: Words) -> Iterator[TaskWord]:
    for task in dict.fromkeys((*written, *found)):
        theirs, ours = found.get(task), written.get(task)
        if theirs in {ours, before.get(task)} or (ours is None and task not in state.tasks):
            continue  # a task that nobody ever had a word for is one of a plan to come
        means = theirs.means if theirs is not None else Means.OTHER
        if theirs is not None and ours is not None and theirs.word == ours.word:
            means = Means.OTHER  # not the word was changed, but what belongs to it
        record = state.tasks.get(task)
        if record is None or not is_so(record, means):
            yield TaskWord(task=task, ours=_said(ours), theirs=_said(theirs), means=means)


def _said(told: Told | None) -> str:
    """In one line of bounded length: it is the text of anybody."""
    return " ".join(f"{told.word} {told.rest}".split())[:_WORD_CHARS] if told is not None else ""


def is_by_hand(state: RunState, record: TaskRecord) -> bool:
    """Whether somebody made a file say that a task is done, and that was taken: their word stays in the file."""
    skipped = record.status if record.ending is None else record.ending.status
    return record.id in state.by_hand and skipped is TaskStatus.SKIPPED


def ask_about_edits(state: RunState, edits: Iterable[HandEdit]) -> tuple[Event, ...]:
    """One question about all of these files; nothing where there is none."""
    edits = tuple(edits)
    if not edits:
        return ()
    effects = {
        "file": "file: take the file's word, as far as the lines above say that it can be taken",
        "ours": "ours: go by the run, and write the file as the run has it",
    }
    kind, text = DecisionKind.EDITED, _question(state, edits)
    return ask(state, "", kind, Reason.HUMAN, text, ("file", "ours"), "ours", effects=effects, edits=edits)


def as_of_now(state: RunState, decision: Decision) -> Decision:
    """A question as it is to be shown: about edited files, with what the answers come to as the run stands now."""
    return replace(decision, question=_question(state, decision.edits)) if decision.edits else decision


def not_taken(state: RunState, decision: Decision, choice: str) -> tuple[str, ...]:
    """What the answer will not do, as the run stands now: a line for each word that cannot be taken."""
    if choice != "file":
        return ()
    lines = _question(state, decision.edits).splitlines()
    return tuple(line.removeprefix("- ") for line in lines if _REFUSED in line)


def _question(state: RunState, edits: Sequence[HandEdit]) -> str:
    files = ", ".join(edit.file for edit in edits)
    lines = [f"{files} {'was' if len(edits) == 1 else 'were'} edited by hand since this run wrote to it."]
    again = {word.task for edit in edits for word in edit.words if word.means is Means.OPEN}
    said = [(edit, word) for edit in edits for word in edit.words]
    lines += [_line(state, edit, word, again) for edit, word in said[:_MOST_LINES]]
    if len(said) > _MOST_LINES:
        lines.append(f"- … and {len(said) - _MOST_LINES} more; `chargehand log --json` has them all.")
    kept = ", ".join(edit.kept for edit in edits)
    lines.append(f"Whatever you answer, the edited text is kept: {kept}.")
    return "\n".join(lines)


def _line(state: RunState, edit: HandEdit, word: TaskWord, again: Collection[str]) -> str:
    record = state.tasks.get(word.task)
    ours = f"the run has it {record.status}" if record is not None else "it is no task of this run"
    wrote = f" (written as '{word.ours}')" if word.ours else ""
    theirs = f"the file says '{word.theirs}'" if word.theirs else "the file does not name it any more"
    return f"- {word.task}: {ours}{wrote}, {theirs}. {_comes_to(state, edit, word, again)}"


def _comes_to(state: RunState, edit: HandEdit, word: TaskWord, again: Collection[str]) -> str:
    """What taking a word would do, or why it cannot be taken and what to do instead.

    `again` are the tasks of which files say that they are to be done: what is blocked on one of them waits with it.
    """
    record = state.tasks.get(word.task)
    if record is not None and is_so(record, word.means):
        return "That is so by now."
    if word.means is Means.OPEN and record is not None and record.blocked_on in again:
        return f"If the file's word is taken, it waits again, for {record.blocked_on}."
    try:
        wish = wish_of(state, edit, word, "")
        obey(state, wish)
    except UserError as error:
        return " ".join(filter(None, (_REFUSED, error.message, error.hint)))
    if wish.kind is RequestKind.SKIP:
        return f"If the file's word is taken, {_left_out(state, word)}."
    return f"If the file's word is taken, {_WISHES[wish.kind]}."


def _left_out(state: RunState, word: TaskWord) -> str:
    """What comes of a task that is left out, and of those that need it."""
    if word.means is not Means.DONE:
        blocked = blocked_by(state, {word.task})
        return f"it is left out, as skipped{f', and that blocks {_some(blocked)}' if blocked else ''}"
    goes_on = behind(state, word.task)
    after = (
        f", and what depends on it goes on without its work in the run's branch: {_some(goes_on)}" if goes_on else ""
    )
    return f"it counts as done by hand, and the run leaves it out{after}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
