"""Questions on the terminal a run was started from, asked while only decisions are left (SPEC 9)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence

from chargehand.cli.progress import Progress
from chargehand.cli.render.pen import Pen
from chargehand.cli.render.summary import decision_lines
from chargehand.cli.terminal import forget_typed, is_in_front
from chargehand.domain.state import RunState
from chargehand.domain.words import Decision

__all__ = ["Prompter", "chosen"]

_LONGEST_LINE = 4096


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """The choice that is meant by a line: its name, or a beginning only it has. An empty line is no answer [I9]."""
    word = text.strip().lower()
    if word in choices:
        return word
    fitting = [choice for choice in choices if word and choice.startswith(word)]
    return fitting[0] if len(fitting) == 1 else None


class Prompter:
    """Asks one open question at a time; an answer from elsewhere ends the asking as well."""

    def __init__(self, progress: Progress, pen: Pen, answer: Callable[[Decision, str], None]) -> None:
        self._progress = progress
        self._pen = pen
        self._answer = answer
        self._asked: Decision | None = None
        self._closed = False

    def look(self, state: RunState) -> None:
        """Ask, go on asking, or stop asking: whatever the state calls for."""
        open_ones = state.decisions if state.waits_for_people and not state.interrupted else {}
        if self._asked is not None and self._asked.id not in open_ones:
            self._stop()
        if self._asked is None and open_ones and not self._closed and is_in_front():
            self._ask(state, next(iter(open_ones.values())))

    def close(self) -> None:
        """Ask nothing more."""
        self._closed = True
        self._stop()

    def _ask(self, state: RunState, decision: Decision) -> None:
        self._asked = decision
        self._progress.pause()
        left = f" (1 of {len(state.decisions)})" if len(state.decisions) > 1 else ""
        leave = f"Ctrl-C leaves the run for `{self._pen.step('resume')}`"
        self._progress.note("", f"Only your answer is missing{left}; {leave}.")
        self._progress.note(*decision_lines(state, self._pen, only=decision.id))
        forget_typed()  # what was typed before the question is no answer
        self._show_prompt(decision)
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._readable)

    def _show_prompt(self, decision: Decision) -> None:
        sys.stderr.write(f"{decision.id} [{'/'.join(decision.choices)}]: ")
        sys.stderr.flush()

    def _readable(self) -> None:
        """One line is one answer: what was pasted behind it does not answer the next question."""
        decision = self._asked
        text = os.read(sys.stdin.fileno(), _LONGEST_LINE).decode(errors="replace")
        if decision is None:
            return
        if not text:  # the end of the input: nobody will answer here
            sys.stderr.write("\n")
            self.close()
            return
        choice = chosen(text.split("\n", 1)[0], decision.choices)
        if choice is None:
            self._progress.note(f"Choose one of: {', '.join(decision.choices)}.")
            self._show_prompt(decision)
            return
        self._stop()
        self._answer(decision, choice)

    def _stop(self) -> None:
        if self._asked is not None:
            self._asked = None
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
