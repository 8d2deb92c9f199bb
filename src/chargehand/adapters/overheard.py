"""What an agent tells of running that it may not run, where nothing asked before it did (SPEC 7.2).

A program with a hook is denied such a command. One without can only be overheard: what its stream tells of its tool
calls is judged by the same rules, and what is found is recorded. It proves nothing either way [I6].
"""

from __future__ import annotations

import re

from chargehand.adapters.guarding.classify import classify, forbidding
from chargehand.adapters.guarding.place import Place
from chargehand.ports import AgentEvent, AttemptSpec, EventKind

__all__ = ["Overheard"]

_RUNS = re.compile(r"bash|shell|exec|command|terminal|process", re.IGNORECASE)
"""What tools for commands are called, in all programs known here."""
_MOST_TOLD = 2_000
_MOST_SHOWN = 3
_SHOWN_CHARS = 200


class Overheard:
    """The commands that one attempt's program told of. `place` is where it ran them."""

    def __init__(self, spec: AttemptSpec, place: Place) -> None:
        self._spec = spec
        self._place = place
        self._told: dict[str, str] = {}

    def heard(self, event: AgentEvent) -> None:
        """Take what the program tells of a call; one that it refused itself was not run."""
        name = event.call or event.text
        if event.kind is EventKind.DENIED:
            self._told.pop(name, None)
        elif event.kind is EventKind.CALL and _RUNS.search(event.tool) and len(self._told) < _MOST_TOLD:
            self._told[name] = event.text

    def violations(self) -> tuple[str, ...]:
        """A sentence about the forbidden commands that were run, as far as is told; none when there were none.

        It takes as long as reading each of them: not for the thread of the event loop.
        """
        place = forbidding(self._place, self._spec.forbidden)
        ran = [text for text in dict.fromkeys(self._told.values()) if _is_forbidden(text, place)]
        if not ran:
            return ()
        shown = ", ".join(f"`{' '.join(text.split())[:_SHOWN_CHARS]}`" for text in ran[:_MOST_SHOWN])
        more = f", and {len(ran) - _MOST_SHOWN} more" if len(ran) > _MOST_SHOWN else ""
        return (f"The agent of attempt {self._spec.attempt} ran what this task leaves to the runtime: {shown}{more}.",)


def _is_forbidden(text: str, place: Place) -> bool:
    return any(danger.rule == "forbidden" for danger in classify(text, place).reasons)
