"""Which step of a scenario a request gets: told by the conversation it holds, and by how often a fault was played."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from chargehand.dialects import TokenUse

from .answers import Answer
from .conversation import Conversation
from .scenario import Numbers, Play, Scenario, Step
from .tools import NoTool, ToolCall, example, text_edits, tool_calls

__all__ = ["Player", "Turn"]

_NOTHING_LEFT = Step(say="Nothing is left to do.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is to be done for a request. A fault has no answer; `cut` ends an answer after so many events.

    `play` and `step` say where it stands in the scenario (-1: nowhere); `wrong` is what the scenario asked for in vain.
    """

    step: Step
    answer: Answer | None = None
    cut: int | None = None
    play: int = -1
    index: int = -1
    wrong: str = ""


@dataclass(slots=True)
class Player:
    """Plays one scenario; the only thing it remembers is how often each fault was played in each conversation."""

    scenario: Scenario
    _played: Counter[tuple[int, int, str]] = field(default_factory=Counter)

    def turn(self, conversation: Conversation, name: str = "") -> Turn:
        """The turn that comes next in `conversation`, of the play called `name` or of the first that fits."""
        found = next(
            (number for number, play in enumerate(self.scenario.plays) if _is_meant(play, conversation, name)), None
        )
        play = self.scenario.plays[found] if found is not None else None
        is_side = not conversation.tools and not conversation.edits_by_text and not (play and play.sides)
        if conversation.schema is not None or is_side:
            fitting = conversation.schema is not None
            text = json.dumps(example(conversation.schema)) if fitting else self.scenario.side
            return Turn(step=Step(say=text), answer=self._answer(Step(say=text), conversation, text=text))
        if play is None or found is None:
            wrong = f"no play is meant for this conversation, which begins with {conversation.first[:80]!r}"
            return Turn(step=_NOTHING_LEFT, answer=self._answer(_NOTHING_LEFT, conversation, text=wrong), wrong=wrong)
        return self._play(found, play, conversation)

    def _play(self, number: int, play: Play, conversation: Conversation) -> Turn:
        """Steps whose traces are in the conversation are over: calls by their number, texts by being said."""
        turns, said, index = conversation.turns, " ".join(conversation.said.split()), 0
        while index < len(play.steps):
            step, width = play.steps[index], 1
            if step.is_fault:
                if self._is_due(number, index, step, conversation):
                    return Turn(step=step, play=number, index=index)
            elif step.is_call and not conversation.edits_by_text:
                times = turns + 1 if step.times == "forever" else step.times
                if turns < times:
                    return self._give(number, index, step, conversation)
                turns -= times
            else:
                turn = _one_turn(play.steps[index:]) if conversation.edits_by_text else (step,)
                text, width = _text(turn), len(turn)
                wanted = " ".join(text.split())
                if wanted not in said:
                    return self._give(number, index, step, conversation, text=text)
                said = said.replace(wanted, "", 1) if wanted else said
            index += width
        text = _NOTHING_LEFT.say or ""
        return Turn(step=_NOTHING_LEFT, answer=self._answer(_NOTHING_LEFT, conversation, text=text), play=number)

    def _give(self, number: int, index: int, step: Step, conversation: Conversation, text: str = "") -> Turn:
        calls: tuple[ToolCall, ...] = ()
        wrong = ""
        if not text:
            try:
                calls = tuple(tool_calls(step, conversation))
            except NoTool as error:
                wrong = text = f"The scripted model cannot play this step: {error}."
        cut = step.cut if step.cut is not None and self._is_due(number, index, step, conversation) else None
        answer = self._answer(step, conversation, text=text, calls=calls)
        return Turn(step=step, answer=answer, cut=cut, play=number, index=index, wrong=wrong)

    def _is_due(self, number: int, index: int, step: Step, conversation: Conversation) -> bool:
        """Whether a fault is to be played once more; counts it."""
        key = (number, index, sha256(conversation.first.encode()).hexdigest())
        times = 1 if step.is_call and step.cut is not None else step.times
        if times != "forever" and self._played[key] >= times:
            return False
        self._played[key] += 1
        return True

    def _answer(
        self, step: Step, conversation: Conversation, *, text: str = "", calls: tuple[ToolCall, ...] = ()
    ) -> Answer:
        seed = f"{conversation.first}\0{conversation.turns}\0{len(conversation.said)}\0{text}"
        numbers = step.usage or self.scenario.usage
        return Answer(
            id=sha256(seed.encode()).hexdigest()[:16],
            model=step.model or conversation.model or self.scenario.models[0],
            text=text,
            calls=calls,
            usage=_use(numbers),
        )


def _is_meant(play: Play, conversation: Conversation, name: str) -> bool:
    if name:
        return play.name == name
    return all(text in conversation.told for text in play.when)


def _one_turn(steps: Sequence[Step]) -> tuple[Step, ...]:
    """What an agent that takes edits as text gets at once: all up to a fault, or up to and with the next text."""
    turn: list[Step] = []
    for step in steps:
        if step.is_fault:
            break
        turn.append(step)
        if not step.is_call:
            break
    return tuple(turn)


def _text(turn: Sequence[Step]) -> str:
    edits, last = text_edits(turn), "" if turn[-1].is_call else _said(turn[-1])
    return "\n\n".join(filter(None, (edits, last)))


def _said(step: Step) -> str:
    if step.flood is not None:
        return _much(step.flood)
    for tag, document in (("chargehand-report", step.report), ("chargehand-verdict", step.verdict)):
        if document is not None:
            return f"```{tag}\n{json.dumps(document, indent=1)}\n```"
    return step.say or ""


def _much(size: int) -> str:
    """So many characters that repeat nothing: some agents take repetition for a model that hangs."""
    lines = (f"{number} {sha256(str(number).encode()).hexdigest()}\n" for number in range(size // 64 + 1))
    return "".join(lines)[:size]


def _use(numbers: Numbers) -> TokenUse:
    written = min(numbers.written, max(0, numbers.input - numbers.cached))
    return TokenUse(
        input=numbers.input, output=numbers.output, cached=min(numbers.cached, numbers.input), written=written
    )
