"""Puts spans on one time axis. A long stretch in which nothing was under way is drawn short, and marked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chargehand.report.history import Kind, Span
from chargehand.report.model import Bar, Break, Mark, Tick, Timeline, TimelineRow
from chargehand.report.units import duration

__all__ = ["RowOf", "draw_timeline"]

_WAITS = frozenset({Kind.PROVIDER, Kind.DECISION})
_BREAK = 4.0
"""How many percent of the width a break takes."""
_MOST_BREAKS = 6
_LEAST_BREAK_S = 60.0
_BREAK_PART = 0.15
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(60 * n for n in (1, 2, 5, 10, 15, 30)),
    *(3600 * n for n in (1, 2, 3, 6, 12)),
    *(86400 * n for n in (1, 2, 7, 14, 30, 90, 365)),
)
_TICKS = 7
_LEAST_LABEL = 22.0
"""How many percent of a narrow screen a label takes."""
_LEAST_BAR = 0.25
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOf:
    """What stands before the bars of a task."""

    label: str
    anchor: str
    mark: Mark | None
    tip: str = ""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Moments → percent, piece by piece: `moments` and `places` have one entry for each end of a piece."""

    moments: tuple[float, ...]
    places: tuple[float, ...]
    breaks: tuple[Break, ...]

    def place(self, at: float) -> float:
        number = min(max(bisect_right(self.moments, at) - 1, 0), len(self.moments) - 2)
        begin, end = self.moments[number], self.moments[number + 1]
        left, right = self.places[number], self.places[number + 1]
        part = (at - begin) / (end - begin) if end > begin else 0.0
        return left + min(max(part, 0.0), 1.0) * (right - left)


def draw_timeline(spans: Sequence[Span], rows: Mapping[str, RowOf], until: float) -> Timeline | None:
    """The timeline, rows as in `rows`; None where nothing ever happened. What is open lasts `until` now."""
    if not spans:
        return None
    start = min(span.start for span in spans)
    end = max(start + 1.0, *(_end(span, until) for span in spans))
    axis = _axis([(s.start, _end(s, until)) for s in spans if s.kind not in _WAITS], start, end)
    bars: dict[str, list[Bar]] = {}
    for span in spans:
        bars.setdefault(span.task, []).append(_bar(span, axis, start, until))
    shown = [name for name in rows if name in bars]
    return Timeline(
        rows=tuple(
            TimelineRow(
                label=rows[name].label,
                anchor=rows[name].anchor,
                mark=rows[name].mark,
                bars=tuple(bars[name]),
                tip=rows[name].tip,
            )
            for name in shown[:_MOST_ROWS]
        ),
        ticks=_ticks(axis, start, end),
        breaks=axis.breaks,
        kinds=tuple(kind.value for kind in Kind if any(span.kind is kind for span in spans)),
        start=start,
        hidden=max(0, len(shown) - _MOST_ROWS),
    )


def _end(span: Span, until: float) -> float:
    return span.end if span.end is not None else max(until, span.start)


def _bar(span: Span, axis: _Axis, start: float, until: float) -> Bar:
    end = _end(span, until)
    x = min(axis.place(span.start), 100.0 - _LEAST_BAR)
    width = max(axis.place(end) - x, _LEAST_BAR)
    still = "" if span.end is not None else ", not over yet"
    lost = ", lost" if span.lost else ""
    tip = f"{span.label}: {took(end - span.start)}, from +{duration(span.start - start)}{lost}{still}"
    lane = 1 if span.kind in _WAITS else 0
    return Bar(x=round(x, 3), width=round(width, 3), kind=span.kind.value, tip=tip, lane=lane, lost=span.lost)


def took(seconds: float) -> str:
    """A duration, with tenths where it is short."""
    return f"{seconds:.1f}s" if seconds < 10 else duration(seconds)


def _axis(busy: Sequence[tuple[float, float]], start: float, end: float) -> _Axis:
    idle = _idle(busy, start, end)
    longest = sorted(idle, key=lambda gap: gap[0] - gap[1])[:_MOST_BREAKS]
    active = (end - start) - sum(to - since for since, to in longest)
    gaps = sorted(gap for gap in longest if gap[1] - gap[0] > max(_LEAST_BREAK_S, _BREAK_PART * active))
    active = (end - start) - sum(to - since for since, to in gaps)
    scale = (100.0 - _BREAK * len(gaps)) / max(active, 1e-9)
    moments, places, breaks, at, x = [start], [0.0], [], start, 0.0
    for since, to in gaps:
        left = x + (since - at) * scale
        x = left + _BREAK
        moments += [since, to]
        places += [left, x]
        breaks.append(Break(x=round(left, 3), width=_BREAK, label=duration(to - since)))
        at = to
    return _Axis((*moments, end), (*places, 100.0), tuple(breaks))


def _idle(busy: Sequence[tuple[float, float]], start: float, end: float) -> list[tuple[float, float]]:
    gaps, at = [], start
    for since, to in sorted(busy):
        if since > at:
            gaps.append((at, since))
        at = max(at, to)
    return [*gaps, (at, end)] if end > at else gaps


def _ticks(axis: _Axis, start: float, end: float) -> tuple[Tick, ...]:
    """Round times after the start; none inside a break, none too near to the one before."""
    whole = end - start
    active = whole - sum(b - a for a, b, left, right in _pieces(axis) if right - left == _BREAK and axis.breaks)
    step = next((step for step in _STEPS_S if max(active, 1.0) / step <= _TICKS), _STEPS_S[-1])
    ticks: list[Tick] = []
    told = -_LEAST_LABEL
    for begin, to, left, right in _pieces(axis):
        if axis.breaks and abs((right - left) - _BREAK) < 1e-9 and to - begin > step:
            continue
        number = -int(-(begin - start) // step)
        while start + number * step <= to:
            x = axis.place(start + number * step)
            if not ticks or x - ticks[-1].x > 100.0 / (2.2 * _TICKS):
                dense = x - told < _LEAST_LABEL
                told = told if dense else x
                ticks.append(Tick(x=round(x, 3), label=f"+{duration(number * step)}", dense=dense))
            number += 1
    return tuple(ticks)


def _pieces(axis: _Axis) -> list[tuple[float, float, float, float]]:
    return list(zip(axis.moments, axis.moments[1:], axis.places, axis.places[1:], strict=False))
