"""What the journal holds has been scrubbed: every text but the names that the engine goes by (SPEC 7.3)."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.adapters.codec import EVENTS, to_data
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.adapters.scrubbing import KEPT, scrubbed, scrubber
from chargehand.domain.events import AttemptFinished, DecisionAsked, Event, RunReplanned, RunStarted, TaskAdded
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Report, ReportStatus
from chargehand.domain.plan import GatePoint, Task
from chargehand.domain.secrecy import REDACTED, Vault
from chargehand.domain.words import Decision, DecisionKind, Reason

SECRET = "canary-3f9a1c77b2"
VAULT = Vault([SECRET])
OWN_WORDS = (RunStarted, RunReplanned)
KINDS = [kind for kind in get_args(Event) if kind not in OWN_WORDS]


def leaks(data: Any, path: str = "") -> set[str]:
    """The names of fields that still hold the secret."""
    if isinstance(data, str):
        return {path} if SECRET in data else set()
    if isinstance(data, dict):
        return {found for name, item in data.items() for found in leaks(item, name)}
    return {found for item in data for found in leaks(item, path)} if isinstance(data, list | tuple) else set()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_the_names_the_engine_goes_by_are_kept(kind):
    @settings(max_examples=15, deadline=None)
    @given(st.data())
    def check(data):
        with_secret = st.just(f"<{SECRET}>")
        event = data.draw(_built(kind, with_secret))
        after = scrubbed(event, VAULT)
        allowed = KEPT | ({"files", "verify", "depends_on", "argv"} if kind is TaskAdded else set())
        if kind is DecisionAsked and not event.decision.call:
            allowed |= {"command"}
        if kind is not TaskAdded:
            assert leaks(to_data(after)) <= allowed
        assert EVENTS.decode(EVENTS.encode(after)) == after

    check()


def _built(kind: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: _drawn(field.type, kind, text) for field in fields(kind)})


def _drawn(annotation: Any, kind: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    import typing

    hints = typing.get_type_hints(kind)
    wanted = next(hints[field.name] for field in fields(kind) if field.type is annotation)
    return _of(wanted, text)


def _of(wanted: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    if wanted is str:
        return text
    if isinstance(wanted, type) and is_dataclass(wanted):
        return _built(wanted, text)
    parts = get_args(wanted)
    if parts and getattr(wanted, "__origin__", None) is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(_of(parts[0], text), max_size=2).map(tuple)
        return st.tuples(*(_of(part, text) for part in parts))
    if parts:
        return st.one_of(*(st.none() if part is type(None) else _of(part, text) for part in parts))
    return st.from_type(wanted).filter(lambda value: value == value)


def test_of_a_report_nothing_is_exempt():
    names = [field.name for field in fields(Report) if field.name not in {"status", "concerns", "blocker", "kickback"}]
    given_texts: dict[str, Any] = {
        name: SECRET if isinstance(getattr(Report(status=ReportStatus.DONE), name), str) else (SECRET,)
        for name in names
    }
    report = Report(status=ReportStatus.DONE, **{**given_texts, "commit": SECRET, "coverage": SECRET})
    assert leaks(to_data(scrubbed(report, VAULT))) == set()


def test_what_the_runtime_writes_into_its_own_tasks_is_scrubbed_and_commands_stay():
    task = Task(id="fix", title=SECRET, description=SECRET, approach=SECRET, acceptance=(SECRET,), mandates=(SECRET,))
    after = scrubbed(TaskAdded(task=task, point=GatePoint.RUN, wave=1), VAULT).task
    assert (after.title, after.description, after.approach, after.acceptance) == (*[REDACTED] * 3, (REDACTED,))
    assert after.mandates == (SECRET,)


def test_a_question_about_the_plan_keeps_its_command_and_one_about_a_call_does_not():
    def asked(call: str) -> str:
        decision = Decision(
            id="d", task="a", kind=DecisionKind.COMMAND, reason=Reason.COMMAND_REJECTED, question=SECRET,
            choices=("approve",), default="deny", command=f"echo {SECRET}", call=call,
        )  # fmt: skip
        after = scrubbed(DecisionAsked(decision=decision), VAULT).decision
        assert after.question == REDACTED
        return after.command

    assert asked("") == f"echo {SECRET}"
    assert asked("call-1") == f"echo {REDACTED}"


def test_the_journal_holds_what_it_answers_and_no_byte_of_a_secret(tmp_path):
    """I5: what the engine goes on with is what was stored."""
    event = AttemptFinished(
        key="a/1", task="a", attempt=1,
        result=AttemptResult(exit=AgentExit(kind=ExitKind.EXITED, detail=SECRET), output=json.dumps({"key": SECRET})),
    )  # fmt: skip
    SqliteJournal.create(tmp_path / "journal.db").close()
    with SqliteJournal.open(tmp_path / "journal.db", scrub=scrubber(VAULT)) as journal:
        (recorded,) = journal.append([event], 1.0)
        assert recorded == next(journal.read())
    assert isinstance(recorded.event, AttemptFinished)
    assert recorded.event.result.exit.detail == REDACTED
    assert not any(SECRET.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_without_secrets_nothing_is_touched():
    event = AttemptFinished(key="a/1", task="a", attempt=1, result=AttemptResult(exit=AgentExit(kind=ExitKind.EXITED)))
    assert scrubbed(event, Vault()) is event
    assert scrubbed(event, VAULT) is event
