"""`show` of a task that landed as one with others: whose gates as merged stood for it."""

from __future__ import annotations

from typing import Any

import pytest

from chargehand.cli.render.pen import PLAIN
from chargehand.cli.render.story import story_document, story_lines
from chargehand.cli.stories import landed_together, tell_stories
from tests.play import Play
from tests.unit.test_groups import grouped, verified


def shown(play: Play, name: str) -> tuple[str, Any]:
    """What `show` says of a task: as text, and what the document has of those it landed with."""
    together, record = landed_together(play.journal, name), play.task(name)
    stories = tell_stories(play.journal, name)
    lines = story_lines(play.state, record, stories, PLAIN, play.now, together)
    return "\n".join(lines), story_document(play.state, record, stories, play.now, together)["together"]


def test_show_tells_whose_gates_stood_for_a_task_that_landed_with_others():
    """Of all but the last the gates as merged were run under another task's name; they are told, and whose they are."""
    play = verified("a", "b", "c")
    play.gates("c")
    play.land("c")
    for name, others in (("a", "b, c"), ("b", "a, c")):
        text, document = shown(play, name)
        assert f"  as one with {others}: the gates as merged judged all of them\n" in text
        assert "  gate tests (integrate, run for c): pass" in text
        assert f"  gate {name}/verify-1 (integrate, run for c): pass" in text
        assert text.count("run for c") == 2
        assert (document["tasks"], document["gates_of"]) == (["a", "b", "c"], "c")
        assert [gate["gate"] for gate in document["gates"]] == [f"{name}/verify-1", "tests"]
    text, document = shown(play, "c")
    assert "as one with a, b" in text
    assert "run for" not in text
    assert text.count("gate tests (integrate): pass") == 1
    assert [gate["gate"] for gate in document["gates"]] == ["verify-1", "tests"]


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_show_says_nothing_of_others_where_a_task_did_not_land_with_any(names):
    """Alone in its group, or not landed yet."""
    play = grouped(*names)
    play.gates(names[-1])
    if len(names) == 1:
        play.land("a")
    text, document = shown(play, "a")
    assert (document, "as one with" in text) == (None, False)
