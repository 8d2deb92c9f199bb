"""Order, cycles, waves, paths and widths of task graphs."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain import graph


def dag(size: int, edges: set[tuple[int, int]]) -> dict[str, list[str]]:
    return {f"t{n}": [f"t{d}" for d in range(n) if (d, n) in edges] for n in range(size)}


DAGS = st.integers(0, 9).flatmap(
    lambda size: st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))).map(lambda edges: dag(size, edges))
)
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_order_puts_dependencies_first_and_then_follows_the_plan() -> None:
    """I15: the same plan gives the same order."""
    assert graph.topological_order({"d": ["b"], "a": [], "c": ["a"], "b": []}) == ("a", "c", "b", "d")


def test_order_ignores_what_is_no_node_and_counts_a_repeated_dependency_once() -> None:
    assert graph.topological_order({"b": ["a", "a", "zz"], "a": []}) == ("a", "b")


def test_order_names_the_cycle_it_cannot_pass() -> None:
    with pytest.raises(ValueError, match=r"a -> b -> a\."):
        graph.topological_order({"a": ["b"], "b": ["a"], "c": []})


@pytest.mark.parametrize(
    ("needs", "cycle"),
    [
        ({}, ()),
        (DIAMOND, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ("a", "b", "c", "a")),
        ({"a": ["zz"], "b": ["a"]}, ()),
        ({"b": ["a"], "a": [], "c": ["b", "a"]}, ()),
    ],
)
def test_a_cycle_is_a_path_that_ends_where_it_began(needs: graph.Needs, cycle: tuple[str, ...]) -> None:
    assert graph.find_cycle(needs) == cycle


def test_dependants_are_the_other_way_round() -> None:
    assert graph.dependants({**DIAMOND, "e": ["zz", "a"]}) == {
        "a": ("b", "c", "e"),
        "b": ("d",),
        "c": ("d",),
        "d": (),
        "e": (),
    }


def test_waves_follow_from_dependencies() -> None:
    assert graph.waves(DIAMOND) == {"a": 1, "b": 2, "c": 2, "d": 3}


def test_a_declared_wave_stands_unless_it_is_too_early() -> None:
    declared = {"a": 2, "b": 2, "c": 1, "d": None}
    assert graph.waves(DIAMOND, declared) == {"a": 2, "b": 2, "c": 2, "d": 3}


def test_with_a_barrier_a_wave_is_later_than_those_it_needs() -> None:
    declared = {"a": 1, "b": 1, "c": 5, "d": None}
    assert graph.waves(DIAMOND, declared, strict=True) == {"a": 1, "b": 2, "c": 5, "d": 6}


def test_a_step_may_share_the_wave_of_the_step_before_it() -> None:
    declared = {"a": 1, "b": 1, "c": 1, "d": 1}
    assert graph.waves(DIAMOND, declared, strict=True, within={"b"}) == {"a": 1, "b": 1, "c": 2, "d": 3}


def test_remaining_counts_the_longest_way_to_an_end() -> None:
    assert graph.remaining({"a": [], "b": ["a"], "c": ["b"], "x": ["a"]}) == {"a": 3, "b": 2, "c": 1, "x": 1}


def test_the_critical_path_prefers_what_comes_first_in_the_plan() -> None:
    assert graph.critical_path(DIAMOND) == ("a", "b", "d")
    assert graph.critical_path({}) == ()


def test_lineage_knows_ancestors_however_far() -> None:
    family = graph.lineage({**DIAMOND, "e": ["zz"]})
    assert family.needs("d", "a")
    assert not family.needs("a", "d")
    assert family.apart("b", "c")
    assert not family.apart("a", "d")
    assert not family.apart("d", "a")
    assert not family.apart("a", "a")
    assert family.mask(["a", "c"]) == 0b101


def test_width_is_more_than_the_largest_level_when_a_level_hides_it() -> None:
    needs = {"a": [], "b": ["a"], "c": [], "d": ["c"], "e": ["d"], "f": ["d"]}
    assert graph.width(needs) == 3
    assert graph.width({}) == 0


def test_width_of_a_large_graph_is_its_largest_level() -> None:
    wide: dict[str, list[str]] = {f"t{n}": [] for n in range(graph.EXACT_WIDTH_NODES + 1)}
    assert graph.width(wide) == len(wide)
    chain = {f"t{n}": [f"t{n - 1}"] if n else [] for n in range(graph.EXACT_WIDTH_NODES + 1)}
    assert graph.width(chain) == 1


@settings(max_examples=300, deadline=None)
@given(needs=DAGS)
def test_width_is_the_largest_set_of_which_none_waits_for_another(needs: dict[str, list[str]]) -> None:
    family = graph.lineage(needs)
    best = 0
    for size in range(len(needs) + 1):
        if any(all(family.apart(a, b) for a, b in combinations(group, 2)) for group in combinations(needs, size)):
            best = size
    assert graph.width(needs) == best


@settings(max_examples=200, deadline=None)
@given(needs=DAGS)
def test_order_waves_and_remaining_agree(needs: dict[str, list[str]]) -> None:
    order = graph.topological_order(needs)
    waves, remaining = graph.waves(needs), graph.remaining(needs)
    assert sorted(order) == sorted(needs)
    for node, wanted in needs.items():
        for dependency in wanted:
            assert order.index(dependency) < order.index(node)
            assert waves[dependency] < waves[node]
            assert remaining[dependency] > remaining[node]
    path = graph.critical_path(needs)
    assert len(path) == max(remaining.values(), default=0)
    assert all(path[n] in needs[path[n + 1]] for n in range(len(path) - 1))


def test_ten_thousand_nodes_in_one_chain_do_not_overrun_the_stack() -> None:
    chain = {f"t{n}": [f"t{n - 1}"] if n else ["t9999"] for n in range(10_000)}
    assert len(graph.find_cycle(chain)) == 10_001
    chain["t0"] = []
    assert len(graph.critical_path(chain)) == 10_000
