"""Overlap against matching: a lease may be too careful, never too generous."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chargehand.domain.scope import matches, meetings, overlap, overlaps, validate

NAME = st.one_of(st.text(alphabet="ab.", min_size=1, max_size=3), st.sampled_from(["a.md", "b.py"]))
WILD = st.text(alphabet="ab.*?[]!^-c\\", min_size=1, max_size=6)
SEGMENT = st.one_of(NAME, NAME, WILD, st.sampled_from(["**", "*", "?", "[ab]", "[!a]", "[a-c]", "a*", "*b", "[[a]]"]))
PATTERN = st.builds(
    lambda parts, slash: "/".join(parts) + slash,
    st.lists(SEGMENT, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)
FOLDER = st.text(alphabet="abc.[]", min_size=1, max_size=4)
PATH = st.builds(
    lambda folders, name: "/".join((*folders, name)),
    st.lists(FOLDER, max_size=4),
    st.one_of(FOLDER, st.sampled_from(["a.md", "b.py", "ab.py"])),
)


@settings(max_examples=1500, deadline=None)
@given(one=PATTERN, two=PATTERN, path=PATH)
def test_a_path_that_matches_both_is_an_overlap(one: str, two: str, path: str) -> None:
    """I10: no path is in two leases that are said not to overlap."""
    assume(validate(one) is None and validate(two) is None)
    assert overlap(one, two) == overlap(two, one)
    if matches((one,), path) and matches((two,), path):
        assert overlap(one, two)


@settings(max_examples=500, deadline=None)
@given(one=PATTERN, path=PATH)
def test_what_a_pattern_matches_it_overlaps(one: str, path: str) -> None:
    assume(validate(one) is None)
    literal = path.replace("[", "\\[").replace("]", "\\]")
    assume(validate(literal) is None)
    if matches((one,), path):
        assert overlap(one, literal)


@settings(max_examples=300, deadline=None)
@given(leases=st.lists(st.lists(PATTERN.filter(lambda p: validate(p) is None), max_size=3), max_size=6))
def test_the_index_finds_what_comparing_all_pairs_finds(leases: list[list[str]]) -> None:
    expected = {(i, j) for i in range(len(leases)) for j in range(i + 1, len(leases)) if overlaps(leases[i], leases[j])}
    found = meetings(leases)
    pairs = {(min(i, j), max(i, j)) for meeting in found.found for i in meeting.ones for j in meeting.twos if i != j}
    assert found.complete
    assert pairs == expected


@settings(max_examples=300, deadline=None)
@given(pattern=st.text(max_size=12), path=PATH)
def test_any_text_is_refused_or_matched_without_an_error(pattern: str, path: str) -> None:
    if validate(pattern) is not None:
        assert not matches((pattern,), path)
    else:
        matches((pattern,), path)
    overlap(pattern, path)
