"""Random runs: whatever happened, what landed has a receipt, and it says nothing of any other tree."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.receipt import Entry, ReceiptBook
from chargehand.domain.words import TaskStatus
from tests.property.simulation import Simulation, runs
from tests.property.test_run_properties import SETTINGS, play_out


def book_of(run: Simulation, until: int) -> ReceiptBook:
    book = ReceiptBook(lambda name: (name,))
    for recorded in run.journal[:until]:
        book.take(Entry(recorded=recorded, chain=f"chain-{recorded.seq}", plan_sha256="p"))
    return book


@settings(SETTINGS, max_examples=150)
@given(run=runs(), seed=st.integers(0, 2**32))
def test_what_landed_has_a_receipt_of_what_landed(run: Simulation, seed: int) -> None:
    """I7, I14: of every integrated task and no other; of its trees alone; the same whenever it is put together."""
    draw = Random(seed).choice
    play_out(run, draw)
    if run.state.decisions:
        decision = draw(list(run.state.decisions.values()))
        run.answer(draw(decision.choices), decision.id)
        play_out(run, draw)
    book = book_of(run, len(run.journal))
    landed = {record.id: record for record in run.state.tasks.values() if record.status is TaskStatus.INTEGRATED}
    assert set(book.tasks) == set(landed)
    for task, record in landed.items():
        body = book.tasks[task].body
        assert (body["landed"], body["candidate"]["commit"]) == (record.landed, record.landed)
        last = body.get("together", [task])[-1]  # what landed as one was gated as one
        trees = {body["sealed"]["tree"], book.tasks[last].body["candidate"]["tree"]}
        assert {row["tree"] for row in (*body["gates"], *body["verify"])} <= trees
        assert all(row["status"] in {"pass", "fail", "skipped"} for row in (*body["gates"], *body["verify"]))
        assert all(row["exit"] is not None for row in body["attempts"])
    some = draw(range(1, len(run.journal) + 1))
    early = book_of(run, some)
    assert {task: receipt.text for task, receipt in early.tasks.items()} == {
        task: receipt.text for task, receipt in book.tasks.items() if receipt.body["journal"]["seq"] <= some
    }
    assert early.of_run().text == book_of(run, some).of_run().text
    assert book.of_run().body["total"]["tokens"] == run.state.tokens
