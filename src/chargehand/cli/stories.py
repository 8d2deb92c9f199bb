"""What happened to one task, attempt by attempt, put together from the events of its run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import (
    AttemptFinished,
    EffectIntended,
    EffectLost,
    GatesFinished,
    Recorded,
    TaskRequeued,
)
from chargehand.domain.outcome import AttemptResult, GateResult
from chargehand.domain.plan import GatePoint
from chargehand.domain.words import Failure

__all__ = ["Story", "pick", "tell_stories"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One attempt: `seq` is the event that started it; `sent_back` why the task was sent back after it."""

    effect: StartAttempt
    seq: int
    started_at: float
    finished_at: float | None = None
    result: AttemptResult | None = None
    lost: str = ""
    gates: tuple[tuple[GatePoint, GateResult], ...] = field(default=())
    sent_back: str = ""
    failure: Failure | None = None

    @property
    def number(self) -> int:
        """The number of the attempt, from 1."""
        return self.effect.attempt


def tell_stories(events: Iterable[Recorded], task: str) -> list[Story]:
    """The attempts of a task in order; one that was lost and begun again under its number counts as the later one."""
    stories: dict[int, Story] = {}
    for recorded in events:
        match recorded.event:
            case EffectIntended(effect=StartAttempt() as effect) if effect.task == task:
                stories[effect.attempt] = Story(effect=effect, seq=recorded.seq, started_at=recorded.at)
            case AttemptFinished() as event if event.task == task:
                _update(stories, event.attempt, result=event.result, finished_at=recorded.at)
            case EffectLost() as event:
                for number, story in stories.items():
                    if story.effect.key == event.key:
                        stories[number] = replace(story, lost=event.detail, finished_at=recorded.at)
            case GatesFinished() as event if event.task == task and event.attempt in stories:
                found = tuple((event.point, result) for result in event.results)
                _update(stories, event.attempt, gates=(*stories[event.attempt].gates, *found))
            case TaskRequeued() as event if event.task == task and stories:
                _update(stories, max(stories), sent_back=event.why.value, failure=event.failure)
            case _:
                pass
    return [stories[number] for number in sorted(stories)]


def _update(stories: dict[int, Story], number: int, **values: object) -> None:
    if number in stories:
        stories[number] = replace(stories[number], **values)  # type: ignore[arg-type]


def pick(stories: list[Story], task: str, attempt: int | None) -> Story:
    """The attempt of that number, else the last; `UserError` when there is none."""
    chosen = [story for story in stories if attempt in (None, story.number)]
    if chosen:
        return chosen[-1]
    if not stories:
        raise UserError(f"Task {task} has had no attempt yet.", code="no_attempt", hint=f"See `chargehand why {task}`.")
    numbers = ", ".join(str(story.number) for story in stories)
    raise UserError(f"Task {task} has no attempt {attempt}.", code="unknown_attempt", hint=f"It has: {numbers}.")
