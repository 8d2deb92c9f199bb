"""Random runs, stopped anywhere: the report of each says what the state says, and can be written."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.adapters.text import clean_text
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState
from chargehand.domain.view import open_decisions
from chargehand.report.build import Source, build_report
from chargehand.report.findings import Standing, track
from chargehand.report.history import History, remember
from chargehand.report.html import to_html
from chargehand.report.markdown import LONGEST, to_markdown
from tests.property.simulation import Simulation, runs
from tests.property.test_run_properties import play_out

pytestmark = pytest.mark.no_cover  # watched line by line thousands of turns take three times as long

SETTINGS = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SETTINGS
@given(run=runs(), seed=st.integers(0, 2**32))
def test_a_run_stopped_anywhere_has_a_report_that_agrees_with_its_state(run: Simulation, seed: int) -> None:
    """I12; SPEC 4: a finding that is open in the state is open in the report, and one that is parked is told."""
    random = Random(seed)
    for _ in range(3):
        play_out(run, random.choice)
        if run.state.finished:
            break
        decision = random.choice(list(run.state.decisions.values()))
        run.answer(random.choice(decision.choices), decision.id)
    ends = {len(run.journal), *(random.randint(1, len(run.journal)) for _ in range(4))}
    for end in ends:
        _agree(run, end)


def _agree(run: Simulation, end: int) -> None:
    events = run.journal[:end]
    state, history = fold(events), remember(events)
    live = end % 2 == 0
    source = Source(state=state, events=events, now=events[-1].at + 5, live=live, clean=clean_text)
    report = build_report(source)
    assert [task.id for task in report.tasks] == list(state.tasks)
    assert {each.id for each in report.open_questions} == {each.id for each in open_decisions(state, held=live)}
    _findings_agree(state, history)
    for span in history.spans:
        assert state.started_at <= span.start <= (span.end if span.end is not None else span.start) <= state.last_at
    assert "</html>" in to_html(report)
    assert len(to_markdown(report)) <= LONGEST


def _findings_agree(state: RunState, history: History) -> None:
    known = {record.id: record.reviews for record in state.tasks.values()} | {"": state.whole.reviews}
    for name, reviews in known.items():
        findings, criteria = track(history.steps.get(name, []))
        still = {each.finding.id for each in findings if each.standing is Standing.OPEN}
        assert still == {each.id for each in reviews.open}, name
        unmet = {each.criterion.criterion for each in criteria if each.standing is Standing.OPEN}
        assert unmet == {each.criterion for each in reviews.unmet}, name
        parked = {each.finding.id for each in findings if each.standing in {Standing.PARKED, Standing.LATE}}
        assert parked >= {each.finding.id for each in reviews.parked} - still, name
