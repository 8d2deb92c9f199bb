"""The classifier is total, and bounded in time, whatever the text."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.adapters.guarding.classify import classify, classify_argv
from chargehand.adapters.guarding.verdict import HARMLESS, Kind
from tests.unit.test_guard_cases import CASES, PLACE, SANDBOXED, Case

LONGEST_S = 10.0
"""Far more than it takes, far less than what has no bound."""

COMMANDS = [case.command for case in CASES]
PIECES = st.sampled_from(
    [
        *(
            "rm",
            "-rf",
            "/",
            "$x",
            "${x:-",
            "}",
            "$(",
            ")",
            "`",
            "'",
            '"',
            "|",
            "&&",
            "||",
            ";",
            "\n",
            "<<EOF\n",
            "EOF\n",
        ),
        *(
            "if true; then ",
            "fi",
            "for i in a; do ",
            "done",
            "case x in x) ",
            ";; esac",
            "f() {",
            "(",
            "{",
            "[[",
            "]]",
            "<(",
            ">",
        ),
        *(
            "x=",
            "eval",
            "xargs",
            "sh -c",
            "python -c",
            "find . -exec",
            " ",
            "\\",
            "\0",
            "\udc80",
            "é",
            "{a,b}",
            "$'\\x",
            "\t",
            "#",
        ),
    ]
)


def told(command: str) -> None:
    began = time.process_time()
    for place in (PLACE, SANDBOXED):
        verdict = classify(command, place)
        assert (verdict.kind is Kind.HARMLESS) == (not verdict.reasons)
    classify_argv(command.split(" "), PLACE)
    assert time.process_time() - began < LONGEST_S


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=60).map("".join))
def test_broken_shell_never_raises(command: str) -> None:
    told(command)


@pytest.mark.parametrize("sign", ["\u0100", "\u3000", "\ue001", "\U00012345", "\U00031860", "\U000bffff", "\U0010ffff"])
def test_signs_that_end_the_process_of_the_grammar_do_not_end_ours(sign: str) -> None:
    """The scanner looks signs up in a table of 256: an agent could end the coordinator with five bytes."""
    for text in (
        "{" + sign,
        f"${{{sign}",
        f"x{sign}=1",
        f"<<{sign}",
        f"[[ a =~ {sign}",
        f"a{{{sign}..{sign}}}",
        f"@({sign}",
    ):
        told(text)


@pytest.mark.parametrize("sign", ["é", "\u3000", "中", "\U0001f600", "\U0010ffff", "ÀÁÂ"])
def test_signs_beyond_ascii_stay_what_they_are(sign: str) -> None:
    """A question shows the words as they were, and paths with such signs are found."""
    for text in (f"rm /outside/{sign}x", f"rm '/outside/{sign}x'", f'd={sign}x; rm "/outside/$d"'):
        (danger,) = classify(text, PLACE).reasons
        assert (danger.rule, danger.exact) == ("delete_outside", text.rpartition("; ")[2])
    named = replace(PLACE, untracked=frozenset({f"{sign}x"}))
    assert classify(f'echo a > "{sign}x"', named).kind is Kind.DANGEROUS
    assert classify(f"echo a > {sign}y", named).kind is Kind.HARMLESS


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=400))
def test_any_text_never_raises(command: str) -> None:
    told(command)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(COMMANDS), st.sampled_from(COMMANDS), st.integers(0, 80), st.integers(0, 80))
def test_cut_and_joined_commands_never_raise(one: str, other: str, at: int, to: int) -> None:
    told(one[:at] + other[to:])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([case for case in CASES if "\n" not in case.command]), min_size=1, max_size=3))
def test_a_danger_stays_one_behind_anything_that_was_closed(cases: list[Case]) -> None:
    """What is asked about alone is asked about in a subshell behind others, too."""
    if "#" in "".join(case.command for case in cases):
        return
    command = "\n".join(f"({case.command}\n)" for case in cases)
    if any(case.asked for case in cases):
        assert classify(command, PLACE).kind is not Kind.HARMLESS


@pytest.mark.parametrize("size", [8_000, 100_000])
@pytest.mark.parametrize(
    "unit",
    [
        *(
            "(",
            "$(",
            "{ ",
            "'",
            '"',
            "a|",
            "a && ",
            "$((",
            "if a; then ",
            "[[ ",
            "<<a\n",
            '"$(',
            "`\\",
            "((a)+",
            "${x:-",
            "!",
        ),
        *(
            "a;",
            "x=$x$x;",
            "f() { f; }; f;",
            "eval '",
            'sh -c "',
            "<(",
            "for i in a; do ",
            "{a,b}",
            "$'\\x",
            "*",
            "x+=a;",
            "é",
            "\\\n",
        ),
        *(
            "a=1 ",
            "cat <<< ",
            "find . -exec ",
            "xargs ",
            "env ",
            "python -c 'x' ",
            "case a in a) ",
            "a > b ",
            "git -c a=b ",
        ),
    ],
)
def test_any_repetition_is_bounded(unit: str, size: int) -> None:
    """Deep nesting, long chains, values that double: up to 100 kB of each."""
    told(unit * (size // len(unit.encode())))


@pytest.mark.parametrize(
    ("left", "right"), [("(", ")"), ("$(", ")"), ("{ ", "; }"), ('"$(', ')"'), ("eval '", "'"), ("if a; then ", "; fi")]
)
def test_what_is_nested_too_deeply_is_said_so(left: str, right: str) -> None:
    command = left * 400 + "rm -rf /outside" + right * 400
    verdict = classify(command, PLACE)
    assert verdict.kind is not Kind.HARMLESS


@pytest.mark.parametrize("command", ["echo a\0b", "echo \udc80", "echo " + "x" * 8192, "é" * 4097])
def test_what_cannot_be_read_is_never_allowed_silently(command: str) -> None:
    verdict = classify(command, SANDBOXED)
    assert verdict.kind is Kind.UNPARSEABLE
    assert verdict.reasons[0].why.endswith(".")
    assert classify_argv(["echo", command], SANDBOXED).kind is Kind.UNPARSEABLE


def test_eight_kilobytes_are_still_read() -> None:
    assert classify("echo " + "x" * (8192 - 5), PLACE) == HARMLESS


def test_nothing_is_harmless() -> None:
    assert classify("", PLACE) == classify(" \n# nothing\n", PLACE) == classify_argv((), PLACE) == HARMLESS


def test_links_that_lead_out_are_followed_where_the_folders_are_real(tmp_path) -> None:
    """I8: a link in the workspace to a folder outside makes what lies behind it no part of the workspace."""
    from dataclasses import replace

    workspace, other = tmp_path / "ws", tmp_path / "other"
    workspace.mkdir()
    other.mkdir()
    (workspace / "out").symlink_to(other)
    place = replace(PLACE, cwd=str(workspace), inside=(str(workspace),), real=True)
    assert classify("rm out/file", place).kind is Kind.DANGEROUS
    assert classify("rm in/file", place) == HARMLESS
    assert classify("rm out/file", replace(place, real=False)) == HARMLESS
