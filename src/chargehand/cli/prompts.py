"""Questions on the terminal a run was started from, asked while only decisions are left (SPEC 9)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence

from chargehand.cli.output import Patient
from chargehand.cli.progress import Progress
from chargehand.cli.render.pen import Pen, hang
from chargehand.cli.render.summary import decision_lines
from chargehand.cli.terminal import forget_typed, is_in_front
from chargehand.domain.state import RunState
from chargehand.domain.words import Decision

__all__ = ["Prompter", "chosen"]

_LONGEST_LINE = 4096
_STARTS_AN_AGENT = frozenset({"retry", "full"})
_NOTE = "anything to tell the agent? (empty: nothing): "


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """The choice that is meant by a line: its name, or a beginning only it has. An empty line is no answer [I9]."""
    word = text.strip().lower()
    if word in choices:
        return word
    fitting = [choice for choice in choices if word and choice.startswith(word)]
    return fitting[0] if len(fitting) == 1 else None


class Prompter:
    """Asks one open question at a time; an answer from elsewhere ends the asking as well.

    `pen` draws for the terminal as wide as it is now; `answer` gets the decision, the choice, and what else the agent
    is to be told.
    """

    def __init__(
        self, progress: Progress, pen: Callable[[], Pen], answer: Callable[[Decision, str, str], None]
    ) -> None:
        self._progress = progress
        self._pen = pen
        self._answer = answer
        self._screen = Patient(sys.stderr)
        self._asked: Decision | None = None
        self._choice: str | None = None
        self._is_open = False
        self._closed = False

    def look(self, state: RunState) -> None:
        """Ask, go on asking, or stop asking: whatever the state calls for."""
        open_ones = state.decisions if state.waits_for_people and not state.interrupted else {}
        if self._asked is not None and self._asked.id not in open_ones:
            self._stop()
        if self._asked is not None and not self._is_open:  # something was printed meanwhile
            self._progress.pause()
            self._show_prompt()
        if self._asked is None and open_ones and not self._closed and is_in_front():
            self._ask(state, next(iter(open_ones.values())))

    def make_room(self) -> None:
        """Something is about to be printed: not behind an open prompt."""
        if self._is_open:
            self._write("\n")
            self._is_open = False

    def close(self) -> None:
        """Ask nothing more."""
        self._closed = True
        self._stop()

    def _ask(self, state: RunState, decision: Decision) -> None:
        self._asked, self._choice = decision, None
        self._progress.pause()
        pen = self._pen()
        left = f" (1 of {len(state.decisions)})" if len(state.decisions) > 1 else ""
        leave = f"Ctrl-C leaves the run for `{pen.step('resume')}`"
        self._progress.note("", *hang("", f"Only your answer is missing{left}; {leave}.", pen, indent=0))
        self._progress.note(*decision_lines(state, pen, only=decision.id))
        self._show_prompt()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._readable)

    def _show_prompt(self) -> None:
        if self._asked is not None:
            forget_typed()  # what was typed before the question is no answer
            self._write(_NOTE if self._choice else f"{self._asked.id} [{'/'.join(self._asked.choices)}]: ")
            self._is_open = True

    def _write(self, text: str) -> None:
        self._screen.write(text)
        self._screen.flush()

    def _readable(self) -> None:
        """One line is one answer: what was pasted behind it does not answer the next question."""
        decision = self._asked
        try:
            text = os.read(sys.stdin.fileno(), _LONGEST_LINE).decode(errors="replace")
        except OSError:  # the terminal is gone
            text = ""
        if decision is None:
            return
        self._is_open = bool(self._is_open and not text)
        line = text.split("\n", 1)[0].strip()
        if self._choice is not None:
            self._give(decision, self._choice, line)
        elif not text:  # the end of the input: nobody will answer here
            self.make_room()
            self.close()
        else:
            self._take(decision, line)

    def _take(self, decision: Decision, line: str) -> None:
        choice = chosen(line, decision.choices)
        if choice is None:
            self._progress.note(f"Choose one of: {', '.join(decision.choices)}.")
            self._show_prompt()
        elif decision.task and choice in _STARTS_AN_AGENT:
            self._choice = choice
            self._show_prompt()
        else:
            self._give(decision, choice, "")

    def _give(self, decision: Decision, choice: str, note: str) -> None:
        self._stop()
        self._answer(decision, choice, note)

    def _stop(self) -> None:
        self._is_open = False
        if self._asked is not None:
            self._asked, self._choice = None, None
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
