"""What an agent's stream tells of commands that it may not run."""

from __future__ import annotations

from chargehand.adapters.guarding.place import Place
from chargehand.adapters.overheard import Overheard
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Command
from chargehand.ports import AgentEvent, AttemptSpec, EventKind

HERE = Place(cwd="/w", inside=("/w",), sandboxed=True)
SPEC = AttemptSpec(
    key="a/2/attempt",
    run="r",
    task="a",
    attempt=2,
    role=Role.IMPLEMENTER,
    base="b",
    title="a",
    brief="",
    agent="goose",
    forbidden=(Command(argv=("make", "test")),),
)


def heard(*calls: tuple[str, str], kind: EventKind = EventKind.CALL) -> Overheard:
    listener = Overheard(SPEC, HERE)
    for tool, text in calls:
        listener.heard(AgentEvent(kind=kind, tool=tool, text=text))
    return listener


def test_only_tools_for_commands_count():
    """A file that is called like a command was read, not run."""
    assert heard(("read_file", "make test"), ("developer__shell", "make lint")).violations() == ()
    told = heard(("developer__shell", "cd a &&\n  make test")).violations()
    assert told == ("The agent of attempt 2 ran what this task leaves to the runtime: `cd a && make test`.",)


def test_what_the_program_refused_itself_was_not_run():
    listener = heard(("shell", "make test"))
    listener.heard(AgentEvent(kind=EventKind.DENIED, tool="shell", text="make test"))
    listener.heard(AgentEvent(kind=EventKind.RESULT, text="make test"))
    assert listener.violations() == ()


def test_a_few_are_named_and_the_rest_is_counted():
    """What is told of itself by a program is bounded here."""
    (told,) = heard(*(("bash", f"make test A={number}") for number in range(3000))).violations()
    assert told.endswith("`make test A=0`, `make test A=1`, `make test A=2`, and 1997 more.")
