"""Writes the report as one page that needs nothing else: no request, no script, one style sheet known by its hash."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from chargehand import __version__
from chargehand.report.model import Report, Tone
from chargehand.report.units import instant

__all__ = ["to_html"]

_KINDS = {
    "author": "implementer or fixer",
    "review": "reviewer",
    "look": "fitter or researcher",
    "gates": "gates",
    "merge": "merge and landing",
    "provider": "the provider asked to wait",
    "decision": "a question waited for an answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """A part of the bar of all tasks, in percent."""

    tone: Tone
    x: float
    width: float


def to_html(report: Report, *, logs: bool = False) -> str:
    """The whole page. Every value is escaped by the templates; only the style sheet of ours goes in as it is.

    With `logs` paths of logs are links: right for a page that lies in the folder of the run.
    """
    style = _file("style.css")
    template = _environment().get_template("report.html")
    return template.render(
        report=report,
        style=Markup(style),  # noqa: S704 - a constant of this package
        style_hash=f"sha256-{base64.b64encode(sha256(style.encode()).digest()).decode('ascii')}",
        anchors={task.id: task.anchor for task in report.tasks},
        kinds=_KINDS,
        logs=logs,
        shares=list(_shares(report)),
        contents=[
            ("plan", "Plan", True),
            ("timeline", "Timeline", report.timeline is not None),
            ("tasks", "Tasks", True),
            ("run", "Gates and reviews", True),
            ("parked", f"Parked findings ({len(report.parked)})", bool(report.parked)),
            ("warnings", f"Warnings ({len(report.warnings)})", bool(report.warnings)),
            ("details", "Task by task", bool(report.tasks)),
        ],
        version=__version__,
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["moment"] = instant
    return made


def _file(name: str) -> str:
    return (resources.files("chargehand.report") / "templates" / name).read_text(encoding="utf-8")


def _shares(report: Report) -> Iterator[_Share]:
    whole, at = sum(number for _, number in report.counts) or 1, 0.0
    for mark, number in report.counts:
        width = 100.0 * number / whole
        yield _Share(tone=mark.tone, x=round(at, 3), width=round(width, 3))
        at += width
