"""What happened to one task, attempt by attempt, put together from the events of its run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chargehand.domain.effects import Land, StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import (
    AttemptFinished,
    CommandDropped,
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    Event,
    FixFinished,
    GatesFinished,
    LandFinished,
    Recorded,
    ReviewVoided,
    TaskRequeued,
)
from chargehand.domain.outcome import LOOKERS, AttemptResult, GateResult, Landed
from chargehand.domain.plan import GatePoint
from chargehand.domain.receipt_gates import is_verify
from chargehand.domain.words import Failure, Reason

__all__ = ["AskedCall", "Story", "Together", "landed_together", "pick", "tell_stories"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCall:
    """A command of an agent that needed a yes: `choice` is the answer, `by` whom; both are empty while it waits.

    `dropped` says why nobody is asked any more; `ahead`: it was answered before the attempt, for one that was ended.
    """

    decision: str
    command: str
    choice: str = ""
    by: str = ""
    dropped: str = ""
    ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One attempt: `seq` is the event that started it; `sent_back` why the task was sent back after it.

    `void` says why a look did not count. `mended` is what `fix` commands made of the change, each with how many of
    `gates` had run before.
    """

    effect: StartAttempt
    seq: int
    started_at: float
    finished_at: float | None = None
    result: AttemptResult | None = None
    lost: str = ""
    gates: tuple[tuple[GatePoint, GateResult], ...] = field(default=())
    sent_back: str = ""
    failure: Failure | None = None
    calls: tuple[AskedCall, ...] = ()
    void: str = ""
    mended: tuple[tuple[int, FixFinished], ...] = ()

    @property
    def is_look(self) -> bool:
        """Whether it only looked: at a change, a gate, or a plan that was returned."""
        return self.effect.role in LOOKERS

    @property
    def number(self) -> int:
        """The number of the attempt, from 1."""
        return self.effect.attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Who landed as one with a task: `tasks` in the order in which they were merged, itself among them.

    The last one's gates as merged stood for all; `gates` are those, without commands of other tasks.
    """

    tasks: tuple[str, ...]
    gates: tuple[GateResult, ...] = ()

    @property
    def last(self) -> str:
        """The task under which the gates as merged are told."""
        return self.tasks[-1]


def landed_together(events: Iterable[Recorded], task: str) -> Together | None:
    """With whom a task landed; None where it did not land, or by itself."""
    lands: dict[str, Land] = {}
    gates: dict[str, tuple[GateResult, ...]] = {}
    for recorded in events:
        match recorded.event:
            case EffectIntended(effect=Land(beside=beside) as effect) if beside and task in (*beside, effect.task):
                lands[effect.key] = effect
            case GatesFinished(point=GatePoint.INTEGRATE) as event:
                gates[event.commit] = event.results
            case LandFinished(result=Landed()) as event if event.key in lands:
                land = lands[event.key]
                own = tuple(each for each in gates.get(land.commit, ()) if _is_about(each.gate, task, land.task))
                return Together(tasks=(*land.beside, land.task), gates=own)
            case _:
                pass
    return None


def _is_about(check: str, task: str, whole: str) -> bool:
    """Whether a check of the job of `whole` judges `task`: gates do, and its own commands."""
    return not is_verify(check) or (check.rpartition("/")[0] or whole) == task


def tell_stories(events: Iterable[Recorded], task: str) -> list[Story]:
    """The attempts of a task in order; one that was lost and begun again under its number counts as the later one."""
    stories: dict[int, Story] = {}
    calls = _Calls(task)
    for recorded in events:
        calls.take(recorded.event)
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
            case FixFinished() as event if event.task == task and event.attempt in stories and event.sealed:
                story = stories[event.attempt]
                _update(stories, event.attempt, mended=(*story.mended, (len(story.gates), event)))
            case ReviewVoided() as event if event.task == task:
                _update(stories, event.attempt, void=event.detail or event.why.value)
            case DecisionAsked(decision=asked) if asked.task == task and asked.reason is Reason.REVIEW_VOID and stories:
                _update(stories, max(stories), void=asked.question)
            case TaskRequeued() as event if event.task == task and stories:
                _update(stories, max(stories), sent_back=event.why.value, failure=event.failure)
            case _:
                pass
    return [replace(stories[number], calls=calls.of(number)) for number in sorted(stories)]


class _Calls:
    """The commands of a task's attempts that were asked about, by the number of the attempt."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._number = 0
        self._names: dict[str, str] = {}
        self._found: dict[str, tuple[int, AskedCall]] = {}

    def of(self, number: int) -> tuple[AskedCall, ...]:
        """Those of one attempt, oldest first."""
        return tuple(call for of, call in self._found.values() if of == number)

    def take(self, event: Event) -> None:
        match event:
            case EffectIntended(effect=StartAttempt() as effect) if effect.task == self._task:
                self._begin(effect.attempt)
            case DecisionAsked(decision=asked) if asked.task == self._task and (asked.call or asked.again):
                self._names[asked.call] = asked.id
                call = AskedCall(decision=asked.id, command=asked.command, ahead=asked.again)
                self._found[asked.id] = (self._number, call)
            case DecisionAnswered() if event.id in self._found:
                self._update(event.id, choice=event.choice, by=event.by)
            case CommandDropped() if event.call in self._names:
                self._update(self._names[event.call], dropped=event.detail or "nobody answered in time: denied")
            case _:
                pass

    def _begin(self, number: int) -> None:
        """What was asked in an earlier start of that number is gone with it, but for an answer to be followed now."""
        self._number = number
        for name, (of, call) in list(self._found.items()):
            if call.ahead and call.choice:
                self._found[name] = (number, replace(call, ahead=False, choice=f"{call.choice} before it began"))
            elif of == number:
                del self._found[name]

    def _update(self, name: str, **values: str) -> None:
        of, call = self._found[name]
        self._found[name] = (of, replace(call, **values))  # type: ignore[arg-type]


def _update(stories: dict[int, Story], number: int, **values: object) -> None:
    if number in stories:
        stories[number] = replace(stories[number], **values)  # type: ignore[arg-type]


def pick(stories: list[Story], task: str, attempt: int | None) -> Story:
    """The attempt of that number, else the author's last; `UserError` when there is none."""
    if attempt is None:
        chosen = [story for story in stories if not story.is_look] or stories
    else:
        chosen = [story for story in stories if story.number == attempt]
    if chosen:
        return chosen[-1]
    if not stories:
        raise UserError(f"Task {task} has had no attempt yet.", code="no_attempt", hint=f"See `chargehand why {task}`.")
    numbers = ", ".join(str(story.number) for story in stories)
    raise UserError(f"Task {task} has no attempt {attempt}.", code="unknown_attempt", hint=f"It has: {numbers}.")
