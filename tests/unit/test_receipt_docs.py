"""The reference page of receipts shows one as it is made, and says what every part of it means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from chargehand.domain.outcome import GateResult, GateStatus, Usage
from chargehand.domain.plan import Command, Features, GatePoint
from chargehand.domain.receipt import Entry, ReceiptBook
from chargehand.domain.review import Severity
from chargehand.wiring.verifying import Code
from tests.looks import a_finding, passes
from tests.play import Play, a_gate, a_plan, a_task, done

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "receipts.md"
TEXT = PAGE.read_text(encoding="utf-8")


def sample() -> dict[str, Any]:
    """The receipt of the page: a task with a test, a gate with test ids, two reviews."""
    verify = (Command(argv=("python", "-m", "pytest", "-q", "tests/test_todo.py")),)
    task = a_task("model", modify=("src/*.py", "tests/*.py"), verify=verify)
    plan = a_plan(task, gates=[a_gate("tests", GatePoint.INTEGRATE, junit=True)], features=Features(holistic=False))
    play = Play(plan, review=True, now=1_700_000_000.0)
    play.record()
    play.opened()
    play.canary(_green("tests", "gates/canary/1/canary/tests.tests.json"))
    usage = Usage(tokens=48_210, usd=0.31, wall_s=212.4)
    play.attempt("model", done(changes=("src/todo.py", "tests/test_todo.py"), usage=usage))
    play.gates("model", _green("verify-1"))
    play.attempt("model", passes(model="reviewer-2"))
    play.attempt(
        "model", passes(a_finding("q1", Severity.MINOR, "src/todo.py", claim="A name is long"), model="reviewer-2")
    )
    play.merge("model", tree=play.task("model").sealed.tree)
    play.gates("model", _green("tests", "gates/model/3/integrate/tests.tests.json"))
    play.integrate("model")
    ids = {
        "gates/canary/1/canary/tests.tests.json": ("tests.test_app::test_runs",),
        "gates/model/3/integrate/tests.tests.json": ("tests.test_app::test_runs", "tests.test_todo::test_empty_title"),
    }
    book = ReceiptBook(ids.get)
    for recorded in play.journal:
        chain = sha256(f"{recorded.seq}".encode()).hexdigest()
        book.take(Entry(recorded=recorded, chain=chain, plan_sha256=sha256(b"plan").hexdigest()))
    dressed: dict[str, Any] = _dressed(book.tasks["model"].body)
    return dressed


def _green(gate: str, tests: str = "") -> GateResult:
    return GateResult(
        gate=gate,
        tree="",
        status=GateStatus.PASS,
        exit_code=0,
        wall_s=1.5,
        output_sha256=sha256(gate.encode()).hexdigest(),
        environment=sha256(b"environment").hexdigest(),
        tests=tests,
        failed_tests=() if tests else None,
    )


def _dressed(value: Any, key: str = "") -> Any:
    """With object names as git has them."""
    if isinstance(value, dict):
        return {name: _dressed(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_dressed(each, key) for each in value]
    if key in {"commit", "tree", "head", "base", "landed"}:
        return sha1(str(value).encode(), usedforsecurity=False).hexdigest()
    return value


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from keys(each)
    if isinstance(value, list):
        for each in value:
            yield from keys(each)


def test_the_sample_is_what_is_made() -> None:
    """Renew it with `python -m tests.unit.test_receipt_docs`."""
    (shown,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert json.loads(shown) == sample()


def test_every_key_is_described() -> None:
    prose = re.sub(r"```json\n.*?```", "", TEXT, flags=re.DOTALL)
    assert [key for key in sorted(set(keys(sample()))) if f"`{key}`" not in prose] == []


def test_every_code_is_described() -> None:
    assert [code for code in Code if f"`{code}`" not in TEXT] == []


if __name__ == "__main__":
    made = json.dumps(sample(), indent=1, sort_keys=True)
    PAGE.write_text(
        re.sub(r"```json\n.*?```", lambda _: f"```json\n{made}\n```", TEXT, flags=re.DOTALL), encoding="utf-8"
    )
