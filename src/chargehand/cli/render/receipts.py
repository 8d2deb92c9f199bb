"""Receipts, and whether they hold, as lines and as documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chargehand.cli.render.pen import Cell, Pen, hang, one_line, table
from chargehand.cli.render.units import count, short
from chargehand.wiring.receipts import Shelf, Written
from chargehand.wiring.verifying import Checked, Verified

__all__ = ["list_document", "list_lines", "receipt_lines", "verified_document", "verified_lines", "written_line"]

_INDENT = 6


# -- list -----------------------------------------------------------------------------------------


def list_document(shelf: Shelf) -> dict[str, Any]:
    """What `receipt list --json` prints."""
    rows = [
        {
            "task": receipt.task or None,
            "commit": receipt.commit or None,
            "sha256": receipt.sha256,
            "file": file,
            "noted": noted,
        }
        for receipt, file, noted in _standing(shelf)
    ]
    return {"run": shelf.run, "receipts": rows}


def _standing(shelf: Shelf) -> Iterator[tuple[Any, bool, bool]]:
    """Each receipt, whether its file is there, and whether all of its notes are."""
    for receipt in shelf.receipts:
        places = shelf.wanted([receipt])
        noted = bool(places) and all(receipt.text in shelf.notes.get(commit, "") for commit in places)
        yield receipt, shelf.files.read(receipt.task) is not None, noted


def list_lines(shelf: Shelf, pen: Pen) -> list[str]:
    """A line for each receipt: task, commit, what it holds, where it lies."""
    rows: list[list[Cell | str]] = []
    for receipt, file, noted in _standing(shelf):
        body = receipt.body
        gates = len(body.get("gates", ())) + len(body.get("verify", ()))
        verdicts = len(body.get("reviews", body.get("holistic", ())))
        where = ", ".join([*(["file"] if file else []), *(["note"] if noted else [])]) or "nowhere yet"
        rows.append(
            [
                receipt.task or Cell(text="(run)", style="quiet"),
                short(receipt.commit),
                count(gates, "gate"),
                count(verdicts, "verdict"),
                f"sha256 {receipt.sha256[:12]}",
                Cell(text=where, style="quiet"),
            ]
        )
    return table(rows, pen, indent=0)


# -- show -----------------------------------------------------------------------------------------


def receipt_lines(body: Mapping[str, Any], pen: Pen) -> list[str]:
    """What a receipt says, for people; `--json` has all of it."""
    title = f"task {body['task']['id']}: {body['task']['title']}" if body["kind"] == "task" else f"run {body['run']}"
    lines = [pen.draw(one_line(title), "strong")]
    for name, text in _facts(body):
        lines += hang(f"  {name.ljust(10)} ", one_line(text), pen, indent=13)
    for row in (*body.get("verify", ()), *body.get("gates", ())):
        lines += hang(f"  {pen.draw(row['id'], '')} ", _gate_text(row), pen, indent=_INDENT)
    for row in body.get("reviews", body.get("holistic", ())):
        carried = ", carried over" if row["carried"] else ""
        who = " ".join(filter(None, (row["agent"], row["model"])))
        if person := row.get("approved_by"):
            lines += hang(f"  {row['stage']} review ", f"no verdict: approved by {person}", pen, indent=_INDENT)
            continue
        text = f"{'passed' if row['passed'] else 'failed'} for tree {short(row['tree'])} by {who or 'nobody'}{carried}"
        lines += hang(f"  {row['stage']} review ", text, pen, indent=_INDENT)
    for row in body.get("parked", ()):
        lines += hang("  parked ", f"{row['severity']} ({row['ruling']}): {row['claim']}", pen, indent=_INDENT)
    return lines


def _facts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if body["kind"] == "task":
        yield "landed", str(body["landed"])
    else:
        yield "head", f"{body['head']['commit']} ({body['state']})"
    if "evidence" in body:
        yield "evidence", body["evidence"]
        return
    yield "base", body["base"]
    if body["kind"] == "task":
        yield "sealed", f"{short(body['sealed']['commit'])}, tree {body['sealed']['tree']}"
        yield "merged", f"onto {short(body['candidate']['head'])}, tree {body['candidate']['tree']}"
        scope = body["scope"]
        yield (
            "scope",
            f"{scope['verdict']}: {', '.join(each['path'] for each in scope['changed']) or 'nothing changed'}",
        )
    else:
        yield "tasks", f"{sum(row['sha256'] is not None for row in body['tasks'])} of {len(body['tasks'])} landed"
        accepted = body["accepted"]
        if accepted:
            where = "staged in the checkout of" if accepted["how"] == "staged" else "on"
            yield "accepted", f"{where} {accepted['target']} as {short(accepted['commit'])} ({accepted['how']})"
    for row in body["attempts"]:
        yield "attempt", _attempt_text(row)
    for row in body["decisions"]:
        yield "decision", f"{row['id']} ({row['kind']}): {row['choice']}, by {row['by']}"
    yield "journal", f"event {body['journal']['seq']}, chain {body['journal']['hash'][:16]}"


def _attempt_text(row: Mapping[str, Any]) -> str:
    end = row["exit"]["kind"] if row["exit"] else "not over"
    tokens = (row["usage"] or {}).get("tokens")
    who = " ".join(filter(None, (row["agent"], row["model"])))
    return f"{row['number']} {row['role']} by {who}: {end}" + ("" if tokens is None else f", {tokens:,} tokens")


def _gate_text(row: Mapping[str, Any]) -> str:
    code = "" if row["exit"] is None else f", exit code {row['exit']}"
    cached = f", as run {row['cached']} found" if row["cached"] else ""
    flaky = f", flaky: {', '.join(row['flaky'][:5])}" if row["flaky"] else ""
    after = (row["tests"] or {}).get("after")
    ran = f", {count(after['count'], 'test')}" if after and after["count"] is not None else ""
    words = f" ({' '.join(row['argv'])})" if row["argv"] else ""
    return f"{row['status']} at {row['point']}{code}{ran}{cached}{flaky}, tree {short(row['tree'])}{words}"


# -- verify ---------------------------------------------------------------------------------------


def verified_lines(done: Verified, pen: Pen) -> list[str]:
    """A line for each receipt, what does not hold below it, and what it comes to."""
    lines = []
    for problem in done.journal:
        lines += hang(f"{pen.draw('bad', 'bad')}  journal: ", problem.text, pen, indent=_INDENT)
    for each in done.receipts:
        lines += _checked_lines(each, pen)
    if not done.receipts and not done.journal:
        lines.append("Nothing landed: there is nothing to check.")
    return [*lines, *([""] if lines else []), _verdict(done, pen)]


def _checked_lines(each: Checked, pen: Pen) -> list[str]:
    word, style = ("bad", "bad") if each.problems else ("ok", "good")
    name = each.task or "(run)"
    where = f" {short(each.commit)}" if each.commit else ""
    ran = f", {count(len(each.again), 'gate')} again" if each.again else ""
    flaky = [again.gate for again in each.again if again.flaky]
    told = f", flaky: {', '.join(flaky)}" if flaky else ""
    lines = hang(f"{pen.draw(word.ljust(3), style)}  ", f"{name}{where}{ran}{told}", pen, indent=_INDENT)
    for problem in each.problems:
        lines += hang("     ", problem.text, pen, indent=_INDENT)
    return lines


def _verdict(done: Verified, pen: Pen) -> str:
    gates = "the gates were run again" if done.ran else "no gate was run"
    if done.holds:
        return pen.draw(f"Everything of run {done.run} holds; {gates}.", "good")
    bad = len(done.journal) + sum(len(each.problems) for each in done.receipts)
    return pen.draw(f"{count(bad, 'thing')} of run {done.run} no longer hold{'s' if bad == 1 else ''}; {gates}.", "bad")


def written_line(written: Written) -> str:
    """What was made on the way; empty when nothing was."""
    made = [*([count(len(written.files), "file")] if written.files else [])]
    made += [count(written.notes, "note")] if written.notes else []
    return f"{' and '.join(made)} had not been written yet: done." if made else ""


def verified_document(done: Verified) -> dict[str, Any]:
    """What `receipt verify --json` prints."""
    return {
        "run": done.run,
        "holds": done.holds,
        "gates_run": done.ran,
        "journal": {"seq": done.seq, "hash": done.chain, "problems": _problems(done.journal)},
        "receipts": [
            {
                "task": each.task or None,
                "commit": each.commit or None,
                "holds": not each.problems,
                "problems": _problems(each.problems),
                "gates": [
                    {
                        "gate": again.gate,
                        "point": again.point,
                        "tree": again.tree,
                        "then": again.then,
                        "now": again.now or None,
                        "holds": again.holds and not again.vanished,
                        "detail": again.detail,
                        "wall_s": round(again.wall_s, 3),
                        "log": again.log or None,
                        "flaky": list(again.flaky),
                        "vanished": list(again.vanished),
                        "same_environment": again.same_environment,
                    }
                    for again in each.again
                ],
            }
            for each in done.receipts
        ],
        "written": {"files": [task or None for task in done.written.files], "notes": done.written.notes},
    }


def _problems(problems: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"code": each.code.value, "text": each.text, "gate": each.gate or None} for each in problems]
