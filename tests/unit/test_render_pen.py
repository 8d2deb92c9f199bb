"""Lines and tables: widths in cells, not characters; nothing hostile; nothing wider than the terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chargehand.cli.render.pen import PLAIN, Cell, Pen, block, hang, one_line, shorten, table, wrap
from chargehand.cli.render.text import clean, clean_styled, to_json
from chargehand.cli.render.units import amount, clock, count, duration, iso, short

TEXTS = st.text(st.sampled_from("ab 漢é\n\t-"), max_size=60)


@given(TEXTS, st.integers(0, 40))
def test_shorten_never_is_too_wide(text: str, cells: int):
    assert cell_len(shorten(one_line(text), cells)) <= cells


@given(TEXTS, st.integers(2, 30))
def test_wrap_fits_and_loses_nothing_but_white_space(text: str, cells: int):
    lines = wrap(text, cells)
    assert all(cell_len(line) <= cells for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(TEXTS, st.integers(20, 40))
def test_hanging_text_fits_beside_its_head(text: str, width: int):
    lines = hang(Pen(colour=True).draw("head", "bad") + ": ", text, Pen(colour=True, width=width))
    assert all(cell_len(line.replace("\x1b[31m", "").replace("\x1b[0m", "")) <= width for line in lines)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5), st.integers(20, 60))
def test_a_table_fits_the_terminal(rows: list[tuple[str, str, str]], width: int):
    assert all(cell_len(line) <= width for line in table(rows, Pen(width=width)))


def test_columns_stand_below_each_other_also_with_wide_characters():
    lines = table([("漢字", "x"), ("ab", Cell(text="y", style="bad"))], PLAIN)
    assert lines == ["  漢字  x", "  ab    y"]


def test_the_last_column_gives_way_first():
    (line,) = table([("task-with-a-name", "a long text that nobody needs to read in full")], Pen(width=40))
    assert line.startswith("  task-with-a-name  a long text")
    assert line.endswith("…")


def test_colour_only_where_it_is_wanted():
    assert Pen(colour=True).draw("x", "good") == "\x1b[32mx\x1b[0m"
    assert PLAIN.draw("x", "good") == "x"
    assert Pen(colour=True).draw("x") == "x"


HOSTILE = ["\x1b[2J", "\x1b]0;title\x07", "\x1b[31m", "a\rb", "\u202eabc", "\x9b1m", "\x00", "\x1bPq\x1b\\"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless_wherever_it_is_drawn(text: str):
    """SPEC 7.4: control sequences are stripped before anything is shown."""
    pen = Pen(colour=True, width=40)
    drawn = [pen.draw(text), *table([(text, Cell(text=text))], pen), *wrap(text, 10), *hang("", text, pen)]
    for line in (*drawn, *block(text, pen), clean(text)):
        assert not {"\x1b", "\x07", "\r", "\u202e", "\x9b", "\x00"} & set(line)


def test_our_own_styles_survive_and_no_others():
    assert clean_styled("\x1b[32mgood\x1b[0m \x1b[2Jbad\x1b[5m") == "\x1b[32mgood\x1b[0m bad"


def test_documents_escape_what_a_terminal_would_obey():
    text = to_json({"text": "漢 \x1b \x9b \u202e \ud800"})
    assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(text)
    assert json.loads(text) == {"text": "漢 \x1b \x9b \u202e \ud800"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (65, "1m05s"), (3600, "1h"), (3725, "1h02m"), (90000, "1d01h"), (-1, "0s")],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


def test_units():
    assert iso(0.5) == "1970-01-01T00:00:00.500Z"
    assert len(clock(0)) == 8
    assert short("a" * 40) == "a" * 10
    assert short(None) == ""
    assert (count(1, "task"), count(2000, "task")) == ("1 task", "2,000 tasks")
    assert count(2, "entry", "entries") == "2 entries"
    assert amount(None, None) == ""
    assert amount(1500, 2.5) == "1,500 tokens, $2.50"
