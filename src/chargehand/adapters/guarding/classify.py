"""What a command would do, found by parsing it: harmless, dangerous, or not to be told (SPEC 7.2).

Bounded in time for any text: what is longer than 8 kB is not read, and what cannot be followed within the bounds is
unparseable. This decides what is asked, and is no boundary: that is the sandbox.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from chargehand.adapters.guarding.footprints import Forbidden, footprint
from chargehand.adapters.guarding.look import LONGEST_COMMAND_BYTES, Call, Look, TooMuch
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.guarding.scope import Scope
from chargehand.adapters.guarding.shell import Shell
from chargehand.adapters.guarding.verdict import HARMLESS, Danger, Kind, Reach, Verdict
from chargehand.domain.plan import Command

__all__ = ["classify", "classify_argv", "forbidding", "unreadable"]


def unreadable(text: str) -> str:
    """Why a command cannot be read at all, or an empty string: too long, a NUL, or not text."""
    if "\0" in text:
        return "It holds a NUL character."
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "It is not valid UTF-8."
    if size > LONGEST_COMMAND_BYTES:
        return f"It has {size:,} bytes; what is longer than {LONGEST_COMMAND_BYTES:,} is not read."
    return ""


def classify(command: str, place: Place, *, strangers: bool = True) -> Verdict:
    """The verdict on a text for a shell. Total: nothing raises, whatever the text.

    `strangers`: programs nobody knows are a question (no sandbox holds an agent), else only what is recognised.
    """

    def follow(shell: Shell) -> None:
        shell.text(command, Call(argv=("sh",), exact=command, scope=_scope(place, strangers)), None)

    return _verdict(command, place, follow)


def classify_argv(argv: Sequence[str], place: Place, *, strangers: bool = True) -> Verdict:
    """The verdict on a program with its arguments, run without a shell. Total."""
    if not argv:
        return HARMLESS
    text = " ".join(argv)

    def follow(shell: Shell) -> None:
        shell.call(Call(argv=tuple(argv), exact=text, scope=_scope(place, strangers)))

    return _verdict(text, place, follow)


def _scope(place: Place, strangers: bool) -> Scope:
    known = {"IFS": " ", "HOME": place.home or "~", "TMPDIR": place.tmp} | dict(place.variables)
    variables: dict[str, tuple[str, ...]] = {name: (value,) for name, value in known.items() if value}
    return Scope(cwds=(place.cwd,), variables=variables, strangers=strangers)


def _verdict(text: str, place: Place, follow: Callable[[Shell], None]) -> Verdict:
    problem = unreadable(text)
    if problem:
        return Verdict(kind=Kind.UNPARSEABLE, reasons=(Danger(rule="unparseable", exact=text[:200], why=problem),))
    look = Look(place=place)
    shell = Shell(look)
    try:
        follow(shell)
    except TooMuch as much:
        look.report("unparseable", text[:200], why=str(much))
    except RecursionError:
        look.report("unparseable", text[:200], why="It is nested too deeply to follow.")
    _look_at_forbidden(text, look)
    found = [danger for danger in look.found.values() if danger.reach is Reach.OUTSIDE or not place.sandboxed]
    if not found:
        return HARMLESS
    unread = all(danger.rule == "unparseable" for danger in found)
    return Verdict(kind=Kind.UNPARSEABLE if unread else Kind.DANGEROUS, reasons=tuple(found))


def _look_at_forbidden(text: str, look: Look) -> None:
    forbidden = look.place.forbidden
    if forbidden is None:
        return
    if _one_line(text) in forbidden.texts:
        look.report("forbidden", text)
    for argv, cwds, exact in look.calls:
        if forbidden.holds(argv, cwds):
            look.report("forbidden", exact)


def forbidding(place: Place, commands: Iterable[Command]) -> Place:
    """The place with these commands forbidden in it, and whatever else runs the same tool, script or task."""
    texts: set[str] = set()
    prints = []
    for command in commands:
        words = command.to_argv()
        inner = words[2] if len(words) == 3 and words[1] == "-c" else shlex.join(words)
        texts |= {_one_line(inner), shlex.join(words)}
        look = Look(place=replace(place, forbidden=None))
        with suppress(TooMuch, RecursionError):
            Shell(look).text(inner, Call(argv=("sh",), exact=inner, scope=_scope(place, False)), None)
        found = (footprint(argv, cwd) for argv, cwds, _ in look.calls for cwd in cwds)
        prints += [each for each in found if each is not None]
    return replace(place, forbidden=Forbidden(texts=frozenset(texts), prints=tuple(dict.fromkeys(prints))))


def _one_line(text: str) -> str:
    return " ".join(text.split())
