"""Draws the plan: layers from left to right, one box a task, curves from what is needed to what needs it.

A task stands right of everything it depends on, and not left of its wave. Within a layer the order follows the
neighbours (a few sweeps of the barycentre rule), which keeps most edges from crossing. Long edges get a lane of their
own in the layers they pass, so that they do not run through boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chargehand.domain import graph as order
from chargehand.report.model import Edge, GraphDrawing, Mark, Node, Tone

__all__ = ["GraphTask", "draw_graph"]

_SWEEPS = 4
_MOST_LANES = 4000
_MARGIN = 8.0
_COMPACT_FROM, _DENSE_FROM = 40, 320


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTask:
    """What is drawn of a task."""

    id: str
    title: str
    needs: tuple[str, ...]
    wave: int
    mark: Mark
    anchor: str
    tip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    box: tuple[float, float]
    gap: tuple[float, float]
    letters: int


_SIZES = {
    "roomy": _Sizes(box=(190.0, 46.0), gap=(54.0, 14.0), letters=24),
    "compact": _Sizes(box=(120.0, 24.0), gap=(40.0, 8.0), letters=14),
    "dense": _Sizes(box=(22.0, 18.0), gap=(34.0, 5.0), letters=0),
}

_Point = tuple[int, str]
"""A place in a layer: of a task (0, id), or the lane of an edge (1, name)."""


def draw_graph(tasks: Sequence[GraphTask]) -> GraphDrawing | None:
    """The drawing; None where there is no task. Dependencies on tasks that are not there are left out."""
    if not tasks:
        return None
    known = {task.id: task for task in tasks}
    needs = {task.id: tuple(need for need in dict.fromkeys(task.needs) if need in known) for task in tasks}
    layer_of = _layers(needs, {task.id: task.wave for task in tasks})
    chains = _chains(needs, layer_of)
    layers = _ordered(_members(layer_of, chains), chains)
    name = "dense" if len(tasks) > _DENSE_FROM else "compact" if len(tasks) > _COMPACT_FROM else "roomy"
    sizes = _SIZES[name]
    places = _places(layers, sizes)
    height = 2 * _MARGIN + max(_height(layer, sizes) for layer in layers)
    width = 2 * _MARGIN + len(layers) * (sizes.box[0] + sizes.gap[0]) - sizes.gap[0]
    return GraphDrawing(
        nodes=tuple(_node(known[task], places[(0, task)], sizes) for task in layer_of),
        edges=tuple(_edge(chain, places, sizes, known) for chain in chains),
        width=round(width, 1),
        height=round(height, 1),
        box_width=sizes.box[0],
        box_height=sizes.box[1],
        dense=name == "dense",
        compact=name == "compact",
    )


def _node(task: GraphTask, at: tuple[float, float], sizes: _Sizes) -> Node:
    label, title = _cut(task.id, sizes.letters), _cut(task.title, sizes.letters + 4)
    return Node(anchor=task.anchor, label=label, title=title, tip=task.tip, mark=task.mark, x=at[0], y=at[1])


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: max(0, letters - 1)] + "…" * bool(letters)


# -- layers ---------------------------------------------------------------------------------------


def _layers(needs: Mapping[str, tuple[str, ...]], waves: Mapping[str, int]) -> dict[str, int]:
    """The layer of each task, without empty ones."""
    rank = {wave: number for number, wave in enumerate(sorted(set(waves.values())))}
    found: dict[str, int] = {}
    for task in order.topological_order(needs):
        found[task] = max([rank[waves[task]], *(found[need] + 1 for need in needs[task])])
    used = {layer: number for number, layer in enumerate(sorted(set(found.values())))}
    return {task: used[found[task]] for task in needs}


def _chains(needs: Mapping[str, tuple[str, ...]], layer_of: Mapping[str, int]) -> list[list[_Point]]:
    """Each edge with the lanes it takes in the layers between its ends; none where there would be too many."""
    edges = [(need, task) for task, wanted in needs.items() for need in wanted]
    lanes = sum(layer_of[task] - layer_of[need] - 1 for need, task in edges)
    chains = []
    for number, (need, task) in enumerate(edges):
        between = range(layer_of[need] + 1, layer_of[task]) if lanes <= _MOST_LANES else ()
        chains.append([(0, need), *((1, f"{number}/{layer}") for layer in between), (0, task)])
    return chains


def _members(layer_of: Mapping[str, int], chains: Iterable[Sequence[_Point]]) -> list[list[_Point]]:
    layers: list[list[_Point]] = [[] for _ in range(max(layer_of.values()) + 1)]
    for task, layer in layer_of.items():
        layers[layer].append((0, task))
    for chain in chains:
        first = layer_of[chain[0][1]]
        for number, point in enumerate(chain[1:-1], start=1):
            layers[first + number].append(point)
    return layers


def _ordered(layers: list[list[_Point]], chains: Iterable[Sequence[_Point]]) -> list[list[_Point]]:
    left: dict[_Point, list[_Point]] = defaultdict(list)
    right: dict[_Point, list[_Point]] = defaultdict(list)
    for chain in chains:
        for one, other in pairwise(chain):
            right[one].append(other)
            left[other].append(one)
    at = {point: float(number) for layer in layers for number, point in enumerate(layer)}
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        for layer in layers if forwards else reversed(layers):
            _sort(layer, left if forwards else right, at)
    return layers


def _sort(layer: list[_Point], neighbours: Mapping[_Point, list[_Point]], at: dict[_Point, float]) -> None:
    """By the mean place of the neighbours; who has none stays where it is."""
    wanted = {}
    for point in layer:
        beside = neighbours.get(point)
        wanted[point] = sum(at[each] for each in beside) / len(beside) if beside else at[point]
    layer.sort(key=lambda point: wanted[point])
    size = len(layer)
    for number, point in enumerate(layer):
        at[point] = number - size / 2


# -- places ---------------------------------------------------------------------------------------


def _step(point: _Point, sizes: _Sizes) -> float:
    """How much height a point takes in its layer: a lane is thinner than a box."""
    return sizes.box[1] + sizes.gap[1] if point[0] == 0 else sizes.gap[1]


def _height(layer: Sequence[_Point], sizes: _Sizes) -> float:
    return sum(_step(point, sizes) for point in layer) - sizes.gap[1]


def _places(layers: Sequence[Sequence[_Point]], sizes: _Sizes) -> dict[_Point, tuple[float, float]]:
    """The upper left corner of each box, and where lanes begin; every layer is centred."""
    tallest = max(_height(layer, sizes) for layer in layers)
    places = {}
    for number, layer in enumerate(layers):
        x = _MARGIN + number * (sizes.box[0] + sizes.gap[0])
        y = _MARGIN + (tallest - _height(layer, sizes)) / 2
        for point in layer:
            places[point] = (round(x, 1), round(y, 1))
            y += _step(point, sizes)
    return places


def _edge(
    chain: Sequence[_Point],
    places: Mapping[_Point, tuple[float, float]],
    sizes: _Sizes,
    known: Mapping[str, GraphTask],
) -> Edge:
    wide, high = sizes.box
    x, y = places[chain[0]]
    x, y = x + wide, y + high / 2
    parts = [f"M{x:g} {y:g}"]
    for point in chain[1:]:
        to_x, to_y = places[point]
        is_lane = point[0] == 1
        to_y += 0 if is_lane else high / 2
        middle = (x + to_x) / 2
        parts.append(f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
        if is_lane:
            x += wide
            parts.append(f"L{x:g} {y:g}")
    return Edge(path="".join(parts), tone=_tone(known[chain[0][1]].mark.tone))


def _tone(tone: Tone) -> Tone:
    """An edge from something that did not make it shows why what follows stands still."""
    return tone if tone in {Tone.GOOD, Tone.BAD} else Tone.QUIET
