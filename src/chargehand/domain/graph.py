"""The task graph: order, cycles, waves, critical path and what may run together (SPEC 2.2, 3.3).

Every function takes `needs`: a mapping from a node to the nodes it depends on. The order of the mapping is the
order of the plan and breaks every tie, so the same plan always gives the same answer [I15]. A dependency that is no
node of the mapping is ignored: naming it is the work of `domain.check`. All but `find_cycle` want a graph without
cycles and raise `ValueError` otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

__all__ = [
    "EXACT_WIDTH_NODES",
    "Lineage",
    "Needs",
    "critical_path",
    "dependants",
    "find_cycle",
    "lineage",
    "remaining",
    "topological_order",
    "waves",
    "width",
]

Needs = Mapping[str, Sequence[str]]

EXACT_WIDTH_NODES = 400
"""Up to this size `width` is exact; above it, a lower bound."""


def dependants(needs: Needs) -> dict[str, tuple[str, ...]]:
    """For each node those that depend on it directly, in plan order."""
    found: dict[str, list[str]] = {node: [] for node in needs}
    for node, wanted in needs.items():
        for dependency in dict.fromkeys(wanted):
            if dependency in found:
                found[dependency].append(node)
    return {node: tuple(others) for node, others in found.items()}


def topological_order(needs: Needs) -> tuple[str, ...]:
    """Dependencies first; of the nodes that are free, the earliest of the plan comes next."""
    names = tuple(needs)
    place = {name: number for number, name in enumerate(names)}
    followers = dependants(needs)
    open_needs = [len({d for d in wanted if d in place}) for wanted in needs.values()]
    free = [number for number, count in enumerate(open_needs) if count == 0]
    heapify(free)
    order: list[str] = []
    while free:
        name = names[heappop(free)]
        order.append(name)
        for follower in followers[name]:
            number = place[follower]
            open_needs[number] -= 1
            if open_needs[number] == 0:
                heappush(free, number)
    if len(order) < len(names):
        raise ValueError(f"The graph has a cycle: {' -> '.join(find_cycle(needs))}.")
    return tuple(order)


def find_cycle(needs: Needs) -> tuple[str, ...]:
    """One cycle as a path that ends where it began, each node depending on the next; empty when there is none."""
    done: set[str] = set()
    for start in needs:
        cycle = _cycle_from(start, needs, done)
        if cycle:
            return cycle
    return ()


def _cycle_from(start: str, needs: Needs, done: set[str]) -> tuple[str, ...]:
    """Walk down from `start` without recursion: a plan may be one chain of 10,000 tasks."""
    if start in done:
        return ()
    path = [start]
    on_path = {start}
    branches = [iter(needs[start])]
    while path:
        step = next((d for d in branches[-1] if d in needs and d not in done), None)
        if step is None:
            branches.pop()
            on_path.discard(path[-1])
            done.add(path.pop())
        elif step in on_path:
            return (*path[path.index(step) :], step)
        else:
            path.append(step)
            on_path.add(step)
            branches.append(iter(needs[step]))
    return ()


def waves(
    needs: Needs,
    declared: Mapping[str, int | None] | None = None,
    *,
    strict: bool = False,
    within: Collection[str] = (),
) -> dict[str, int]:
    """The wave of each node, from 1: the declared one, else one later than its latest dependency.

    A declared wave that is too early is raised to the earliest legal one: that of the latest dependency, or with
    `strict` (a barrier after each wave) one later. Nodes of `within` may share the wave of what they need all the same.
    """
    stated = declared or {}
    found: dict[str, int] = {}
    for node in topological_order(needs):
        latest = max((found[d] for d in needs[node] if d in found), default=0)
        own = stated.get(node)
        if own is None:
            found[node] = latest + 1
        else:
            found[node] = max(own, latest + 1 if strict and node not in within else latest)
    return {node: found[node] for node in needs}


def remaining(needs: Needs) -> dict[str, int]:
    """For each node the number of nodes on the longest path from it to an end, itself included."""
    followers = dependants(needs)
    length: dict[str, int] = {}
    for node in reversed(topological_order(needs)):
        length[node] = 1 + max((length[other] for other in followers[node]), default=0)
    return {node: length[node] for node in needs}


def critical_path(needs: Needs) -> tuple[str, ...]:
    """A longest path, first node first; of several, the one whose nodes come earliest in the plan."""
    length = remaining(needs)
    followers = dependants(needs)
    path: list[str] = []
    choice: Iterable[str] = needs
    while True:
        best = max(choice, key=length.__getitem__, default=None)
        if best is None:
            return tuple(path)
        path.append(best)
        choice = followers[best]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """All ancestors of each node as bit sets: bit `place[n]` of `above[m]` says that m needs n, however far."""

    place: Mapping[str, int]
    above: tuple[int, ...]

    def needs(self, node: str, other: str) -> bool:
        """Whether `node` depends on `other`, directly or through others."""
        return bool(self.above[self.place[node]] >> self.place[other] & 1)

    def apart(self, one: str, two: str) -> bool:
        """Whether neither node waits for the other: they may run together (a node is not apart from itself)."""
        return one != two and not self.needs(one, two) and not self.needs(two, one)

    def mask(self, nodes: Iterable[str]) -> int:
        """The nodes as a bit set."""
        return _bits(self.place[node] for node in nodes)


def lineage(needs: Needs) -> Lineage:
    """Work out who is above whom: one pass, about a kilobyte per node at 10,000 nodes."""
    place = {name: number for number, name in enumerate(needs)}
    above = [0] * len(place)
    for node in topological_order(needs):
        bits = 0
        for dependency in needs[node]:
            if dependency in place:
                number = place[dependency]
                bits |= above[number] | 1 << number
        above[place[node]] = bits
    return Lineage(place=place, above=tuple(above))


def _bits(places: Iterable[int]) -> int:
    bits = 0
    for number in places:
        bits |= 1 << number
    return bits


def width(needs: Needs) -> int:
    """How many nodes can be under way at once, given slots enough.

    Exact (the largest set of nodes none of which waits for another) up to `EXACT_WIDTH_NODES` nodes. Above that it
    is the size of the largest level, which may be too small: never more than what is really possible.
    """
    if len(needs) > EXACT_WIDTH_NODES:
        return _largest_level(needs)
    family = lineage(needs)
    return len(family.above) - _matched(family.above)


def _largest_level(needs: Needs) -> int:
    sizes: dict[int, int] = {}
    for level in waves(needs).values():
        sizes[level] = sizes.get(level, 0) + 1
    return max(sizes.values())


def _matched(above: Sequence[int]) -> int:
    """The size of a maximum matching of nodes with ancestors: each match joins two chains (Dilworth)."""
    owner: dict[int, int] = {}
    return sum(_augment(node, above, owner) for node in range(len(above)))


def _augment(start: int, above: Sequence[int], owner: dict[int, int]) -> bool:
    """Find an ancestor for `start`, moving earlier matches along the way; breadth first, each ancestor once."""
    came_from: dict[int, int] = {}
    queue = [start]
    untried = -1
    for node in queue:
        candidates = above[node] & untried
        untried &= ~candidates
        while candidates:
            ancestor = (candidates & -candidates).bit_length() - 1
            candidates &= candidates - 1
            came_from[ancestor] = node
            if ancestor not in owner:
                _reassign(ancestor, came_from, owner, start)
                return True
            queue.append(owner[ancestor])
    return False


def _reassign(ancestor: int, came_from: Mapping[int, int], owner: dict[int, int], start: int) -> None:
    held: dict[int, int] = {node: taken for taken, node in owner.items()}
    step = ancestor
    while True:
        node = came_from[step]
        before = held.get(node)
        owner[step] = node
        if node == start or before is None:
            return
        step = before
