"""Journals that older releases recorded: they open, mean what they meant, and can be gone on with [I14]."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.codec import EVENTS, UPCASTERS, Codec, to_data
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain import view
from chargehand.domain.decide import decide, is_stuck, settle
from chargehand.domain.errors import UserError
from chargehand.domain.events import Event, TaskIntegrated, WarningRaised
from chargehand.domain.evolve import fold
from chargehand.testing.fakes import FakeClock
from tests import goldens
from tests.engines import World

EVERY = 9
"""A run is gone on with from every so many-th event: each is a whole run on the fakes."""


def named(path: Path) -> str:
    return "/".join(path.relative_to(goldens.GOLDEN).parts[:2])


each_journal = pytest.mark.parametrize("folder", goldens.journals(), ids=named)
each_release = pytest.mark.parametrize("release", goldens.releases(), ids=named)


def test_there_are_some():
    assert len(goldens.releases()) >= 1
    assert len(goldens.journals()) >= 15
    assert len(goldens.databases()) >= 2


@each_journal
def test_the_chain_is_the_one_of_the_run(folder: Path):
    """I14: nobody edited a recorded event, be it to make a test pass."""
    chain = ""
    for number, line in enumerate(goldens.lines(folder), start=1):
        assert line.seq == number
        chain = line.link(chain)
        assert line.chain == chain, f"event {number} is not as it was written"


@each_journal
def test_it_tells_what_it_told(folder: Path):
    """I14: decoded, upcast and folded by this release, a run has every value it had; new ones may be beside them."""
    document = json.loads(json.dumps(view.document(fold(goldens.recorded(folder)), held=False)))
    assert goldens.is_part(goldens.status(folder), document) == []


@each_journal
def test_every_moment_of_it_can_be_decided(folder: Path):
    """I13, I14: from wherever an older release left off, this one says what is missing, and then nothing more."""
    events = goldens.recorded(folder)
    for end in range(1, len(events) + 1):
        state, now = fold(events[:end]), events[end - 1].at
        settle(state, now)
        assert decide(state, now) == ()
        assert not is_stuck(state, now)


@each_journal
def test_it_is_gone_on_with_to_the_end(folder: Path):
    """I4, I13, I14: the program is upgraded in the middle of the run; each task lands at most once all the same."""
    events = goldens.recorded(folder)
    for end in range(2, len(events) + 1, EVERY):
        past = events[:end]
        state = fold(past)
        world = World(plan=state.plan, clock=FakeClock(past[-1].at, step_s=1.0))
        world.journal.records[:] = past
        if state.head is not None:
            world.integrator.branches[state.branch] = state.head
        if state.finished is None:
            state = asyncio.run(world.drive(unattended=True))
        assert state.finished is not None
        assert all(record.is_over for record in state.tasks.values())
        landed = Counter(r.event.task for r in world.journal.records if isinstance(r.event, TaskIntegrated))
        assert all(count == 1 for count in landed.values()), landed


@each_release
def test_every_event_there_was_occurs(release: Path):
    """I14: no event type of a release is guarded by its words alone."""
    then = {json.loads(text)["type"] for text in (release / "values.jsonl").read_text("ascii").splitlines()}
    seen = {line.envelope["type"] for folder in release.iterdir() if folder.is_dir() for line in goldens.lines(folder)}
    assert then - seen == set()


@each_release
def test_every_word_there_was_is_understood(release: Path):
    """I14: each member of each enum and union, in each field that may hold it."""
    versions = {kind: json.loads(EVENTS.encode(event))["v"] for kind, event in _decoded(release)}
    for text in (release / "values.jsonl").read_text("ascii").splitlines():
        envelope = json.loads(text)
        event = EVENTS.decode(text)
        if envelope["v"] == versions[envelope["type"]]:  # others went through an upcaster, which may have changed them
            assert goldens.is_part(envelope["data"], json.loads(json.dumps(to_data(event)))) == []


def _decoded(release: Path):
    for text in (release / "values.jsonl").read_text("ascii").splitlines():
        yield json.loads(text)["type"], EVENTS.decode(text)


def test_a_shape_of_before_is_read_as_the_shape_of_now():
    """I14: were the codes of warnings renamed one day, old journals would say the new words, and stay as they are."""

    def renamed(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "code": data["code"].replace("_", "-")}

    later: Codec[Event] = Codec(Event, {**UPCASTERS, ("WarningRaised", _now("WarningRaised")): renamed})
    lines = goldens.lines(goldens.GOLDEN / "0.1.0" / "endings")
    warnings = [event for line in lines if isinstance(event := later.decode(line.body), WarningRaised)]
    assert {"no-report", "reviews-unavailable", "agent"} <= {warning.code for warning in warnings}
    again = json.loads(later.encode(warnings[0]))
    assert (again["v"], again["data"]["code"]) == (_now("WarningRaised") + 1, warnings[0].code)
    assert later.decode(json.dumps(again)) == warnings[0]
    with pytest.raises(UserError, match=r"`WarningRaised` in version \d+; this Chargehand knows version"):
        EVENTS.decode(json.dumps(again))


def _now(kind: str) -> int:
    """The version of an event type that this release writes."""
    return 1 + max((version for name, version in UPCASTERS if name == kind), default=0)


# -- the files themselves -------------------------------------------------------------------------


@pytest.mark.parametrize("database", goldens.databases(), ids=named)
def test_the_file_opens_and_goes_on(database: Path, tmp_path: Path):
    """I14: by this release, for looking and for writing; its chain goes on."""
    path = tmp_path / "journal.db"
    shutil.copyfile(database, path)
    told = goldens.recorded(database.parent)
    with SqliteJournal.open(path) as journal:  # brings an older schema up to date
        assert list(journal.read()) == told
        assert journal.meta("run") == goldens.status(database.parent)["run"]
        assert journal.check() == []
        event = WarningRaised(code="c", text="later")
        assert [r.seq for r in journal.append([event], told[-1].at + 1)] == [len(told) + 1]
        assert journal.check() == []
    with SqliteJournal.open(path, readonly=True) as journal:
        assert [r.event for r in journal.read()][-2:] == [told[-1].event, event]


@pytest.mark.parametrize("database", goldens.databases(), ids=named)
def test_the_text_is_that_of_the_file(database: Path, tmp_path: Path):
    """The text that can be read in a diff says what the file says."""
    path = tmp_path / "journal.db"
    shutil.copyfile(database, path)
    told = goldens.lines(database.parent)
    with SqliteJournal.open(path) as journal:
        rows = journal._rows("read_chain", after=0, count=len(told) + 1)
    assert rows == [(line.seq, line.at, line.body, line.chain) for line in told]


# -- the comparison -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"a": 1, "b": [{"c": None}], "d": 2}, []),
        ({"b": [{"c": None}]}, [".a is gone"]),
        ({"a": 1, "b": [{"c": 0}]}, [".b[0].c: None is now 0"]),
        ({"a": True, "b": [{"c": None}]}, [".a: 1 is now True"]),
        ({"a": 1, "b": []}, [".b: [{'c': None}] is now []"]),
    ],
)
def test_what_counts_as_the_same(new: object, said: list[str]):
    assert goldens.is_part({"a": 1, "b": [{"c": None}]}, new) == said
