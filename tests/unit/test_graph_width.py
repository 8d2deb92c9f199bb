"""The width of a graph that is only found by giving an earlier match another partner."""

from __future__ import annotations

from chargehand.domain import graph


def test_a_match_is_moved_to_make_room_for_another() -> None:
    """Two chains cover the four tasks, although the first match stands in the way of the second."""
    assert graph.width({"a": [], "b": [], "c": ["a", "b"], "d": ["a"]}) == 2
