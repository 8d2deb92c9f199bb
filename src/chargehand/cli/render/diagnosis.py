"""What `doctor` found, as lines and as a document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chargehand.cli.render.pen import Pen, hang
from chargehand.cli.render.units import count
from chargehand.wiring.doctor import Finding, Mended

__all__ = ["diagnosis_document", "diagnosis_lines", "mended_lines", "verdict_line"]

_WORDS = {True: ("ok", "good"), False: ("bad", "bad"), None: ("note", "ask")}
_INDENT = 8
_STEP = re.compile(r"`chargehand ([^`]+)`")


def diagnosis_lines(findings: Sequence[Finding], pen: Pen) -> list[str]:
    """Each area with its findings, and below each what to do about it; what is well is only named."""
    lines: list[str] = []
    for area in dict.fromkeys(finding.area for finding in findings):
        here = [finding for finding in findings if finding.area == area]
        well = [finding for finding in here if _is_plain(finding)]
        lines += [*([""] if lines else []), pen.draw(area, "strong")]
        if well:
            lines += hang(_head(True, pen), ", ".join(finding.name for finding in well), pen, indent=_INDENT)
        for finding in here:
            lines += [] if finding in well else _finding_lines(finding, pen)
    return lines


def _is_plain(finding: Finding) -> bool:
    """Whether its name says enough: it is well, and of a kind that every run needs."""
    return finding.ok is True and not finding.hint and not finding.area.startswith("run ")


def _head(ok: bool | None, pen: Pen) -> str:
    word, style = _WORDS[ok]
    return f"  {pen.draw(word.ljust(5), style)} "


def _finding_lines(finding: Finding, pen: Pen) -> list[str]:
    lines = hang(f"{_head(finding.ok, pen)}{finding.name}: ", finding.text, pen, indent=_INDENT)
    if finding.hint:
        hint = hang(" " * _INDENT, _placed(finding.hint, pen), pen, indent=_INDENT)
        lines += [pen.draw(line, "quiet") for line in hint]
    return lines


def _placed(hint: str, pen: Pen) -> str:
    """A hint whose commands find the same place again."""
    return _STEP.sub(lambda found: f"`{pen.step(found[1])}`", hint)


def mended_lines(mended: Sequence[Mended], pen: Pen) -> list[str]:
    """What came of each repair."""
    lines: list[str] = []
    for each in mended:
        word, style = ("done", "good") if each.done else ("not", "bad")
        head = f"  {pen.draw(word.ljust(5), style)} {each.finding.area}, {each.finding.name}: "
        lines += hang(head, _placed(each.text, pen), pen, indent=_INDENT)
    return lines


def verdict_line(findings: Sequence[Finding], pen: Pen) -> str:
    """The last line: how much is wrong, and whether it can be repaired."""
    wrong = sum(1 for finding in findings if finding.ok is False)
    mendable = sum(1 for finding in findings if finding.repair is not None)
    text = f"{count(wrong, 'thing')} {'is' if wrong == 1 else 'are'} wrong." if wrong else "Nothing is wrong."
    if mendable:
        text += f" {_what_can(mendable, wrong)}: {pen.step('doctor --repair')}"
    return pen.draw(text, "bad" if wrong else "good")


def _what_can(mendable: int, wrong: int) -> str:
    """What a repair would be about; where nothing is wrong it only tidies up."""
    if not wrong:
        return f"{count(mendable, 'leftover')} can be cleared up"
    return "It can be repaired" if mendable == wrong == 1 else f"{count(mendable, 'finding')} can be repaired"


def diagnosis_document(findings: Sequence[Finding], mended: Sequence[Mended], pen: Pen) -> dict[str, Any]:
    """`{"ok", "findings"}`; what was repaired is a finding that is well again."""
    outcome = {each.finding.key: each for each in mended}
    still = {finding.key for finding in findings if finding.ok is not True}
    gone = [each.finding for each in mended if each.done and each.finding.key not in still]
    rows = [_row(finding, outcome, pen) for finding in findings]
    rows += [_row(finding, outcome, pen) | {"ok": True} for finding in gone]
    return {"ok": all(finding.ok is not False for finding in findings), "findings": rows}


def _row(finding: Finding, outcome: Mapping[tuple[str, str], Mended], pen: Pen) -> dict[str, Any]:
    hint = _placed(finding.hint, pen) or None
    row = {"area": finding.area, "name": finding.name, "ok": finding.ok, "text": finding.text, "hint": hint}
    return row | {"repair": _repair(finding, outcome.get(finding.key))}


def _repair(finding: Finding, came: Mended | None) -> dict[str, Any] | None:
    repair = finding.repair or (came.finding.repair if came else None)
    if repair is None:
        return None
    state = "possible" if came is None else "done" if came.done else "not_done"
    return {"text": repair.text, "removes": repair.removes, "state": state, "result": came.text if came else None}
